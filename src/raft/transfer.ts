/**
 * Handing leadership to a chosen voter. In order:
 *
 *   1. the lease is given up, proposals stall, and voters are told that their promises are void
 *   2. a quorum and the target have heard that, and the target holds the leader's whole log
 *   3. TimeoutNow: the target asks for votes at once, and that a leader is heard is no objection
 *
 * After an election timeout the leader gives up and goes on; its lease begins anew with the next
 * round. A late TimeoutNow does no harm then: promises given since forbid the votes it asks for.
 */
import type { RaftCore } from "./core.js";
import { beginRound, refreshLease, voidLease } from "./heartbeats.js";
import type { LeaderState } from "./leader-state.js";
import type { Progress } from "./progress.js";
import { finishConfigurationChange } from "./replication.js";
import type { ReplicaId, TransferRefusal } from "./types.js";

export function startTransfer(
  core: RaftCore,
  leader: LeaderState,
  to: ReplicaId,
): TransferRefusal | undefined {
  if (to === core.selfId) return "alreadyLeader";
  if (!core.configuration.voters.includes(to)) return "notVoter";
  const target = leader.progress(to);
  if (target !== undefined && isRefilling(core, target)) return "refilling";
  if (leader.transfer !== undefined) return leader.transfer.to === to ? undefined : "transferring";
  leader.transfer = {
    to,
    deadlineMs: core.nowMs + core.config.electionTimeoutMs.min,
    releaseRound: leader.promisesAsked ? leader.rounds.latest + 1 : 0,
    timeoutNowSent: false,
  };
  voidLease(core, leader);
  core.outbox.events.push({ kind: "transfer", to, phase: "started" });
  if (leader.promisesAsked) beginRound(core, leader);
  target?.resume(core.nowMs, core.log.lastIndex);
  leader.appendsDue = true;
  continueTransfer(core, leader);
  return undefined;
}

/** Whether a replica has said lately that it lacks something; it repeats that as it hears us. */
export function isRefilling(core: RaftCore, progress: Progress): boolean {
  return core.nowMs - progress.refillAskedMs <= core.config.electionTimeoutMs.min;
}

/** Sends TimeoutNow once nothing stands against it any more. */
export function continueTransfer(core: RaftCore, leader: LeaderState): void {
  const { transfer } = leader;
  if (transfer === undefined || transfer.timeoutNowSent) return;
  const target = leader.progress(transfer.to);
  if (target === undefined || target.matchIndex < core.log.lastIndex) return;
  const heardBy = Math.min(target.confirmedRound, leader.quorumRound());
  if (heardBy < transfer.releaseRound) return;
  transfer.timeoutNowSent = true;
  core.outbox.events.push({ kind: "transfer", to: transfer.to, phase: "timeoutNow" });
  core.outbox.send.push({
    kind: "timeoutNow",
    from: core.selfId,
    to: transfer.to,
    term: core.term,
    lastIndex: core.log.lastIndex,
  });
}

/** Gives a transfer up that took too long. Its target still votes: nothing changes meanwhile. */
export function checkTransfer(core: RaftCore, leader: LeaderState): void {
  const { transfer } = leader;
  if (transfer === undefined || core.nowMs < transfer.deadlineMs) return;
  leader.transfer = undefined;
  // Promises count from the next round on; those asked for meanwhile were not.
  voidLease(core, leader);
  refreshLease(core, leader);
  core.outbox.events.push({ kind: "transfer", to: transfer.to, phase: "aborted" });
  finishConfigurationChange(core, leader);
}
