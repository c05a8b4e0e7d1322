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

/** `noSpace`: no room for writes. `corrupt`: data are damaged. */
export type AlarmKind = "noSpace" | "corrupt";

export interface NodeDescriptor {
  readonly nodeId: number;
  readonly name: string;
  /** host:port for clients, and for other nodes. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  /**
   * The store id of its data directory: a wiped disk is another incarnation. Empty for a node that
   * was added and has not started yet.
   */
  readonly incarnation: string;
  readonly labels: Readonly<Record<string, string>>;
  /** leaving: its replicas move elsewhere; removed: it is gone, and its id is used up. */
  readonly state?: "leaving" | "removed" | undefined;
  /** What the node said of itself, where an operator has put another peer address. */
  readonly saidPeerAddress?: string | undefined;
  /** Holds no voting replica before it is promoted. */
  readonly learner?: boolean | undefined;
  /** That were raised for it and stay until they are disarmed. */
  readonly alarms?: readonly AlarmKind[] | undefined;
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

export type ReplicaRole = "voter" | "learner";

export interface ReplicaDescriptor {
  readonly replicaId: number;
  readonly nodeId: number;
  readonly role: ReplicaRole;
  /** A learner that was a voter and is on its way out. */
  readonly leaving?: boolean | undefined;
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
  /**
   * The replicas that its leader is to bring about, where they differ: one change of the Raft
   * configuration away. Only nodes are told.
   */
  readonly target?: readonly ReplicaDescriptor[] | undefined;
  /** What its leader had applied when `replicas` was confirmed; older reports confirm nothing. */
  readonly confirmedIndex?: number | undefined;
  /** Where its leader should be, for an even spread. */
  readonly preferredNodeId: number;
}

/** An alarm that was raised for a member that there was not. */
export interface StrayAlarm {
  /** As etcd's clients named it, in decimal. */
  readonly memberId: string;
  readonly kind: AlarmKind;
}

export interface ClusterMap {
  readonly clusterId: string;
  /** Revision of the placement group's data that this map shows. */
  readonly version: number;
  readonly nodes: readonly NodeDescriptor[];
  readonly keyspaces: readonly KeyspaceDescriptor[];
  readonly shards: readonly ShardDescriptor[];
  /** Ids of nodes that were removed and are never used again. */
  readonly removedNodes?: readonly number[] | undefined;
  readonly strayAlarms?: readonly StrayAlarm[] | undefined;
  /** Replicas with lower ids are known to this map, where it does not name them as gone. */
  readonly nextReplicaId?: number | undefined;
}

/** Who leads a shard, as somebody last heard: a hint, never a truth. */
export interface LeaderHint {
  readonly shardId: number;
  readonly nodeId: number;
  readonly term: number;
}
