/**
 * The leader's heartbeat rounds and what hangs on their echoes: confirmed reads, the leader lease
 * and the knowledge that a quorum is still there. A round that serves reads is an ordinary round
 * that begins early.
 */
import type { RaftCore } from "./core.js";
import type { LeaderState } from "./leader-state.js";
import type { HeartbeatResponse } from "./message.js";
import type { Progress } from "./progress.js";

/** Begins a round: asks everybody for an echo, and for a promise while lease reads are in use. */
export function beginRound(core: RaftCore, leader: LeaderState): number {
  const { config, nowMs } = core;
  const round = leader.rounds.begin(nowMs);
  leader.roundDue = false;
  leader.heartbeatDueMs = nowMs + config.heartbeatMs;
  const isTransferring = leader.transfer !== undefined;
  const promiseMs = core.leaseInUse && !isTransferring ? config.leaseMs : 0;
  if (promiseMs > 0) leader.promisesAsked = true;
  for (const progress of leader.peers) {
    core.outbox.send.push({
      kind: "heartbeat",
      from: core.selfId,
      to: progress.id,
      term: core.term,
      round,
      commitIndex: Math.min(progress.matchIndex, core.log.commitIndex),
      promiseMs,
      release: isTransferring,
    });
  }
  return round;
}

/** Begins one round for all reads that wait; before the first commit in the term they wait on. */
export function beginReadRound(core: RaftCore, leader: LeaderState): void {
  if (!hasReadsToBegin(core, leader)) return;
  leader.readRounds.push({
    round: beginRound(core, leader),
    index: core.log.commitIndex,
    contexts: core.readsWaiting,
    remote: leader.remoteReads,
  });
  core.readsWaiting = [];
  leader.remoteReads = [];
  answerReads(core, leader);
}

export function hasReadsToBegin(core: RaftCore, leader: LeaderState): boolean {
  return core.hasCommittedInTerm && (core.readsWaiting.length > 0 || leader.remoteReads.length > 0);
}

/** A replica echoed a round of this term. */
export function noteEcho(
  core: RaftCore,
  leader: LeaderState,
  progress: Progress,
  message: HeartbeatResponse,
): void {
  progress.resume(core.nowMs, core.log.lastIndex);
  leader.appendsDue = true;
  if (message.round > progress.confirmedRound) {
    progress.confirmedRound = message.round;
    answerReads(core, leader);
  }
  const startMs = message.promised ? leader.rounds.startMs(message.round) : undefined;
  if (startMs !== undefined && startMs > progress.promisedFromMs) {
    progress.promisedFromMs = startMs;
    refreshLease(core, leader);
  }
}

/** The lease as it stands; false as soon as time has run past it. */
export function isLeaseValid(core: RaftCore, leader: LeaderState): boolean {
  if (core.config.leaseMs === 0 || leader.transfer !== undefined) return false;
  return core.hasCommittedInTerm && core.nowMs < leader.leaseUntilMs;
}

/** Notes a lease that has run out. */
export function checkLease(core: RaftCore, leader: LeaderState): void {
  if (!leader.leaseHeld || core.nowMs < leader.leaseUntilMs) return;
  leader.leaseHeld = false;
  core.outbox.events.push({ kind: "leaseLost", term: core.term });
}

/** Gives up the lease and every promise it rests on; only promises of later rounds count. */
export function voidLease(core: RaftCore, leader: LeaderState): void {
  leader.rounds.voidPromises();
  for (const progress of leader.peers) progress.promisedFromMs = Number.NEGATIVE_INFINITY;
  leader.leaseUntilMs = Number.NEGATIVE_INFINITY;
  checkLease(core, leader);
}

/** The lease ends until a round that begins now is answered; a lone voter has it at once. */
export function doubtPromises(core: RaftCore, leader: LeaderState): void {
  voidLease(core, leader);
  refreshLease(core, leader);
  if (core.leaseInUse) leader.roundDue = true;
}

/** Recomputes the lease, which a change of members may shorten as well as a promise lengthen. */
export function refreshLease(core: RaftCore, leader: LeaderState): void {
  if (core.config.leaseMs === 0 || leader.transfer !== undefined) return;
  leader.leaseUntilMs = leader.rounds.leaseUntilMs(leader.quorumPromisedFromMs());
  if (leader.leaseHeld || core.nowMs >= leader.leaseUntilMs) return;
  leader.leaseHeld = true;
  core.outbox.events.push({ kind: "leaseAcquired", term: core.term });
}

/** Steps down when no quorum was heard for as long as the longest election timeout. */
export function checkQuorum(core: RaftCore, leader: LeaderState): void {
  if (!core.config.checkQuorum) return;
  if (core.nowMs - leader.quorumHeardMs() < core.config.electionTimeoutMs.max) return;
  core.outbox.events.push({ kind: "quorumLost", term: core.term });
  core.becomeFollower(core.term, 0);
}

function answerReads(core: RaftCore, leader: LeaderState): void {
  const confirmed = leader.quorumRound();
  while (leader.readRounds.length > 0 && leader.readRounds[0]!.round <= confirmed) {
    const { index, contexts, remote } = leader.readRounds.shift()!;
    for (const context of contexts) core.outbox.reads.push({ context, index });
    // A follower that is told an index waits until it has heard of the commit.
    if (remote.length > 0) leader.hastenCommitNotice(core.nowMs);
    for (const { from, request } of remote) {
      core.outbox.send.push({
        kind: "readIndexResponse",
        from: core.selfId,
        to: from,
        term: core.term,
        request,
        index,
      });
    }
  }
}
