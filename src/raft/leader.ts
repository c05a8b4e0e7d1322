/**
 * The leader: how one comes to be, what it does as time passes, what it accepts and how it answers
 * the messages of its term. Replication, rounds and transfer have files of their own.
 */
import type { EntryRun } from "../base/entry-run.js";
import { isPermittedChange, newVotersOf } from "./configuration.js";
import type { RaftCore } from "./core.js";
import { beginRound, checkLease, checkQuorum, noteEcho, refreshLease } from "./heartbeats.js";
import { LeaderState } from "./leader-state.js";
import type {
  AppendResponse,
  HeartbeatResponse,
  ReadIndexMessage,
  RefillMessage,
} from "./message.js";
import type { Progress } from "./progress.js";
import { mayQuiesce, quiesce } from "./quiescence.js";
import {
  appendAsLeader,
  appendConfiguration,
  appendNoop,
  noteAcknowledged,
  noteOwnDurable,
  noteRejected,
  refill,
} from "./replication.js";
import { checkTransfer, continueTransfer, isRefilling, startTransfer } from "./transfer.js";
import type { Configuration, ProposeRefusal, ProposeResult } from "./types.js";

const STEWARD_ELECTIONS = 10;

/** Leads the term whose election it won; its own vote in it is durable. */
export function becomeLeader(core: RaftCore): void {
  const { log } = core;
  const noopIndex = log.lastIndex + 1;
  const leader = new LeaderState(core.config, noopIndex, core.nowMs);
  core.becomeLeader(leader);
  leader.follow(core.configuration, noopIndex, core.nowMs);
  leader.self.acknowledged(log.durableIndex);
  if (log.isStateLost) leader.stewardUntilMs = core.nowMs + stewardshipMs(core);
  leader.uncommittedBytes = log.bytesBetween(log.commitIndex, log.lastIndex);
  // The first heartbeat goes out with the no-op: everybody else shall stop campaigning.
  leader.roundDue = true;
  refreshLease(core, leader);
  appendNoop(core, leader);
}

export function tickLeader(core: RaftCore, leader: LeaderState): void {
  checkLease(core, leader);
  checkQuorum(core, leader);
  if (core.leader === undefined) return;
  checkTransfer(core, leader);
  if (core.leader === undefined) return;
  if (core.isHeldUp) leaveIfOutrun(core, leader);
  else if (core.log.isStateLost) leaveInTime(core, leader, leader.stewardUntilMs);
  if (core.leader === undefined) return;
  if (core.nowMs >= leader.commitNoticeDueMs) leader.appendsDue = true;
  if (core.nowMs < leader.heartbeatDueMs) return;
  if (mayQuiesce(core, leader)) quiesce(core, leader);
  else if (leader.peers.length > 0) beginRound(core, leader);
}

export function leaderDeadlineMs(leader: LeaderState): number {
  const heartbeatMs = leader.peers.length > 0 ? leader.heartbeatDueMs : Number.POSITIVE_INFINITY;
  const transferMs = leader.transfer?.deadlineMs ?? Number.POSITIVE_INFINITY;
  return Math.min(heartbeatMs, transferMs, leader.commitNoticeDueMs);
}

/** Appends a run of commands to the leader's log. */
export function proposeCommands(
  core: RaftCore,
  leader: LeaderState,
  bytes: Uint8Array,
  count: number,
): ProposeResult {
  if (leader.transfer !== undefined) return refused("transferring");
  const { log } = core;
  // A leader with nothing in flight takes any size: otherwise a huge entry would never pass.
  const isCrowded = leader.uncommittedBytes + bytes.length > core.config.uncommittedBytesMax;
  if (isCrowded && leader.uncommittedBytes > 0) return refused("uncommittedLimit");
  const firstIndex = log.lastIndex + 1;
  const run: EntryRun = { kind: "command", term: core.term, firstIndex, count, bytes };
  appendAsLeader(core, leader, run);
  return { kind: "accepted", firstIndex, term: core.term };
}

export function proposeConfigurationChange(
  core: RaftCore,
  leader: LeaderState,
  next: Configuration,
): ProposeResult {
  if (leader.transfer !== undefined) return refused("transferring");
  // Without a commit in its own term a leader may not know of a change that was committed.
  if (!core.hasCommittedInTerm) return refused("noCommitInTerm");
  const isPending = core.configurations.activeIndex > core.log.commitIndex;
  if (isPending || core.configuration.outgoing.length > 0) return refused("configurationPending");
  if (!isPermittedChange(core.configuration, next)) return refused("invalidConfiguration");
  if (hasLaggards(core, leader, next)) return refused("learnerLags");
  return { kind: "accepted", firstIndex: appendConfiguration(core, leader, next), term: core.term };
}

/** A voter that still has to catch up would hold commits back, so it catches up as a learner. */
function hasLaggards(core: RaftCore, leader: LeaderState, next: Configuration): boolean {
  const heardSinceMs = core.nowMs - core.config.electionTimeoutMs.min;
  return newVotersOf(core.configuration, next).some(
    (id) => leader.progress(id)?.isCaughtUp(core.log.commitIndex, heardSinceMs) !== true,
  );
}

export function handleAppendResponse(
  core: RaftCore,
  leader: LeaderState,
  message: AppendResponse,
): void {
  if (message.from === core.selfId) {
    core.log.durableTo(message.index, message.logTerm);
    noteOwnDurable(core, leader);
    return;
  }
  const progress = leader.progress(message.from);
  if (progress === undefined) return;
  progress.lastHeardMs = core.nowMs;
  progress.heard = true;
  if (message.rejected) noteRejected(core, leader, progress, message);
  else noteAcknowledged(core, leader, progress, message);
  if (leader.transfer !== undefined) continueTransfer(core, leader);
}

export function handleRefill(core: RaftCore, leader: LeaderState, message: RefillMessage): void {
  const progress = leader.progress(message.from);
  if (progress === undefined) return;
  progress.lastHeardMs = core.nowMs;
  progress.heard = true;
  progress.refillAskedMs = core.nowMs;
  leader.workedMs = core.nowMs;
  refill(core, leader, progress, message);
  progress.refillEnd ??= core.log.lastIndex;
  const isInDoubt = message.stateIndex === 0 && message.lastIndex >= progress.refillEnd;
  if (isInDoubt) bringNextTerm(core, leader);
}

/**
 * A replica has all that there was when it asked, and asks still: it does not know where its log
 * ended in this term. Only an entry of the next one puts that beyond doubt. Until then it cannot
 * campaign, and votes for nobody who has no such entry.
 */
function bringNextTerm(core: RaftCore, leader: LeaderState): void {
  if (leader.transfer !== undefined || core.nowMs < leader.nextTermMs) return;
  leader.nextTermMs = core.nowMs + stewardshipMs(core);
  handOver(core, leader);
}

/**
 * The state is lost: leads until the voter that has most of the log takes over, and no longer.
 * Returns whether there is one: without, nobody could lead, nor refill anybody.
 */
export function resign(core: RaftCore, leader: LeaderState): boolean {
  const isLeaving = handOver(core, leader);
  if (isLeaving) core.log.loseState();
  return isLeaving;
}

/**
 * The disk stalls. Only where the others have committed what it has not written is it known that
 * they can go on without it; elsewhere, as where all disks are slow, nobody would be better off.
 */
function leaveIfOutrun(core: RaftCore, leader: LeaderState): void {
  if (core.log.commitIndex <= core.log.durableIndex) return;
  leader.outrunUntilMs ??= core.nowMs + core.config.electionTimeoutMs.min;
  leaveInTime(core, leader, leader.outrunUntilMs);
}

/**
 * The disk stalls, or the state is lost. Nothing of a transfer needs either: the others commit what
 * is in flight without this disk, and TimeoutNow is not persisted. Who rested has to hear somebody
 * first, and so have they.
 */
function leaveInTime(core: RaftCore, leader: LeaderState, byMs: number): void {
  if (leader.transfer !== undefined) return;
  if (core.nowMs >= byMs) core.becomeFollower(core.term, 0);
  else handOver(core, leader);
}

/** Hands over to the voter that has most of the log; returns whether there is one. */
function handOver(core: RaftCore, leader: LeaderState): boolean {
  let best: Progress | undefined;
  for (const progress of leader.peers) {
    if (!mayTakeOver(core, progress)) continue;
    if (best === undefined || progress.matchIndex > best.matchIndex) best = progress;
  }
  if (best === undefined) return false;
  startTransfer(core, leader, best.id);
  return true;
}

/** What it takes to send the others what they lack of the log, at most. */
function stewardshipMs(core: RaftCore): number {
  return STEWARD_ELECTIONS * core.config.electionTimeoutMs.max;
}

function mayTakeOver(core: RaftCore, progress: Progress): boolean {
  return (
    core.configuration.voters.includes(progress.id) &&
    progress.state === "replicate" &&
    progress.heard &&
    core.nowMs - progress.lastHeardMs < core.config.electionTimeoutMs.min &&
    !isRefilling(core, progress)
  );
}

export function handleHeartbeatResponse(
  core: RaftCore,
  leader: LeaderState,
  message: HeartbeatResponse,
): void {
  const progress = leader.progress(message.from);
  if (progress === undefined) return;
  progress.lastHeardMs = core.nowMs;
  progress.heard = true;
  noteEcho(core, leader, progress, message);
  if (leader.transfer !== undefined) continueTransfer(core, leader);
}

/** A follower wants to read: it gets the commit index once the next round is confirmed. */
export function handleReadIndex(
  _core: RaftCore,
  leader: LeaderState,
  message: ReadIndexMessage,
): void {
  if (leader.progress(message.from) === undefined) return;
  leader.remoteReads.push({ from: message.from, request: message.request });
}

function refused(reason: ProposeRefusal): ProposeResult {
  return { kind: "refused", reason };
}
