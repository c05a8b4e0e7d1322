/**
 * What is known of how the cluster is, and whether a change of replicas leaves every shard with a
 * majority that can be reached. Learners count for nothing here.
 */
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import type { NodeDescriptor, ReplicaDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { PlacementState } from "./records.js";

/** What the leader of a shard says of its Raft configuration. */
export interface ShardReport {
  readonly shardId: number;
  readonly term: number;
  /** What it had applied when it said this; `voters` and `learners` are those of this index. */
  readonly appliedIndex: number;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** A change is under way: the configuration is a joint one. */
  readonly joint: boolean;
  /** Learners that hold nearly all of the log. */
  readonly caughtUp: readonly number[];
}

export interface ClusterHealth {
  /** Nodes heard of lately. */
  readonly alive: ReadonlySet<number>;
  /** Those of them that have room on their disks. */
  readonly fit: ReadonlySet<number>;
  /** By shard: the newest report. */
  readonly reports: ReadonlyMap<number, ShardReport>;
}

export function votersOf(replicas: readonly ReplicaDescriptor[]): ReplicaDescriptor[] {
  return replicas.filter((replica) => replica.role === "voter");
}

/** Whether a majority of these voters is on nodes that are alive. */
export function hasQuorum(
  voters: readonly ReplicaDescriptor[],
  alive: ReadonlySet<number>,
): boolean {
  const up = voters.filter((voter) => alive.has(voter.nodeId)).length;
  return up > voters.length / 2;
}

/** Whether the change to `target` can be made now and leaves a quorum. */
export function isSafeTarget(
  shard: ShardDescriptor,
  target: readonly ReplicaDescriptor[],
  alive: ReadonlySet<number>,
): boolean {
  return hasQuorum(votersOf(shard.replicas), alive) && hasQuorum(votersOf(target), alive);
}

export function wantedReplicas(state: PlacementState, shard: ShardDescriptor): number {
  if (shard.shardId === PLACEMENT_SHARD_ID) return Math.max(state.placementReplicas, 3);
  const keyspace = state.map?.keyspaces.find((each) => each.keyspaceId === shard.keyspaceId);
  return keyspace?.replicationFactor ?? shard.replicas.length;
}

/** Why a node cannot leave now; undefined where all its replicas can be replaced or given up. */
export function removalFault(
  state: PlacementState,
  node: NodeDescriptor,
  { alive, fit }: ClusterHealth,
): KvError | undefined {
  const { nodes, shards } = state.map!;
  if (nodes.length === 1) return breaks("it is the last member");
  const stays = (nodeId: number): boolean =>
    nodeId !== node.nodeId &&
    nodes.some((each) => each.nodeId === nodeId && each.state === undefined);
  // It may hold nothing yet, and be where all that the others leave is to go.
  const mayHold = nodes.some(
    (each) => stays(each.nodeId) && each.learner !== true && each.incarnation !== "",
  );
  if (!mayHold) return breaks("no other member stays");
  for (const shard of shards) {
    if (!shard.replicas.some((replica) => replica.nodeId === node.nodeId)) continue;
    const voters = votersOf(shard.replicas);
    if (!voters.some((voter) => voter.nodeId === node.nodeId)) continue;
    const left = voters.filter((voter) => stays(voter.nodeId));
    const replaced = nodes.some(
      (each) =>
        stays(each.nodeId) &&
        fit.has(each.nodeId) &&
        each.learner !== true &&
        !voters.some((voter) => voter.nodeId === each.nodeId),
    );
    const up = left.filter((voter) => alive.has(voter.nodeId)).length + Number(replaced);
    if (hasQuorum(voters, alive) && up > (left.length + Number(replaced)) / 2) continue;
    return breaks(`shard ${shard.shardId} would be left without a quorum`);
  }
  return undefined;
}

function breaks(reason: string): KvError {
  const text = `re-configuration failed due to not enough started members: ${reason}`;
  return notApplied("invalidArgument", text);
}
