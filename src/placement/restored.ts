/**
 * The cluster map of a cluster that is made of a backup: the keyspaces and shards that were, with
 * their ids and ranges, on nodes that are named anew. Nothing of the old cluster's replicas, nodes
 * and members lives on: every node that is told the same computes the same map.
 */
import { REPLICATION_FACTOR_MAX } from "../base/limits.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { ClusterMap, ShardDescriptor } from "../protocol/cluster.js";
import { keyspaceRange } from "../route/stored-key.js";
import { replicaCountOn, spread } from "./commands.js";
import { notStarted } from "./members.js";
import {
  FIRST_COUNTERS,
  clusterRecord,
  countersRecord,
  keyspaceRecord,
  nodeRecord,
  reservedRecord,
  shardRecord,
} from "./records.js";
import type { PlacementRecord } from "./records.js";

export interface RestoredNode {
  readonly nodeId: number;
  readonly name: string;
  readonly peerAddress: string;
}

export interface RestoredCluster {
  readonly clusterId: string;
  readonly nodes: readonly RestoredNode[];
  /** As it was when the backup was made. */
  readonly map: ClusterMap;
  /** By keyspace with many shards: no revision above this is in use. */
  readonly reserved: ReadonlyMap<number, number>;
}

/** What the placement group of the restored cluster holds, in the order in which it is written. */
export function restoredRecords(cluster: RestoredCluster): readonly PlacementRecord[] {
  const { clusterId, map, reserved } = cluster;
  const shards = restoredShards(cluster);
  const placement = shards.find(({ shardId }) => shardId === PLACEMENT_SHARD_ID);
  const counters = {
    ...FIRST_COUNTERS,
    shardId: 1 + Math.max(...shards.map(({ shardId }) => shardId)),
    keyspaceId: 1 + Math.max(0, ...map.keyspaces.map(({ keyspaceId }) => keyspaceId)),
  };
  return [
    clusterRecord(clusterId, placement?.replicas.length ?? 1),
    ...cluster.nodes.map((node) => nodeRecord(notStarted(node))),
    ...map.keyspaces.map(keyspaceRecord),
    ...shards.map(shardRecord),
    ...[...reserved].map(([keyspaceId, reservedTo]) => reservedRecord(keyspaceId, reservedTo)),
    countersRecord(counters),
  ];
}

/** The placement group first. */
function restoredShards({ map, nodes }: RestoredCluster): ShardDescriptor[] {
  const nodeIds = nodes.map(({ nodeId }) => nodeId).sort((a, b) => a - b);
  const factors = new Map(map.keyspaces.map((each) => [each.keyspaceId, each.replicationFactor]));
  const replicaCount = (keyspaceId: number): number =>
    // The placement group has as many as it can, as where a cluster is founded.
    replicaCountOn(
      nodeIds.length,
      keyspaceId === SYSTEM_KEYSPACE_ID ? REPLICATION_FACTOR_MAX : (factors.get(keyspaceId) ?? 1),
    );
  const shards = map.shards.filter(({ shardId }) => shardId !== PLACEMENT_SHARD_ID);
  return [PLACEMENT, ...shards].map((shard, at): ShardDescriptor => {
    const replicas = spread(nodeIds, at, replicaCount(shard.keyspaceId));
    const { shardId, keyspaceId, range, epoch, generation } = shard;
    return {
      shardId,
      keyspaceId,
      range,
      epoch: { configuration: 1, range: epoch.range },
      generation,
      replicas,
      preferredNodeId: replicas[0]!.nodeId,
    };
  });
}

const PLACEMENT: Pick<
  ShardDescriptor,
  "shardId" | "keyspaceId" | "range" | "epoch" | "generation"
> = {
  shardId: PLACEMENT_SHARD_ID,
  keyspaceId: SYSTEM_KEYSPACE_ID,
  range: keyspaceRange(SYSTEM_KEYSPACE_ID),
  epoch: { configuration: 1, range: 1 },
  generation: 1,
};
