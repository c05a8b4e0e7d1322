/** What nodes and the leader of the placement group say to each other; plain objects. */
import type { ShardReport } from "../placement/quorum.js";
import type {
  AlarmChangeRequest,
  KeyspaceCreateRequest,
  MemberAddRequest,
  MemberRequest,
  MemberUpdateRequest,
  ReplicaChangeRequest,
} from "../protocol/admin-messages.js";
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
  /** Its disk finishes no write: it can lead nothing. */
  readonly stalled: boolean;
  /** The shards this node leads. */
  readonly leads: readonly LeaderHint[];
  /** Of those whose replicas are being changed, or that have learners. */
  readonly reports: readonly ShardReport[];
}

export interface NodeHeartbeatAnswer {
  /** Where the sender's is not the newest. */
  readonly map?: ClusterMap | undefined;
  readonly leaders: readonly LeaderHint[];
  /** Nodes heard of lately whose disks have room and did not stall of late. */
  readonly fit: readonly number[];
  /** It does not come from the placement leader: only what it says of the map counts. */
  readonly hearsay?: boolean | undefined;
}

/** From a node that was added and starts for the first time. */
export interface JoinRequest {
  readonly name: string;
  readonly incarnation: string;
}

export interface JoinAnswer {
  readonly nodeId: number;
  readonly clusterMap: ClusterMap;
}

export type PlacementCommand =
  | { readonly kind: "addMember"; readonly request: MemberAddRequest }
  | { readonly kind: "removeMember"; readonly request: MemberRequest }
  | { readonly kind: "promoteMember"; readonly request: MemberRequest }
  | { readonly kind: "updateMember"; readonly request: MemberUpdateRequest }
  | { readonly kind: "changeReplica"; readonly request: ReplicaChangeRequest }
  | { readonly kind: "changeAlarm"; readonly request: AlarmChangeRequest }
  | { readonly kind: "join"; readonly request: JoinRequest }
  | { readonly kind: "createKeyspace"; readonly request: KeyspaceCreateRequest }
  /** Changes nothing: what the map is now. */
  | { readonly kind: "confirmMap" }
  | { readonly kind: "moveLeader"; readonly shardId: number; readonly nodeId: number }
  /** From the placement leader to the node that leads a shard. */
  | { readonly kind: "transfer"; readonly shardId: number; readonly nodeId: number };

export interface PlacementCommandAnswer {
  readonly keyspace?: KeyspaceDescriptor | undefined;
  /** The map after a change of members or replicas, or as it was confirmed. */
  readonly clusterMap?: ClusterMap | undefined;
  /** The id of the node that joins. */
  readonly nodeId?: number | undefined;
}
