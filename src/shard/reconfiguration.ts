/**
 * How a leader brings its shard to the replicas that the map wants: from the Raft configuration as
 * it is to the next thing to do. Learners are changed directly, voters by a joint configuration,
 * which the core leaves by itself. A leader that is to vote no more hands over first. Asked again
 * at any time, by any leader, it goes on from where the configuration stands.
 */
import type { ReplicaDescriptor, ReplicaRole } from "../protocol/cluster.js";
import { enterJoint, isJoint } from "../raft/configuration.js";
import type { Configuration, ReplicaId } from "../raft/types.js";

export type ReconfigurationStep =
  | { readonly kind: "done" }
  /** A change is under way. */
  | { readonly kind: "wait" }
  /** Hand over to one of these. */
  | { readonly kind: "transfer"; readonly candidates: readonly ReplicaId[] }
  | { readonly kind: "propose"; readonly configuration: Configuration };

export function nextReconfiguration(
  current: Configuration,
  target: readonly ReplicaDescriptor[],
  selfId: ReplicaId,
): ReconfigurationStep {
  if (isJoint(current)) return { kind: "wait" };
  if (shows(current, target)) return { kind: "done" };
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

function idsOf(replicas: readonly ReplicaDescriptor[], role: ReplicaRole): ReplicaId[] {
  const ids = replicas.filter((each) => each.role === role).map((each) => each.replicaId);
  return ids.sort((a, b) => a - b);
}

function sameIds(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
