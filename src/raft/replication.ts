/**
 * How a leader's log reaches the others, and when an entry counts as committed. Nothing is sent
 * at once: what changed is noted, and ready() flushes, so that all proposals of a turn travel in
 * one message per follower.
 *
 * An entry is committed when a quorum holds it durably and it is of the leader's own term; what is
 * older is committed along with it, never by counting (figure 8 of the Raft paper).
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { type EntryRun, singleRun } from "../base/entry-run.js";
import { encodeConfiguration } from "./configuration-codec.js";
import { isJoint, leaveJoint } from "./configuration.js";
import type { RaftCore } from "./core.js";
import { refreshLease } from "./heartbeats.js";
import type { LeaderState } from "./leader-state.js";
import type { AppendResponse, RefillMessage } from "./message.js";
import type { Progress } from "./progress.js";
import { upToBytes } from "./raft-log.js";
import type { Configuration } from "./types.js";

const NO_RUNS: readonly EntryRun[] = [];

/** Appends to the leader's own log; followers get it with the next flush. */
export function appendAsLeader(core: RaftCore, leader: LeaderState, run: EntryRun): void {
  core.append(run);
  leader.uncommittedBytes += run.bytes.length;
  leader.appendsDue = true;
}

export function appendNoop(core: RaftCore, leader: LeaderState): void {
  appendAsLeader(core, leader, singleRun("noop", core.term, core.log.lastIndex + 1, EMPTY_BYTES));
}

/** The configuration counts from here on, for quorums, leases and reads alike. */
export function appendConfiguration(
  core: RaftCore,
  leader: LeaderState,
  next: Configuration,
): number {
  const index = core.log.lastIndex + 1;
  const payload = encodeConfiguration(next);
  appendAsLeader(core, leader, singleRun("configuration", core.term, index, payload));
  leader.follow(next, index, core.nowMs);
  refreshLease(core, leader);
  return index;
}

/** Sends every follower what it lacks and may be sent. */
export function flushAppends(core: RaftCore, leader: LeaderState): void {
  leader.appendsDue = false;
  const isNoticeDue = core.nowMs >= leader.commitNoticeDueMs;
  if (isNoticeDue) leader.commitNoticeDueMs = Number.POSITIVE_INFINITY;
  for (const progress of leader.peers) {
    let isMoreDue = true;
    while (isMoreDue && maySend(core, progress, isNoticeDue)) {
      isMoreDue = sendAppend(core, progress);
    }
  }
}

/** The leader's own entries are on its disk; its progress counts like any other. */
export function noteOwnDurable(core: RaftCore, leader: LeaderState): void {
  leader.self.acknowledged(core.log.durableIndex);
  advanceCommit(core, leader);
}

/** Commits what a quorum holds. */
export function advanceCommit(core: RaftCore, leader: LeaderState): void {
  const { log } = core;
  const index = leader.quorumIndex();
  if (index <= log.commitIndex || log.termAt(index) !== core.term) return;
  leader.uncommittedBytes -= log.bytesBetween(log.commitIndex, index);
  log.commitTo(index);
  leader.commitNoticeDueMs = core.nowMs + core.config.commitNoticeMs;
  leader.appendsDue = true;
  finishConfigurationChange(core, leader);
}

/**
 * A committed joint configuration is left, by whoever leads then. A leader that a committed
 * configuration does not name tells the others of the commit and steps down.
 */
export function finishConfigurationChange(core: RaftCore, leader: LeaderState): void {
  const { configuration, configurations, log } = core;
  if (configurations.activeIndex > log.commitIndex || !core.hasCommittedInTerm) return;
  if (isJoint(configuration)) {
    if (leader.transfer !== undefined) return;
    appendConfiguration(core, leader, leaveJoint(configuration));
  } else if (!configuration.voters.includes(core.selfId)) {
    leader.hastenCommitNotice(core.nowMs);
    flushAppends(core, leader);
    core.becomeFollower(core.term, 0);
  }
}

/** A follower has lost entries or its state: it gets them as if it had never had them. */
export function refill(
  core: RaftCore,
  leader: LeaderState,
  progress: Progress,
  message: RefillMessage,
): void {
  progress.lost(message.lastIndex);
  leader.appendsDue = true;
  const { stateIndex } = message;
  if (stateIndex === 0 || progress.state === "snapshot") return;
  // A state older than what it had applied would be of no use to it.
  if (core.log.appliedIndex >= stateIndex) requestSnapshot(core, progress, stateIndex);
}

/**
 * Hands the caller the task to stream a snapshot that stands at `fromIndex` or later. A silent
 * replica has to be heard first, and without a state there is nothing to send.
 */
function requestSnapshot(core: RaftCore, progress: Progress, fromIndex: number): void {
  const silentMs = core.nowMs - progress.lastHeardMs;
  if (core.log.isStateLost || !progress.heard || silentMs > core.config.electionTimeoutMs.max) {
    progress.becomeProbe();
    progress.pauseProbe();
    return;
  }
  const index = Math.max(core.log.baseIndex, fromIndex);
  progress.becomeSnapshot(index);
  core.outbox.snapshotsToSend.push({ to: progress.id, term: core.term, index });
}

function maySend(core: RaftCore, progress: Progress, isNoticeDue: boolean): boolean {
  if (progress.state === "snapshot") return false;
  if (progress.state === "probe") return !progress.isProbeSent;
  if (progress.appendForced) return true;
  const { commitIndex, lastIndex } = core.log;
  const isFree = !progress.inflights.isFull && !progress.awaitsEntries;
  if (progress.nextIndex <= lastIndex && isFree) return true;
  if (!isNoticeDue) return false;
  return Math.min(commitIndex, progress.nextIndex - 1) > progress.sentCommitIndex;
}

/**
 * Sends one append, empty if the window is full; where the entries are on the disk only, they are
 * asked for, once it is known where the logs agree. Returns whether another may be due.
 */
function sendAppend(core: RaftCore, progress: Progress): boolean {
  const { log } = core;
  const { nextIndex } = progress;
  const prevTerm = log.termAt(nextIndex - 1);
  if (prevTerm === undefined) {
    requestSnapshot(core, progress, core.log.baseIndex);
    return false;
  }
  const isFull = progress.inflights.isFull || progress.awaitsEntries;
  const isCached = nextIndex >= log.firstCachedIndex;
  if (!isCached && !isFull && progress.state === "replicate") {
    progress.awaitEntries();
    const lastIndex = log.firstCachedIndex - 1;
    core.outbox.entriesToRead.push({ to: progress.id, firstIndex: nextIndex, lastIndex });
    return false;
  }
  const runs = isFull || !isCached ? NO_RUNS : log.from(nextIndex, core.config.appendBytesMax);
  return pushAppend(core, progress, prevTerm, runs);
}

/** Entries came from the disk, or none, if they cannot be read: then only the state is left. */
export function sendRead(
  core: RaftCore,
  leader: LeaderState,
  progress: Progress,
  { firstIndex, runs }: { readonly firstIndex: number; readonly runs: readonly EntryRun[] },
): void {
  if (!progress.entriesCame(firstIndex)) return;
  leader.appendsDue = true;
  const prevTerm = core.log.termAt(firstIndex - 1);
  // Meanwhile it may have acknowledged them, or the log may begin later.
  if (progress.nextIndex !== firstIndex || prevTerm === undefined) return;
  assertOwn(core, firstIndex, runs);
  if (runs.length === 0) requestSnapshot(core, progress, core.log.firstCachedIndex - 1);
  else pushAppend(core, progress, prevTerm, upToBytes(runs, core.config.appendBytesMax));
}

/** What is sent under this leader's name is what its log holds, whoever read it. */
function assertOwn(core: RaftCore, firstIndex: number, runs: readonly EntryRun[]): void {
  let index = firstIndex;
  for (const run of runs) {
    assert(
      run.firstIndex === index && core.log.termAt(index) === run.term,
      "entries not asked for",
    );
    index += run.count;
  }
}

function pushAppend(
  core: RaftCore,
  progress: Progress,
  prevTerm: number,
  runs: readonly EntryRun[],
): boolean {
  const { log } = core;
  const prevIndex = progress.nextIndex - 1;
  let lastIndex = prevIndex;
  let bytes = 0;
  for (let i = 0; i < runs.length; i++) {
    lastIndex += runs[i]!.count;
    bytes += runs[i]!.bytes.length;
  }
  core.outbox.send.push({
    kind: "append",
    from: core.selfId,
    to: progress.id,
    term: core.term,
    prevIndex,
    prevTerm,
    commitIndex: log.commitIndex,
    runs,
  });
  progress.sent(lastIndex, bytes);
  // A probe that fails carried its commit index in vain.
  if (progress.state === "replicate") {
    progress.sentCommitIndex = Math.min(log.commitIndex, lastIndex);
  }
  return progress.state === "replicate" && lastIndex < log.lastIndex;
}

/** A follower holds the leader's log durably up to `index`. */
export function noteAcknowledged(
  core: RaftCore,
  leader: LeaderState,
  progress: Progress,
  response: AppendResponse,
): void {
  const { index, logTerm } = response;
  assert(index <= core.log.lastIndex, "an acknowledgement beyond the leader's log");
  const term = core.log.termAt(index);
  assert(term === undefined || term === logTerm, "an acknowledged entry of another term");
  const isNews = progress.acknowledged(index);
  const resumes = progress.state === "probe" || progress.hasInstalledSnapshot;
  // From a snapshot on, the log goes on if it still has the entry after it.
  if (resumes && progress.matchIndex >= core.log.baseIndex) progress.becomeReplicate();
  else if (resumes) progress.becomeProbe();
  if (!isNews && !resumes) return;
  leader.appendsDue = true;
  if (isNews) advanceCommit(core, leader);
}

/** A follower's log does not fit after `index`; ours and its may agree at the hint. */
export function noteRejected(
  core: RaftCore,
  leader: LeaderState,
  progress: Progress,
  rejection: AppendResponse,
): void {
  const { index, hintIndex, logTerm } = rejection;
  const possible = core.log.highestPossibleMatch(hintIndex, logTerm);
  if (progress.rejected(index, possible)) leader.appendsDue = true;
}
