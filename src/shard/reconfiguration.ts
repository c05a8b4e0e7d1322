/**
 * How a leader brings its shard to the replicas that the map wants: from the Raft configuration as
 * it is to the next thing to do. Learners are changed directly, voters by a joint configuration,
 * which the core leaves by itself. A leader that is to vote no more hands over first. Asked again
 * at any time, by any leader, it goes on from where the configuration stands.
 *
 * A target is a step from the replicas it was planned for. Where the configuration is neither, this
 * node's map is too old, or a target that was given up was reached after all: nothing is done until
 * the map has the configuration's own replicas, or wants those that it has brought back.
 */
import { idsOf, sameIds, sameReplicas } from "../placement/replica-sets.js";
import type { ReplicaDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { enterJoint, isJoint } from "../raft/configuration.js";
import type { Configuration, ReplicaId } from "../raft/types.js";

export type ReconfigurationStep =
  | { readonly kind: "done" }
  /** A change is under way, or the map is too old. */
  | { readonly kind: "wait" }
  /** Hand over to one of these. */
  | { readonly kind: "transfer"; readonly candidates: readonly ReplicaId[] }
  | { readonly kind: "propose"; readonly configuration: Configuration };

export function nextReconfiguration(
  current: Configuration,
  { replicas, target }: Pick<ShardDescriptor, "replicas" | "target">,
  selfId: ReplicaId,
): ReconfigurationStep {
  if (target === undefined || shows(current, target)) return { kind: "done" };
  if (isJoint(current)) return { kind: "wait" };
  if (!shows(current, replicas) && !sameReplicas(replicas, target)) return { kind: "wait" };
  const voters = idsOf(target, "voter");
  const learners = idsOf(target, "learner");
  if (sameIds(voters, current.voters)) {
    return { kind: "propose", configuration: { ...current, learners } };
  }
  if (!voters.includes(selfId)) {
    return { kind: "transfer", candidates: current.voters.filter((id) => voters.includes(id)) };
  }
  return { kind: "propose", configuration: enterJoint(current, voters, learners) };
}

/** Whether a configuration is what these replicas say. */
export function shows(
  configuration: Configuration,
  replicas: readonly ReplicaDescriptor[],
): boolean {
  return (
    !isJoint(configuration) &&
    sameIds(configuration.voters, idsOf(replicas, "voter")) &&
    sameIds(configuration.learners, idsOf(replicas, "learner"))
  );
}
