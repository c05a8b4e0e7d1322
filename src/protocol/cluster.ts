/**
 * The cluster as every floor describes it: nodes, keyspaces, shards, and the map of them. The
 * placement group owns the truth; everybody else holds copies, told apart by `version`.
 *
 * A stored key is what shards hold: keyspace u32, then in a hash keyspace the bucket u16, then the
 * user key, all big-endian, so that all data lives in one ordered key space and a shard is an
 * interval of it.
 */
import type { KeyRange } from "../base/key-range.js";

/** Keyspace 0 is the system's: it has one shard, the placement group. */
export const SYSTEM_KEYSPACE_ID = 0;
/** The placement group. */
export const PLACEMENT_SHARD_ID = 1;
/** The keyspace that is used where none is named. */
export const DEFAULT_KEYSPACE_NAME = "default";

export interface NodeDescriptor {
  readonly nodeId: number;
  readonly name: string;
  /** host:port for clients, and for other nodes. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** The store id of its data directory: a wiped disk is another incarnation. */
  readonly incarnation: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type KeyspaceKind = "range" | "hash";

export interface KeyspaceDescriptor {
  readonly keyspaceId: number;
  readonly name: string;
  readonly kind: KeyspaceKind;
  /** Whether its one shard counts its revisions; otherwise the sequencer does. */
  readonly dense: boolean;
  readonly replicationFactor: number;
}

/** Version of a shard's descriptor; a request with another one is refused, newer or older. */
export interface ShardEpoch {
  /** Raised by changes of the replicas. */
  readonly configuration: number;
  /** Raised by changes of the key range. */
  readonly range: number;
}

export interface ReplicaDescriptor {
  readonly replicaId: number;
  readonly nodeId: number;
  readonly role: "voter" | "learner";
}

export interface ShardDescriptor {
  readonly shardId: number;
  readonly keyspaceId: number;
  /** In stored keys. */
  readonly range: KeyRange;
  readonly epoch: ShardEpoch;
  /** Raised by every split and merge, so that no two descriptors are ever alike. */
  readonly generation: number;
  readonly replicas: readonly ReplicaDescriptor[];
  /** Where its leader should be, for an even spread. */
  readonly preferredNodeId: number;
}

export interface ClusterMap {
  readonly clusterId: string;
  /** Revision of the placement group's data that this map shows. */
  readonly version: number;
  readonly nodes: readonly NodeDescriptor[];
  readonly keyspaces: readonly KeyspaceDescriptor[];
  readonly shards: readonly ShardDescriptor[];
}

/** Who leads a shard, as somebody last heard: a hint, never a truth. */
export interface LeaderHint {
  readonly shardId: number;
  readonly nodeId: number;
  readonly term: number;
}
