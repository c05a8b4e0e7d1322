/**
 * Quiescence: a group without work rests. Nobody ticks, nobody sends heartbeats, until a proposal,
 * a read, any message or the host wakes it. It is off unless `quiesceAfterMs` says otherwise.
 *
 *   1. the leader had no work for that long, leases are not in use, and every member holds its
 *      whole log, knows what it was sent and has answered the latest round
 *   2. quiesce goes to everybody, and the leader rests
 *   3. who holds exactly the leader's log rests too; who does not stays awake, and its campaign
 *      wakes the leader if heartbeats do not come again
 *
 * Rest changes no term, vote or log and gives no promise, so safety does not depend on it. That
 * the leader of a resting group lives is for the host to watch, by node and by run: it calls
 * leaderLost or peerUnreachable, which wake.
 */
import type { RaftCore } from "./core.js";
import type { LeaderState } from "./leader-state.js";
import type { QuiesceMessage } from "./message.js";
import type { Progress } from "./progress.js";
import { isLacking } from "./refill-request.js";
import { isRefilling } from "./transfer.js";

/** Whether the leader's group has nothing left to do. */
export function mayQuiesce(core: RaftCore, leader: LeaderState): boolean {
  const { config, log } = core;
  if (config.quiesceAfterMs === 0 || core.nowMs - leader.workedMs < config.quiesceAfterMs) {
    return false;
  }
  if (isLacking(core)) return false;
  const hasReads = core.readsWaiting.length + leader.remoteReads.length > 0;
  if (core.leaseInUse || leader.transfer !== undefined || hasReads) return false;
  // A leader without a commit in its term, or that has to leave a joint configuration, has entries
  // that are not committed.
  const { lastIndex } = log;
  const isDone = Math.min(log.commitIndex, log.appliedIndex, log.durableIndex) === lastIndex;
  return isDone && leader.readRounds.length === 0 && leader.peers.every(isAtRest);

  function isAtRest(progress: Progress): boolean {
    const isHeard = progress.confirmedRound === leader.rounds.latest;
    if (isRefilling(core, progress)) return false;
    return isHeard && progress.state === "replicate" && progress.matchIndex === lastIndex;
  }
}

/** Puts the group to rest. */
export function quiesce(core: RaftCore, leader: LeaderState): void {
  for (const { id } of leader.peers) {
    core.outbox.send.push({
      kind: "quiesce",
      from: core.selfId,
      to: id,
      term: core.term,
      round: leader.rounds.latest,
      index: core.log.lastIndex,
      logTerm: core.log.lastTerm,
    });
  }
  // News of a commit go along.
  leader.commitNoticeDueMs = Number.POSITIVE_INFINITY;
  rest(core);
}

/** The leader rests. So does this replica, if it lacks nothing and heard no later round. */
export function handleQuiesce(core: RaftCore, message: QuiesceMessage): void {
  const isLost = core.leaderHeardMs === Number.NEGATIVE_INFINITY;
  core.hearLeader(message.from);
  if (isLost || !mayRest(core, message)) {
    wake(core);
    return;
  }
  if (core.log.commitIndex < message.index) core.log.commitTo(message.index);
  if (!core.isQuiet) rest(core);
}

function mayRest(core: RaftCore, message: QuiesceMessage): boolean {
  const { config, log } = core;
  const isSame = log.lastIndex === message.index && log.lastTerm === message.logTerm;
  if (config.quiesceAfterMs === 0 || message.round !== core.roundSeen) return false;
  if (isLacking(core)) return false;
  return isSame && log.durableIndex === log.lastIndex && !core.hasReadsUnderWay;
}

/** Ends a rest, if there is one. Timers start anew: nobody was expected to be heard meanwhile. */
export function wake(core: RaftCore): void {
  if (core.leader !== undefined) core.leader.workedMs = core.nowMs;
  if (!core.isQuiet) return;
  core.isQuiet = false;
  restartTimers(core);
  if (core.leader !== undefined) core.leader.roundDue = true;
  core.outbox.events.push({ kind: "quiescence", term: core.term, quiet: false });
}

/** Ends a rest by a call that does not tell the time: the next tick starts the timers again. */
export function wakeUntimed(core: RaftCore): void {
  core.isWaking ||= core.isQuiet;
  wake(core);
}

/** The first tick after a rest tells the time. */
export function finishWaking(core: RaftCore): void {
  if (!core.isWaking) return;
  core.isWaking = false;
  restartTimers(core);
}

function restartTimers(core: RaftCore): void {
  const { leader, nowMs } = core;
  if (leader === undefined) {
    core.resetElectionTimer();
    // The host would have said so if the leader's node were gone.
    if (core.leaderHeardMs > Number.NEGATIVE_INFINITY) core.leaderHeardMs = nowMs;
    return;
  }
  leader.workedMs = nowMs;
  for (const progress of leader.peers) {
    // Given time to answer, but not taken for alive before it has.
    progress.heard = false;
    progress.lastHeardMs = Math.max(progress.lastHeardMs, nowMs);
  }
}

function rest(core: RaftCore): void {
  core.isQuiet = true;
  core.isWaking = false;
  core.outbox.events.push({ kind: "quiescence", term: core.term, quiet: true });
}
