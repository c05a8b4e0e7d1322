/**
 * What stands behind the gateway, as a port in the words of `protocol/`: one keyspace, which is all
 * etcd's clients see, and the cluster around it. Every rejection is a KvError. Bytes handed in stay
 * unchanged. Revisions of the answers are etcd's `header.revision`.
 */
import type { DurationCounts } from "../protocol/admin-messages.js";
import type { AlarmKind, NodeDescriptor } from "../protocol/cluster.js";
import type { KeyValue, WatchEvent } from "../protocol/key-value.js";
import type {
  DeleteOperation,
  OperationResult,
  PutOperation,
  RangeOperation,
  Transaction,
} from "../protocol/operations.js";
import type { StorageStatus } from "../protocol/storage-status.js";
import type { WatchCreate } from "../protocol/watch-codec.js";
import type { LeaseBackend } from "./lease-backend.js";
import type { LineBackend } from "./line-backend.js";

export interface Member extends NodeDescriptor {
  /** Has its name from the founding on, where others have it once they have started. */
  readonly isNamed?: boolean | undefined;
}

/** Whether a read may be served by one node alone, with a state of the past. */
export type Consistency = "linearizable" | "serializable";

/** What every answer's header says besides its revision. */
export interface Origin {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Of the keyspace's shard; it never falls. */
  readonly raftTerm: number;
}

export interface RangeAnswer {
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutAnswer {
  readonly revision: number;
  readonly prevKv: KeyValue | undefined;
}

export interface DeleteAnswer {
  readonly revision: number;
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

export interface TransactionAnswer {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
}

/** Progress is told of where it is asked for. */
export type WatchOptions = Omit<WatchCreate, "progress">;

/** All events of one revision, or the news that nothing at or below `progress` will follow. */
export type WatchItem =
  | { readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly progress: number };

/** Holds a bounded number of events for a reader who is slow, and reads them up from history. */
export interface BackendWatch {
  /** undefined once it was cancelled; rejects where it failed. One caller at a time. */
  next(): Promise<WatchItem | undefined>;
  /** The next item if it is here already. */
  take(): WatchItem | undefined;
  /** Asks for the news, in due course, that nothing at or below `revision` will follow. */
  askProgress(revision: number): void;
  cancel(): void;
}

/** What this node says of itself, the replica of the keyspace's shard above all. */
export interface NodeStatus {
  /** What the quota bounds: of the keyspace, on disk and in memory on its way there. */
  readonly storedBytes: number;
  /** About what of these is not garbage. */
  readonly usedBytes: number;
  /** -1 where there is none. */
  readonly quotaBytes: number;
  /** 0 where none is known. */
  readonly leaderNodeId: number;
  readonly term: number;
  /** As far as this node has applied. */
  readonly revision: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly isLearner: boolean;
  /** How often this node has learnt of another leader. */
  readonly leaderChanges: number;
  /** Writes that this node leads and has not answered. */
  readonly writesInFlight: number;
  /** Writes that this node led and has not carried out, as far as it knows. */
  readonly writesFailed: number;
  /** Writes of the log, synced; undefined where the node does not say. */
  readonly logSyncs: DurationCounts | undefined;
  /** What makes files of the store count, synced; undefined where the node does not say. */
  readonly storeCommits: DurationCounts | undefined;
  /** Of the store; undefined where the node does not say. */
  readonly storage: StorageStatus | undefined;
  /** How long the event loop of the process has had something to do. */
  readonly eventLoopBusyMs: number;
  /** Memory of the process. */
  readonly residentBytes: number;
  /** Its own that hold now, and those that are raised for any member. */
  readonly alarms: readonly MemberAlarm[];
}

/** It holds now, or it was raised and stays until it is disarmed. */
export interface MemberAlarm {
  readonly memberId: bigint;
  readonly kind: AlarmKind;
}

/** Of this node's replica, as far as it has applied. */
export interface HashAnswer {
  /** The newest that is applied. */
  readonly revision: number;
  readonly hash: number;
  readonly hashRevision: number;
  /** 0 where nothing was ever compacted. */
  readonly compactedRevision: number;
}

export interface Backend {
  readonly origin: Origin;
  /** Whether this node is a member that learns, as its own copy of the cluster's map says. */
  readonly isLearner: boolean;
  readonly leases: LeaseBackend;
  readonly lines: LineBackend;
  range(operation: RangeOperation, consistency: Consistency): Promise<RangeAnswer>;
  /** In the order of keys, page by page while it is drawn; the revision must be named. */
  scan(operation: RangeOperation, consistency: Consistency): AsyncGenerator<KeyValue, void>;
  put(operation: PutOperation): Promise<PutAnswer>;
  delete(operation: DeleteOperation): Promise<DeleteAnswer>;
  txn(transaction: Transaction, consistency: Consistency): Promise<TransactionAnswer>;
  /** Gives the keyspace's revision. */
  compact(revision: number, physical: boolean): Promise<number>;
  watch(options: WatchOptions): BackendWatch;
  /**
   * The revision behind which a watch begins that names none: the newest, or where nobody confirms
   * that soon, as far as this node has applied, but not below what this backend has answered. Over
   * many shards it is always confirmed.
   */
  watchRevision(): Promise<number>;
  /** As the placement group confirms now, or as this node knows. */
  members(consistency: Consistency): Promise<readonly Member[]>;
  addMember(peerAddress: string, learner: boolean): Promise<NodeDescriptor>;
  removeMember(nodeId: number): Promise<void>;
  promoteMember(nodeId: number): Promise<void>;
  updateMember(nodeId: number, peerAddress: string): Promise<void>;
  status(): Promise<NodeStatus>;
  /** Of all members that answer. */
  alarms(): Promise<readonly MemberAlarm[]>;
  raiseAlarm(alarm: MemberAlarm): Promise<void>;
  /** false: it was not raised; what holds by itself is none of those that are. */
  disarm(alarm: MemberAlarm): Promise<boolean>;
  /** Makes this node's files smaller where that is worth while; nobody else has to wait. */
  defragment(): Promise<void>;
  /** Of what is stored at a revision; 0: the newest that this node has applied. */
  hash(revision: number): Promise<HashAnswer>;
  /** Hands the leadership of the keyspace's shard to another node. */
  moveLeader(nodeId: number): Promise<void>;
}
