/** Cluster maps for tests of whatever routes by them: nodes 1 to 3, keyspaces cut as told. */
import { bytesOf } from "./bytes-of.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  KeyspaceKind,
  ShardDescriptor,
} from "../../src/protocol/cluster.js";
import { arcBoundaries, keyspaceRange, storedKey } from "../../src/route/stored-key.js";

export const NODE_IDS: readonly number[] = [1, 2, 3];

export interface KeyspacePlan {
  readonly name: string;
  readonly kind: KeyspaceKind;
  /** User keys, ascending, of a range keyspace; or the number of arcs of a hash keyspace. */
  readonly cuts: readonly string[] | number;
}

/** Keyspaces get the ids from 10 on, shards from 100 on, in the order of the plans. */
export function clusterMap(plans: readonly KeyspacePlan[], version = 1): ClusterMap {
  const keyspaces: KeyspaceDescriptor[] = [];
  const shards: ShardDescriptor[] = [];
  for (const [i, plan] of plans.entries()) {
    const keyspace = keyspaceOf(plan, 10 + i);
    keyspaces.push(keyspace);
    for (const range of rangesOf(keyspace, plan)) {
      const shardId = 100 + shards.length;
      shards.push(shardOf(shardId, keyspace.keyspaceId, range.start, range.end));
    }
  }
  const nodes = NODE_IDS.map((nodeId) => ({
    nodeId,
    name: `n${nodeId}`,
    clientAddress: `n${nodeId}:1`,
    peerAddress: `n${nodeId}:2`,
    incarnation: `disk ${nodeId}`,
    labels: {},
  }));
  return { clusterId: "test", version, nodes, keyspaces, shards };
}

export function shardOf(
  shardId: number,
  keyspaceId: number,
  start: Uint8Array,
  end: Uint8Array | undefined,
): ShardDescriptor {
  return {
    shardId,
    keyspaceId,
    range: { start, end },
    epoch: { configuration: 1, range: 1 },
    generation: 1,
    replicas: NODE_IDS.map((nodeId) => ({ replicaId: nodeId, nodeId, role: "voter" })),
    preferredNodeId: NODE_IDS[shardId % NODE_IDS.length]!,
  };
}

function keyspaceOf(plan: KeyspacePlan, keyspaceId: number): KeyspaceDescriptor {
  const cuts = typeof plan.cuts === "number" ? plan.cuts - 1 : plan.cuts.length;
  return {
    keyspaceId,
    name: plan.name,
    kind: plan.kind,
    dense: cuts === 0,
    replicationFactor: NODE_IDS.length,
  };
}

function rangesOf(
  keyspace: KeyspaceDescriptor,
  plan: KeyspacePlan,
): readonly { readonly start: Uint8Array; readonly end: Uint8Array | undefined }[] {
  const all = keyspaceRange(keyspace.keyspaceId);
  const boundaries =
    typeof plan.cuts === "number"
      ? arcBoundaries(keyspace.keyspaceId, plan.cuts)
      : plan.cuts.map((cut) => storedKey(keyspace, bytesOf(cut)));
  const starts = [all.start, ...boundaries];
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? all.end }));
}
