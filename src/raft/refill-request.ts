/**
 * A replica that lacks something asks for it: with each heartbeat, so that it does not matter which
 * of its requests are lost, and whenever its election timer runs out. It cannot campaign, and a
 * leader that rests sends no heartbeats.
 */
import { votersOf } from "./configuration.js";
import type { RaftCore } from "./core.js";
import type { ReplicaId } from "./types.js";

export function isLacking({ log }: RaftCore): boolean {
  return log.isShort || log.isStateLost;
}

export function askForRefill(core: RaftCore, leaderId: ReplicaId): void {
  const { log } = core;
  core.outbox.send.push({
    kind: "refill",
    from: core.selfId,
    to: leaderId,
    term: core.term,
    lastIndex: log.durableIndex,
    stateIndex: log.isStateLost ? Math.max(1, log.appliedIndex) : 0,
  });
}

/** Wakes the leader, or those who find one. */
export function askAround(core: RaftCore): void {
  if (core.leaderId !== 0) return askForRefill(core, core.leaderId);
  for (const id of votersOf(core.configuration)) if (id !== core.selfId) askForRefill(core, id);
}
