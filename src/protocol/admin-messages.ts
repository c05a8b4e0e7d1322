/**
 * The requests that are not hot: plain objects in MessagePack, without the record extension, so
 * that the structure lies in the bytes. Optional properties may be added; nothing is renamed.
 */
import type {
  AlarmKind,
  ClusterMap,
  KeyspaceDescriptor,
  KeyspaceKind,
  LeaderHint,
} from "./cluster.js";
import type { StorageStatus } from "./storage-status.js";

/** `map`: without a body, the map as the node has it. */
export interface MapRequest {
  /** The map as the placement group has it now: what is not in it is not there. */
  readonly confirmed?: boolean | undefined;
}

export interface MapResponse {
  readonly clusterMap: ClusterMap;
  readonly leaders: readonly LeaderHint[];
}

/** `status`: a request without a body; what a node says of itself. */
export interface StatusResponse {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly name: string;
  /** Of the software. */
  readonly version: string;
  readonly run: number;
  readonly uptimeMs: number;
  /** Bytes of the node's files. */
  readonly storedBytes: number;
  readonly replicas: readonly ReplicaStatus[];
  /**
   * What holds now and goes by itself: `noSpace` while its disk is full, `corrupt` while a replica
   * of its is damaged.
   */
  readonly alarms?: readonly AlarmKind[] | undefined;
  /** What the default keyspace may take at this node; -1: as much as there is. */
  readonly quotaBytes?: number | undefined;
  /** Writes of the log, synced. */
  readonly logSyncs?: DurationCounts | undefined;
  /** Edits of the store's manifest, synced. */
  readonly storeCommits?: DurationCounts | undefined;
  readonly storage?: StorageStatus | undefined;
}

export interface DurationCounts {
  /** Bucket i counts those of [2^i, 2^(i+1)) microseconds, the last one all beyond too. */
  readonly micros: readonly number[];
  readonly totalMs: number;
}

export interface ReplicaStatus {
  readonly shardId: number;
  readonly keyspaceId: number;
  readonly replicaId: number;
  readonly role: "leader" | "follower" | "candidate" | "learner";
  /** 0 where none is known. */
  readonly leaderNodeId: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly revision: number;
  readonly closedRevision: number;
  readonly compactedRevision: number;
  /** On disk, and in memory on its way there. */
  readonly storedBytes: number;
  /** About what of these would be left after all merges. */
  readonly usedBytes?: number | undefined;
  /** How often it has learnt of another leader since it was opened. */
  readonly leaderChanges?: number | undefined;
  /** Writes that it has taken and not answered. */
  readonly writesInFlight?: number | undefined;
  /** Writes that it has taken, and not carried out as far as it knows, since it was opened. */
  readonly writesFailed?: number | undefined;
  /** Of a leader: how far the others are. */
  readonly followers?: readonly FollowerStatus[] | undefined;
}

export interface FollowerStatus {
  readonly replicaId: number;
  readonly matchIndex: number;
  /** probe, replicate or snapshot. */
  readonly state: string;
}

export interface MoveLeaderRequest {
  readonly shardId: number;
  readonly nodeId: number;
}

export interface KeyspaceCreateRequest {
  readonly name: string;
  readonly kind: KeyspaceKind;
  /** User keys at which a range keyspace is cut from the start; ascending. */
  readonly splitPoints: readonly Uint8Array[];
  /** Into how many arcs a hash keyspace is cut; otherwise one more than there are splitPoints. */
  readonly shardCount: number;
  /** 0: as the cluster's default. */
  readonly replicationFactor: number;
}

export interface KeyspaceCreateResponse {
  readonly keyspace: KeyspaceDescriptor;
}

export interface MemberAddRequest {
  readonly name: string;
  readonly peerAddress: string;
  /** It shall hold no voting replica before it is promoted. */
  readonly learner: boolean;
}

/** `memberRemove`, `memberPromote`. */
export interface MemberRequest {
  readonly nodeId: number;
}

export interface MemberUpdateRequest {
  readonly nodeId: number;
  readonly peerAddress: string;
}

/** Raises an alarm for a node, which stays whatever becomes of its cause, or disarms it. */
export interface AlarmChangeRequest {
  /** 0 where there is a `memberId`. */
  readonly nodeId: number;
  /** Of a member that there is not, in decimal: etcd keeps alarms of such too. */
  readonly memberId?: string | undefined;
  readonly kind: AlarmKind;
  readonly raised: boolean;
}

/** What all requests about members and replicas answer: the map as it is then. */
export interface MembershipResponse {
  readonly clusterMap: ClusterMap;
}

export type ReplicaAction = "add" | "remove" | "promote";

export interface ReplicaChangeRequest {
  readonly shardId: number;
  readonly action: ReplicaAction;
  readonly nodeId: number;
}

/** `health`: a request without a body. */
export interface HealthResponse {
  readonly healthy: boolean;
  /** One sentence a trouble. */
  readonly reasons: readonly string[];
}

/** `hash`: of the replica at the node that is asked, as far as that has applied. */
export interface HashRequest {
  readonly shardId: number;
  /** 0: the newest that is applied. */
  readonly revision: number;
}

/** Replicas with the same revisions agree, unless one of them is wrong. */
export interface HashResponse {
  readonly hash: number;
  /** Of which the hash is. */
  readonly revision: number;
  readonly compactedRevision: number;
  /** The newest that is applied. */
  readonly appliedRevision: number;
}

/** A shard to be backed up: with everything at or below `floorRevision`, and what came after. */
export interface BackupShard {
  readonly shardId: number;
  /** 0: with everything that was acknowledged before this was asked. */
  readonly floorRevision: number;
}

/** `backupOpen`: pins tables of shards for the reads that follow; it ends when none does. */
export interface BackupOpenRequest {
  readonly shards: readonly BackupShard[];
}

export interface BackupOpenResponse {
  readonly pin: number;
  /** What makes an empty store these trees (lsm/version-edit.ts), by the file numbers here. */
  readonly edit: Uint8Array;
  /** Shards that somebody else leads; 0 where nobody is known to. */
  readonly elsewhere: readonly { readonly shardId: number; readonly leaderNodeId: number }[];
}

export interface BackupReadRequest {
  readonly pin: number;
  readonly fileNumber: number;
  readonly offset: number;
}

export interface BackupReadResponse {
  /** As much as goes into one answer; less only at the end of the table. */
  readonly bytes: Uint8Array;
}

export interface BackupReleaseRequest {
  readonly pin: number;
}
