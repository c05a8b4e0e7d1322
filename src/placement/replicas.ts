/**
 * The changes of a shard's replicas, one small step each: add a learner, promote it (and demote a
 * voter in the same joint change), demote, remove a learner. A step is bound to the descriptor's
 * configuration epoch. It becomes the shard's target; its leader brings that about and reports; the
 * report makes the target the shard's replicas and raises the epoch. While there is a target no
 * other step is taken, so that never two changes are under way in a shard. A target that lost the
 * quorum it needs before anything was begun is given up.
 */
import type {
  NodeDescriptor,
  ReplicaDescriptor,
  ReplicaRole,
  ShardDescriptor,
} from "../protocol/cluster.js";
import type { ReplicaChangeRequest } from "../protocol/admin-messages.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { NOTHING, refuse, write } from "./decision.js";
import type { PlacementDecision } from "./decision.js";
import { isSafeTarget, votersOf } from "./quorum.js";
import type { ClusterHealth, ShardReport } from "./quorum.js";
import { shardRecord } from "./records.js";
import { idsOf, sameIds, sameReplicas } from "./replica-sets.js";
import type { PlacementState } from "./records.js";

export type ReplicaStep = {
  readonly shardId: number;
  /** Of the descriptor that the step was made from. */
  readonly configuration: number;
} & (
  | { readonly kind: "add"; readonly nodeId: number }
  /** `demotes`: the voter that becomes a learner in the same change; 0 for none. */
  | { readonly kind: "promote"; readonly replicaId: number; readonly demotes: number }
  | { readonly kind: "demote"; readonly replicaId: number }
  | { readonly kind: "remove"; readonly replicaId: number }
  /** To the replicas as they are on the map: a target that was given up was reached after all. */
  | { readonly kind: "restore" }
);

/** The replicas after a step; `newId` is the id of one that is added. */
export function targetOf(
  replicas: readonly ReplicaDescriptor[],
  step: ReplicaStep,
  newId: number,
): readonly ReplicaDescriptor[] {
  switch (step.kind) {
    case "add":
      return [...replicas, { replicaId: newId, nodeId: step.nodeId, role: "learner" }];
    case "promote":
      return replicas.map((replica) => {
        if (replica.replicaId === step.replicaId) return withRole(replica, "voter");
        return replica.replicaId === step.demotes ? leaving(replica) : replica;
      });
    case "demote":
      return replicas.map((each) => (each.replicaId === step.replicaId ? leaving(each) : each));
    case "remove":
      return replicas.filter((replica) => replica.replicaId !== step.replicaId);
    case "restore":
      return replicas;
  }
}

/** Makes a step the shard's target; nothing where the shard has changed since it was planned. */
export function beginStep(state: PlacementState, step: ReplicaStep): PlacementDecision {
  const shard = shardOf(state, step.shardId);
  if (shard === undefined || shard.target !== undefined) return NOTHING;
  if (shard.epoch.configuration !== step.configuration) return NOTHING;
  const { replicaId } = state.counters;
  const target = targetOf(shard.replicas, step, replicaId);
  const counters = step.kind === "add" ? { replicaId: replicaId + 1 } : {};
  return write(state, [shardRecord({ ...shard, target })], counters);
}

/** A leader has applied the target: it is what the shard's replicas are from now on. */
export function confirmTarget(state: PlacementState, report: ShardReport): PlacementDecision {
  const shard = shardOf(state, report.shardId);
  if (shard?.target === undefined || !confirms(shard, report)) return NOTHING;
  const { target, epoch } = shard;
  return write(state, [
    shardRecord({
      ...shard,
      epoch: { ...epoch, configuration: epoch.configuration + 1 },
      replicas: target,
      target: undefined,
      confirmedIndex: report.appliedIndex,
      preferredNodeId: preferredOf(shard, target),
    }),
  ]);
}

/**
 * Whether a report shows the target. One that is not ahead of the confirmation before may come from
 * a leader that was deposed, and show an older configuration that looks the same.
 */
export function confirms(shard: ShardDescriptor, report: ShardReport): boolean {
  const { target } = shard;
  return target !== undefined && isNewer(shard, report) && showsReplicas(report, target);
}

/** Whether a shard's leader has other replicas than the map says and nobody asked for. */
export function hasStrayed(shard: ShardDescriptor, report: ShardReport): boolean {
  if (shard.target !== undefined || report.joint || !isNewer(shard, report)) return false;
  return !showsReplicas(report, shard.replicas);
}

function isNewer(shard: ShardDescriptor, report: ShardReport): boolean {
  return report.appliedIndex > (shard.confirmedIndex ?? 0);
}

function showsReplicas(report: ShardReport, replicas: readonly ReplicaDescriptor[]): boolean {
  return (
    !report.joint &&
    sameIds(report.voters, idsOf(replicas, "voter")) &&
    sameIds(report.learners, idsOf(replicas, "learner"))
  );
}

/**
 * Gives up a target that nothing was done for and that would leave the shard without a quorum; and
 * one that its leader cannot begin, because an earlier one that was given up was reached after all.
 */
export function abandonTarget(
  state: PlacementState,
  shardId: number,
  { alive, reports }: ClusterHealth,
): PlacementDecision {
  const shard = shardOf(state, shardId);
  const report = reports.get(shardId);
  if (shard?.target === undefined || report === undefined) return NOTHING;
  const { epoch, replicas, target } = shard;
  const isBegun = !showsReplicas(report, replicas);
  const isStuck = isBegun && isNewer(shard, report) && strandedBy(report, replicas, target);
  if (!isStuck && (isBegun || isSafeTarget(shard, target, alive))) return NOTHING;
  const next = { ...epoch, configuration: epoch.configuration + 1 };
  return write(state, [shardRecord({ ...shard, epoch: next, target: undefined })]);
}

/** A change of replicas that an operator asks for: a voter is demoted first, then removed. */
export function changeReplica(
  state: PlacementState,
  request: ReplicaChangeRequest,
  health: ClusterHealth,
): PlacementDecision {
  const shard = shardOf(state, request.shardId);
  if (shard === undefined) {
    return refuse(notApplied("shardNotFound", `there is no shard ${request.shardId}`));
  }
  if (shard.target !== undefined) {
    const text = `the replicas of shard ${shard.shardId} are being changed; try again`;
    return refuse(notApplied("unavailable", text));
  }
  const step = stepFor(state, shard, request, health);
  if (!("kind" in step)) return refuse(step);
  const { replicaId } = state.counters;
  if (!isSafeTarget(shard, targetOf(shard.replicas, step, replicaId), health.alive)) {
    const text = `the change would leave shard ${shard.shardId} without a quorum`;
    return refuse(notApplied("invalidArgument", text));
  }
  return beginStep(state, step);
}

function stepFor(
  state: PlacementState,
  shard: ShardDescriptor,
  { action, nodeId }: ReplicaChangeRequest,
  health: ClusterHealth,
): ReplicaStep | KvError {
  const bound = { shardId: shard.shardId, configuration: shard.epoch.configuration };
  const held = shard.replicas.find((replica) => replica.nodeId === nodeId);
  const node = state.map?.nodes.find((each) => each.nodeId === nodeId);
  const name = node?.name ?? String(nodeId);
  if (action === "add") {
    const fault = additionFault(nodeId, node, held);
    return fault ?? { ...bound, kind: "add", nodeId };
  }
  if (held === undefined) {
    const text = `node ${name} holds no replica of shard ${shard.shardId}`;
    return notApplied("invalidArgument", text);
  }
  const { replicaId } = held;
  if (action === "remove") {
    return { ...bound, kind: held.role === "voter" ? "demote" : "remove", replicaId };
  }
  if (held.role === "voter" || held.leaving === true) {
    return notApplied("invalidArgument", "can only promote a learner");
  }
  if (node?.learner === true) {
    const text = `node ${name} is a learner member: promote the member first`;
    return notApplied("invalidArgument", text);
  }
  if (health.reports.get(shard.shardId)?.caughtUp.includes(replicaId) !== true) {
    const text = "can only promote a learner which is in sync with the leader; try again later";
    return notApplied("invalidArgument", text);
  }
  return { ...bound, kind: "promote", replicaId, demotes: 0 };
}

function additionFault(
  nodeId: number,
  node: NodeDescriptor | undefined,
  held: ReplicaDescriptor | undefined,
): KvError | undefined {
  if (node === undefined) return notApplied("nodeNotFound", `there is no node ${nodeId}`);
  if (held !== undefined) {
    return notApplied("invalidArgument", `node ${node.name} holds a replica of the shard already`);
  }
  if (node.incarnation !== "" && node.state === undefined) return undefined;
  return notApplied("invalidArgument", `node ${node.name} has not started yet, or is leaving`);
}

/** Whether a leader has neither what a target starts from nor the target, nor is on its way. */
function strandedBy(
  report: ShardReport,
  replicas: readonly ReplicaDescriptor[],
  target: readonly ReplicaDescriptor[],
): boolean {
  const isRestoring = sameReplicas(replicas, target);
  return !isRestoring && !report.joint && !showsReplicas(report, target);
}

function shardOf(state: PlacementState, shardId: number): ShardDescriptor | undefined {
  return state.map?.shards.find((shard) => shard.shardId === shardId);
}

/** Where the leader should be: where it was, or on the node that took the voter's place. */
function preferredOf(shard: ShardDescriptor, target: readonly ReplicaDescriptor[]): number {
  const voters = votersOf(target);
  if (voters.some((voter) => voter.nodeId === shard.preferredNodeId)) return shard.preferredNodeId;
  const before = new Set(votersOf(shard.replicas).map((voter) => voter.replicaId));
  const promoted = voters.find((voter) => !before.has(voter.replicaId));
  return (promoted ?? voters[0])?.nodeId ?? shard.preferredNodeId;
}

function withRole({ replicaId, nodeId }: ReplicaDescriptor, role: ReplicaRole): ReplicaDescriptor {
  return { replicaId, nodeId, role };
}

function leaving(replica: ReplicaDescriptor): ReplicaDescriptor {
  return { ...withRole(replica, "learner"), leaving: true };
}
