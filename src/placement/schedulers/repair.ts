/**
 * Brings every shard to as many voters as it should have, on nodes that stay. One step a shard at a
 * time, in this order:
 *
 *   other replicas than on the map      → bring them back in line
 *   a learner on its way out            → remove it
 *   too few voters, or one on a node that leaves:
 *     a learner that has caught up      → promote it, and demote the leaving voter with it
 *     a learner that is being filled    → wait, unless its node is dead and another could be
 *     more voters than wanted           → demote the leaving one
 *     a node that could hold a replica  → add a learner there
 *     otherwise                         → demote the leaving voter, while a quorum remains
 *
 * A node that is merely dead is not replaced: it may come back. Who knows that it does not removes
 * it. Replicas lie apart by their nodes' labels, as far as there are nodes.
 */
import type { NodeDescriptor, ReplicaDescriptor, ShardDescriptor } from "../../protocol/cluster.js";
import { mayHoldVoters } from "../members.js";
import { hasQuorum, isSafeTarget, votersOf, wantedReplicas } from "../quorum.js";
import type { ClusterHealth } from "../quorum.js";
import type { PlacementState } from "../records.js";
import { hasStrayed, targetOf } from "../replicas.js";
import type { ReplicaStep } from "../replicas.js";

/** Shards that are given a replica at once: each takes a snapshot. */
const FILLING_MAX = 8;
/** Stands for the id of a replica that is added, where only its role counts. */
const NEW_ID = 0;

interface Situation {
  readonly state: PlacementState;
  readonly health: ClusterHealth;
  /** By node: the replicas it holds or is to hold. */
  readonly held: ReadonlyMap<number, number>;
  /** Whether another learner may be added now. */
  readonly mayAdd: boolean;
}

/** At most `stepsMax` steps, those of the lowest shard ids first. */
export function planRepairs(
  state: PlacementState,
  health: ClusterHealth,
  stepsMax: number,
): readonly ReplicaStep[] {
  const shards = state.map?.shards ?? [];
  const held = replicaCounts(shards);
  let filling = shards.filter((shard) => isFilling(shard, health)).length;
  const steps: ReplicaStep[] = [];
  for (const shard of shards) {
    if (steps.length >= stepsMax) break;
    if (shard.target !== undefined) continue;
    const mayAdd = filling < FILLING_MAX;
    const step = stepFor(shard, { state, health, held, mayAdd });
    if (step === undefined) continue;
    if (step.kind === "add") {
      filling++;
      held.set(step.nodeId, (held.get(step.nodeId) ?? 0) + 1);
    }
    steps.push(step);
  }
  return steps;
}

function stepFor(shard: ShardDescriptor, situation: Situation): ReplicaStep | undefined {
  const { health } = situation;
  const voters = votersOf(shard.replicas);
  if (!hasQuorum(voters, health.alive)) return undefined;
  const bound = { shardId: shard.shardId, configuration: shard.epoch.configuration };
  const report = health.reports.get(shard.shardId);
  if (report !== undefined && hasStrayed(shard, report)) return { ...bound, kind: "restore" };
  const gone = shard.replicas.find(
    (each) => each.role === "learner" && (each.leaving === true || !stays(situation, each.nodeId)),
  );
  if (gone !== undefined) return { ...bound, kind: "remove", replicaId: gone.replicaId };
  const away = leavingVoter(voters, situation);
  const missing = wantedReplicas(situation.state, shard) - voters.length;
  if (away === undefined && missing <= 0) return undefined;
  const step =
    promotion(shard, situation, missing <= 0 ? away : undefined) ??
    (isWaiting(shard, situation) ? undefined : replacement(shard, situation, away, missing));
  if (step === undefined) return undefined;
  return isSafeTarget(shard, targetOf(shard.replicas, step, NEW_ID), health.alive)
    ? step
    : undefined;
}

/** Promotes a learner that has caught up; a lone voter is demoted only after that. */
function promotion(
  shard: ShardDescriptor,
  situation: Situation,
  away: ReplicaDescriptor | undefined,
): ReplicaStep | undefined {
  const { alive, reports } = situation.health;
  const caughtUp = reports.get(shard.shardId)?.caughtUp ?? [];
  const ready = learnersOf(shard, situation).find(
    (learner) => alive.has(learner.nodeId) && caughtUp.includes(learner.replicaId),
  );
  if (ready === undefined) return undefined;
  const isLone = votersOf(shard.replicas).length === 1;
  const demotes = away === undefined || isLone ? 0 : away.replicaId;
  const { shardId, epoch } = shard;
  const { configuration } = epoch;
  return { shardId, configuration, kind: "promote", replicaId: ready.replicaId, demotes };
}

/** Whether a learner is being filled on a node that is alive. */
function isWaiting(shard: ShardDescriptor, situation: Situation): boolean {
  const { alive } = situation.health;
  return learnersOf(shard, situation).some((learner) => alive.has(learner.nodeId));
}

function replacement(
  shard: ShardDescriptor,
  situation: Situation,
  away: ReplicaDescriptor | undefined,
  missing: number,
): ReplicaStep | undefined {
  const bound = { shardId: shard.shardId, configuration: shard.epoch.configuration };
  const demotion: ReplicaStep | undefined =
    away === undefined ? undefined : { ...bound, kind: "demote", replicaId: away.replicaId };
  if (missing < 0) return demotion;
  const candidates = candidatesFor(shard, situation);
  const stuck = learnersOf(shard, situation)[0];
  if (candidates.length > 0 && stuck !== undefined) {
    return { ...bound, kind: "remove", replicaId: stuck.replicaId };
  }
  // An even number of voters bears no more losses than one less: two are added, or none.
  const needed = away === undefined && votersOf(shard.replicas).length % 2 === 1 ? 2 : 1;
  if (candidates.length >= needed) {
    const nodeId = bestOf(candidates, shard, situation);
    return situation.mayAdd ? { ...bound, kind: "add", nodeId } : undefined;
  }
  return votersOf(shard.replicas).length > 1 ? demotion : undefined;
}

/** A voter on a node that leaves, a dead one first. */
function leavingVoter(
  voters: readonly ReplicaDescriptor[],
  situation: Situation,
): ReplicaDescriptor | undefined {
  const leaving = voters.filter((voter) => !stays(situation, voter.nodeId));
  return leaving.find((voter) => !situation.health.alive.has(voter.nodeId)) ?? leaving[0];
}

/** Learners that could become voters. */
function learnersOf(shard: ShardDescriptor, situation: Situation): ReplicaDescriptor[] {
  return shard.replicas.filter((replica) => {
    const node = nodeOf(situation, replica.nodeId);
    return replica.role === "learner" && node !== undefined && mayHoldVoters(node);
  });
}

function candidatesFor(
  shard: ShardDescriptor,
  { state, health }: Situation,
): readonly NodeDescriptor[] {
  return (state.map?.nodes ?? []).filter(
    (node) =>
      mayHoldVoters(node) &&
      health.fit.has(node.nodeId) &&
      !shard.replicas.some((replica) => replica.nodeId === node.nodeId),
  );
}

/** The node that shares the fewest labels with the voters that stay, then the emptiest one. */
function bestOf(
  candidates: readonly NodeDescriptor[],
  shard: ShardDescriptor,
  situation: Situation,
): number {
  const others = votersOf(shard.replicas).flatMap((voter) => {
    const node = nodeOf(situation, voter.nodeId);
    return node === undefined || node.state !== undefined ? [] : [node];
  });
  const shared = (node: NodeDescriptor): number =>
    others.reduce((sum, other) => sum + sharedLabels(node, other), 0);
  const ranked = candidates.map((node) => ({
    nodeId: node.nodeId,
    shared: shared(node),
    count: situation.held.get(node.nodeId) ?? 0,
  }));
  ranked.sort((a, b) => a.shared - b.shared || a.count - b.count || a.nodeId - b.nodeId);
  return ranked[0]!.nodeId;
}

function sharedLabels(a: NodeDescriptor, b: NodeDescriptor): number {
  return Object.entries(a.labels).filter(([name, value]) => b.labels[name] === value).length;
}

function stays(situation: Situation, nodeId: number): boolean {
  const node = nodeOf(situation, nodeId);
  // A founder that has not registered yet is on its way.
  return node === undefined || node.state === undefined;
}

function nodeOf({ state }: Situation, nodeId: number): NodeDescriptor | undefined {
  return state.map?.nodes.find((node) => node.nodeId === nodeId);
}

/** Whether a replica of the shard is being added or filled. */
function isFilling(shard: ShardDescriptor, { reports }: ClusterHealth): boolean {
  const caughtUp = reports.get(shard.shardId)?.caughtUp ?? [];
  return (shard.target ?? shard.replicas).some(
    ({ role, leaving, replicaId }) =>
      role === "learner" && leaving !== true && !caughtUp.includes(replicaId),
  );
}

function replicaCounts(shards: readonly ShardDescriptor[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const shard of shards) {
    for (const { nodeId } of shard.target ?? shard.replicas) {
      counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    }
  }
  return counts;
}
