/**
 * What etcd's clients take for their Raft group: the default keyspace. Where it has one shard, as
 * it has unless somebody asked for more, that is it: its leader is the leader, its indexes and term
 * are those that are shown. Where it has many, the first stands for them where only one can, and
 * the others count where they can: bytes and revisions of all, no leader where one has none.
 */
import type { NodeStatus } from "../gateway/backend.js";
import type { MapResponse, ReplicaStatus, StatusResponse } from "../protocol/admin-messages.js";
import { DEFAULT_KEYSPACE_NAME } from "../protocol/cluster.js";
import type { ClusterMap } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";

type OfProcess = "storage" | "eventLoopBusyMs" | "residentBytes";
type OfNode = "quotaBytes" | "logSyncs" | "storeCommits" | "alarms" | OfProcess;
type Shown = Omit<NodeStatus, OfNode>;

/** The ids of its shards, in the order of their keys; at least one. */
export function defaultShards({ keyspaces, shards }: ClusterMap): readonly number[] {
  const keyspace = keyspaces.find(({ name }) => name === DEFAULT_KEYSPACE_NAME);
  const own = shards.filter((each) => each.keyspaceId === keyspace?.keyspaceId);
  if (own.length === 0) throw notApplied("unavailable", "the cluster is being founded");
  return own.map(({ shardId }) => shardId).sort((a, b) => a - b);
}

/** What a node shows of the keyspace, by its replicas. A member that learns may have none. */
export function shownReplicas(
  { nodeId, replicas }: Pick<StatusResponse, "nodeId" | "replicas">,
  map: MapResponse,
): Shown {
  const shardIds = defaultShards(map.clusterMap);
  const held = replicas.filter(({ shardId }) => shardIds.includes(shardId));
  const leaders = shardIds.map((shardId) => leaderOf(shardId, held, map));
  const first = held.find(({ shardId }) => shardId === shardIds[0]);
  const member = map.clusterMap.nodes.find((each) => each.nodeId === nodeId);
  return {
    storedBytes: sum(held, (one) => one.storedBytes),
    usedBytes: sum(held, (one) => one.usedBytes ?? one.storedBytes),
    leaderNodeId: leaders.some(({ nodeId }) => nodeId === 0) ? 0 : leaders[0]!.nodeId,
    term: leaders[0]!.term,
    revision: Math.max(0, ...held.map(({ revision }) => revision)),
    commitIndex: first?.commitIndex ?? 0,
    appliedIndex: first?.appliedIndex ?? 0,
    isLearner: first?.role === "learner" || member?.learner === true,
    leaderChanges: sum(held, (one) => one.leaderChanges ?? 0),
    writesInFlight: sum(held, (one) => one.writesInFlight ?? 0),
    writesFailed: sum(held, (one) => one.writesFailed ?? 0),
  };
}

/** No number stands for many shards of which each node may hold others. */
export function hashRefused(): KvError {
  const text = "HashKV and Hash need a keyspace with one shard, and the default one has more; ";
  return notApplied("unsupported", `${text}flotctl endpoint hashkv compares them one by one`);
}

function leaderOf(
  shardId: number,
  held: readonly ReplicaStatus[],
  { leaders }: MapResponse,
): { readonly nodeId: number; readonly term: number } {
  const own = held.find((each) => each.shardId === shardId);
  if (own !== undefined) return { nodeId: own.leaderNodeId, term: own.term };
  const hint = leaders.find((each) => each.shardId === shardId);
  return hint ?? { nodeId: 0, term: 0 };
}

function sum(list: readonly ReplicaStatus[], numberOf: (one: ReplicaStatus) => number): number {
  return list.reduce((total, one) => total + numberOf(one), 0);
}
