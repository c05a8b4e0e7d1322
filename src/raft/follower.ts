/**
 * The follower: how it takes over the leader's log and what it tells the leader. It acknowledges
 * exactly what a message verified, never the end of its own log, which may hold entries of another
 * leader. It truncates only at the first entry whose term differs: a late message that ends early
 * must not cost entries that came after it.
 */
import { assert } from "../base/assert.js";
import { type EntryRun, lastIndexOf, sliceRun } from "../base/entry-run.js";
import type { RaftCore } from "./core.js";
import { campaignForTransfer } from "./election.js";
import type {
  AppendMessage,
  AppendResponse,
  HeartbeatMessage,
  InstallSnapshotMessage,
  ReadIndexMessage,
  ReadIndexResponse,
  TimeoutNowMessage,
} from "./message.js";
import { askForRefill, isLacking } from "./refill-request.js";

export function handleAppend(core: RaftCore, message: AppendMessage): void {
  core.hearLeader(message.from);
  const { log } = core;
  if (message.prevIndex < log.baseIndex) {
    // What is committed is the leader's too, so it may go on from there.
    acknowledge(core, log.commitIndex);
    return;
  }
  if (log.termAt(message.prevIndex) !== message.prevTerm) {
    reject(core, message);
    return;
  }
  let verifiedIndex = message.prevIndex;
  for (const run of message.runs) {
    takeOver(core, run);
    verifiedIndex = lastIndexOf(run);
  }
  // Beyond what was verified this log may differ from the leader's.
  commitTo(core, Math.min(message.commitIndex, verifiedIndex));
  acknowledge(core, verifiedIndex);
}

export function handleHeartbeat(core: RaftCore, message: HeartbeatMessage): void {
  core.hearLeader(message.from);
  // A leader never tells more than was acknowledged; a log that shrank since is not believed.
  if (message.commitIndex <= core.log.lastIndex) commitTo(core, message.commitIndex);
  core.outbox.send.push({
    kind: "heartbeatResponse",
    from: core.selfId,
    to: message.from,
    term: core.term,
    round: message.round,
    promised: givePromise(core, message),
  });
  if (isLacking(core)) askForRefill(core, message.from);
}

/** A complete snapshot is at hand; it takes the log's place unless the log has all of it. */
export function handleInstallSnapshot(core: RaftCore, message: InstallSnapshotMessage): void {
  core.hearLeader(message.from);
  const { log } = core;
  const { mark } = message;
  const fits = log.termAt(mark.index) === mark.term;
  if (log.isStateLost && fits && mark.index >= log.appliedIndex) {
    // The one that is being installed may be lost again already: the next request brings another.
    if (log.isRestoring) return;
    core.restoreState(mark);
    acknowledge(core, mark.index);
    return;
  }
  if (mark.index <= log.commitIndex) {
    acknowledge(core, log.commitIndex);
    return;
  }
  if (fits) log.commitTo(mark.index);
  else core.restoreSnapshot(mark);
  acknowledge(core, mark.index);
}

/** The leader hands over to this replica, if its log still is what the leader takes it for. */
export function handleTimeoutNow(core: RaftCore, message: TimeoutNowMessage): void {
  if (core.log.lastIndex >= message.lastIndex) campaignForTransfer(core);
}

export function handleReadIndexResponse(core: RaftCore, message: ReadIndexResponse): void {
  const contexts = core.forwardedReads.take(message.request);
  if (message.index === 0) {
    core.failReads(contexts);
    return;
  }
  for (const context of contexts) core.outbox.reads.push({ context, index: message.index });
}

/** Says no to a reader who takes this replica for the leader. */
export function refuseReadIndex(core: RaftCore, message: ReadIndexMessage): void {
  core.outbox.send.push({
    kind: "readIndexResponse",
    from: core.selfId,
    to: message.from,
    term: core.term,
    request: message.request,
    index: 0,
  });
}

/** This replica's own disk reports; acknowledgements of others are meant for a leader. */
export function noteDurable(core: RaftCore, message: AppendResponse): void {
  if (message.from === core.selfId) core.log.durableTo(message.index, message.logTerm);
}

function takeOver(core: RaftCore, run: EntryRun): void {
  const { log } = core;
  const index = log.firstDifference(run);
  if (index > lastIndexOf(run)) return;
  if (index <= log.lastIndex) core.truncateAfter(index - 1);
  core.append(sliceRun(run, index, lastIndexOf(run)));
}

function commitTo(core: RaftCore, index: number): void {
  if (index > core.log.commitIndex) core.log.commitTo(index);
}

/** Acknowledgements of a turn leave as one: the last says what all of them say. */
function acknowledge(core: RaftCore, index: number): void {
  if (index > core.unsentAckIndex) core.unsentAckIndex = index;
}

function reject(core: RaftCore, message: AppendMessage): void {
  const { log } = core;
  const { prevIndex, prevTerm } = message;
  assert(prevIndex > log.commitIndex, "a leader that lacks a committed entry");
  const hintIndex = log.highestPossibleMatch(prevIndex, prevTerm);
  core.outbox.afterPersist.push({
    kind: "appendResponse",
    from: core.selfId,
    to: message.from,
    term: core.term,
    index: prevIndex,
    logTerm: log.termAt(hintIndex) ?? 0,
    rejected: true,
    hintIndex,
  });
}

/** A round that was overtaken by a later one gets no promise: the later one may have released. */
function givePromise(core: RaftCore, message: HeartbeatMessage): boolean {
  if (message.round <= core.roundSeen) return false;
  core.roundSeen = message.round;
  if (message.promiseMs > 0) {
    core.promise.give(message.from, core.nowMs, core.nowMs + message.promiseMs);
    return true;
  }
  if (message.release) core.promise.release(message.from);
  return false;
}
