/** Replicas as sets of ids by role: what a map wants and what a Raft configuration shows. */
import type { ReplicaDescriptor, ReplicaRole } from "../protocol/cluster.js";

/** In ascending order. */
export function idsOf(replicas: readonly ReplicaDescriptor[], role: ReplicaRole): number[] {
  const ids = replicas.filter((each) => each.role === role).map((each) => each.replicaId);
  return ids.sort((a, b) => a - b);
}

export function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

/** Whether both name the same voters and the same learners. */
export function sameReplicas(
  a: readonly ReplicaDescriptor[],
  b: readonly ReplicaDescriptor[],
): boolean {
  return (["voter", "learner"] as const).every((role) => sameIds(idsOf(a, role), idsOf(b, role)));
}
