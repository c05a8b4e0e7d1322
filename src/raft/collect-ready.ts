/**
 * Gathers what is to be done into one Ready. What a turn has brought is sent and persisted
 * together here: one append per follower, one round for all reads, one acknowledgement.
 */
import { must } from "../base/assert.js";
import { NO_ACK, type RaftCore } from "./core.js";
import { beginReadRound, beginRound, hasReadsToBegin } from "./heartbeats.js";
import { Outbox } from "./outbox.js";
import { flushAppends } from "./replication.js";
import type { Ready } from "./ready.js";
import type { Persist } from "./types.js";

export function hasReady(core: RaftCore): boolean {
  const { leader, log } = core;
  if (!core.outbox.isEmpty || log.hasUnhanded || log.hasCommittedToApply) return true;
  if (core.unsentAckIndex !== NO_ACK || hasNewVote(core)) return true;
  if (leader === undefined) return core.readsWaiting.length > 0;
  return leader.appendsDue || leader.roundDue || hasReadsToBegin(core, leader);
}

export function collectReady(core: RaftCore): Ready {
  const { leader } = core;
  if (leader === undefined) {
    forwardReads(core);
  } else {
    beginReadRound(core, leader);
    if (leader.roundDue) beginRound(core, leader);
    if (leader.appendsDue) flushAppends(core, leader);
  }
  const persist = collectPersist(core);
  pushAcknowledgement(core);
  const { outbox } = core;
  core.outbox = new Outbox();
  return {
    send: outbox.send,
    persist,
    sendAfterPersist: outbox.afterPersist,
    apply: core.log.takeCommitted(core.config.applyBytesMax),
    reads: outbox.reads,
    readsFailed: outbox.readsFailed,
    entriesToRead: outbox.entriesToRead,
    snapshotsToSend: outbox.snapshotsToSend,
    events: outbox.events,
  };
}

/** Reads of a replica that does not lead go to the leader it knows, or fail. */
function forwardReads(core: RaftCore): void {
  if (core.readsWaiting.length === 0) return;
  const contexts = core.readsWaiting;
  core.readsWaiting = [];
  if (core.leaderId === 0) {
    core.failReads(contexts);
    return;
  }
  const deadlineMs = core.nowMs + core.config.electionTimeoutMs.min;
  core.outbox.send.push({
    kind: "readIndex",
    from: core.selfId,
    to: core.leaderId,
    term: core.term,
    request: core.forwardedReads.add(contexts, deadlineMs),
  });
}

/**
 * A commit index alone is not worth a write: after a restart it is learned again. It goes along
 * when something else is written.
 */
function collectPersist(core: RaftCore): Persist | undefined {
  const { handedHardState: handed, log, outbox } = core;
  const isVoteNew = hasNewVote(core);
  if (!isVoteNew && !log.hasUnhanded && outbox.snapshot === undefined) return undefined;
  const isHardStateNew = isVoteNew || handed.commitIndex !== log.commitIndex;
  if (isHardStateNew) {
    core.handedHardState = { term: core.term, vote: core.vote, commitIndex: log.commitIndex };
  }
  const persist: Persist = {
    hardState: isHardStateNew ? core.handedHardState : undefined,
    runs: log.takeUnhanded(),
    snapshot: outbox.snapshot,
    keepsLog: outbox.keepsLog,
  };
  if (log.durableIndex < log.lastIndex) pushOwnReport(core);
  return persist;
}

/**
 * The disk's report to this replica itself, ahead of all else that waits for the disk. It names
 * the whole log, so a report that was dropped because the term changed is made up for by the next,
 * which the new term's own hard state brings about.
 */
function pushOwnReport(core: RaftCore): void {
  core.outbox.afterPersist.unshift({
    kind: "appendResponse",
    from: core.selfId,
    to: core.selfId,
    term: core.term,
    index: core.log.lastIndex,
    logTerm: core.log.lastTerm,
    rejected: false,
    hintIndex: 0,
  });
}

function pushAcknowledgement(core: RaftCore): void {
  if (core.unsentAckIndex === NO_ACK) return;
  // What was compacted meanwhile was committed, so the leader has it, up to the base.
  const index = Math.max(core.unsentAckIndex, core.log.baseIndex);
  core.unsentAckIndex = NO_ACK;
  if (core.role !== "follower" || core.leaderId === 0) return;
  core.outbox.afterPersist.push({
    kind: "appendResponse",
    from: core.selfId,
    to: core.leaderId,
    term: core.term,
    index,
    logTerm: must(core.log.termAt(index), "term of an acknowledged entry"),
    rejected: false,
    hintIndex: 0,
  });
}

function hasNewVote(core: RaftCore): boolean {
  return core.handedHardState.term !== core.term || core.handedHardState.vote !== core.vote;
}
