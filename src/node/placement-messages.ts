/** What nodes and the leader of the placement group say to each other; plain objects. */
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
} from "../protocol/cluster.js";

/** Sent by every node, a few times a second. */
export interface NodeHeartbeat {
  readonly node: NodeDescriptor;
  readonly run: number;
  readonly mapVersion: number;
  /** Its disk has no room: it should lead nothing. */
  readonly full: boolean;
  /** The shards this node leads. */
  readonly leads: readonly LeaderHint[];
}

export interface NodeHeartbeatAnswer {
  /** Where the sender's is not the newest. */
  readonly map?: ClusterMap | undefined;
  readonly leaders: readonly LeaderHint[];
  /** Nodes heard of lately that have room on their disks. */
  readonly fit: readonly number[];
}

export type PlacementCommand =
  | { readonly kind: "createKeyspace"; readonly request: KeyspaceCreateRequest }
  | { readonly kind: "moveLeader"; readonly shardId: number; readonly nodeId: number }
  /** From the placement leader to the node that leads a shard. */
  | { readonly kind: "transfer"; readonly shardId: number; readonly nodeId: number };

export interface PlacementCommandAnswer {
  readonly keyspace?: KeyspaceDescriptor | undefined;
}
