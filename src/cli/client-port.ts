/**
 * The part of the SDK's client that commands use, as a port: the client fits it as it is, and tests
 * fit a store in memory.
 */
import type {
  CompactOptions,
  DeleteOptions,
  DeleteResponse,
  GetOptions,
  GetResponse,
  Headed,
  KeyspaceOptions,
  Leases,
  PutOptions,
  PutResponse,
  RangeOptions,
  RangeResponse,
  ReadOptions,
  ScanOptions,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "../client/client-types.js";
import type { AlarmReport } from "../client/admin.js";
import type {
  AlarmChangeRequest,
  BackupOpenRequest,
  BackupOpenResponse,
  BackupReadRequest,
  BackupReadResponse,
  BackupReleaseRequest,
  HashRequest,
  HashResponse,
  HealthResponse,
  MapResponse,
  MemberAddRequest,
  MemberUpdateRequest,
  ReplicaChangeRequest,
  StatusResponse,
} from "../protocol/admin-messages.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  NodeDescriptor,
  ShardDescriptor,
} from "../protocol/cluster.js";
import type { KeyValue } from "../protocol/key-value.js";
import type { Transaction } from "../protocol/operations.js";

export interface WatchStream extends AsyncIterable<WatchItem> {
  cancel(): void;
}

/** A lease that is kept alive. */
export interface LivingLease {
  readonly id: bigint;
  readonly gone: AbortSignal;
  revoke(): Promise<void>;
}

export interface AdminPort {
  map(): Promise<MapResponse>;
  status(endpoint: string): Promise<StatusResponse>;
  health(endpoint: string): Promise<HealthResponse>;
  hash(endpoint: string, request: HashRequest, timeoutMs: number): Promise<HashResponse>;
  defragment(endpoint: string, timeoutMs: number): Promise<void>;
  alarms(): Promise<AlarmReport>;
  changeAlarm(request: AlarmChangeRequest): Promise<void>;
  confirmedMap(): Promise<ClusterMap>;
  revision(keyspaceId: number): Promise<number>;
  backupOpen(
    endpoint: string,
    request: BackupOpenRequest,
    timeoutMs: number,
  ): Promise<BackupOpenResponse>;
  backupRead(
    endpoint: string,
    request: BackupReadRequest,
    timeoutMs: number,
  ): Promise<BackupReadResponse>;
  backupRelease(endpoint: string, request: BackupReleaseRequest, timeoutMs: number): Promise<void>;
  createKeyspace(options: KeyspaceOptions): Promise<KeyspaceDescriptor>;
  locate(key: Uint8Array): Promise<ShardDescriptor>;
  moveLeader(shardId: number, node: string | number): Promise<void>;
  addMember(request: MemberAddRequest): Promise<NodeDescriptor>;
  removeMember(nodeId: number): Promise<void>;
  untilLeft(nodeId: number): Promise<number>;
  promoteMember(nodeId: number): Promise<void>;
  updateMember(request: MemberUpdateRequest): Promise<void>;
  changeReplica(request: ReplicaChangeRequest): Promise<void>;
}

export interface ClientPort {
  readonly admin: AdminPort;
  readonly leases: Leases;
  keepLease(ttlSeconds: number): Promise<LivingLease>;
  put(key: Uint8Array, value: Uint8Array, options?: PutOptions): Promise<PutResponse>;
  get(key: Uint8Array, options?: GetOptions): Promise<GetResponse>;
  range(options: RangeOptions): Promise<RangeResponse>;
  scan(options: ScanOptions): AsyncIterable<KeyValue>;
  delete(key: Uint8Array, options?: DeleteOptions): Promise<DeleteResponse>;
  txn(transaction: Transaction, options?: ReadOptions): Promise<TransactionResponse>;
  watch(options: WatchOptions): WatchStream;
  compact(revision: number, options?: CompactOptions): Promise<Headed>;
  close(): Promise<void>;
}
