/** To whom a leader hands over, where several may lead. */
import type { Raft } from "../raft/raft.js";
import type { ReplicaId } from "../raft/types.js";

/**
 * Hands over to the first of these voters that is not refused, who has most of the log first: one
 * that is being refilled may have as much of it as any. Returns whether there is one.
 */
export function handOver(
  raft: Pick<Raft, "progress" | "transferLeader">,
  candidates: readonly ReplicaId[],
  nowMs: number,
): boolean {
  const matchOf = (id: ReplicaId): number => raft.progress(id)?.matchIndex ?? 0;
  return candidates
    .toSorted((a, b) => matchOf(b) - matchOf(a))
    .some((id) => raft.transferLeader(id, nowMs) === undefined);
}
