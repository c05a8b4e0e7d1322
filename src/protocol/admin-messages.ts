/**
 * The requests that are not hot: plain objects in MessagePack, without the record extension, so
 * that the structure lies in the bytes. Optional properties may be added; nothing is renamed.
 */
import type { ClusterMap, KeyspaceDescriptor, KeyspaceKind, LeaderHint } from "./cluster.js";

/** `map`: a request without a body. */
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
  readonly storedBytes: number;
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

/** `health`: a request without a body. */
export interface HealthResponse {
  readonly healthy: boolean;
  /** One sentence a trouble. */
  readonly reasons: readonly string[];
}
