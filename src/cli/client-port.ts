/**
 * The part of the client SDK that commands use, as a port: the SDK's client fits it as it is, and
 * tests fit a store in memory. Keys and values are user bytes on both sides.
 */
import type { StatusResponse, HealthResponse, MapResponse } from "../protocol/admin-messages.js";
import type { KeyspaceDescriptor, KeyspaceKind, ShardDescriptor } from "../protocol/cluster.js";
import type { KeyValue, ReadLevel, ResponseHeader, WatchEvent } from "../protocol/key-value.js";
import type {
  OperationResult,
  SortOrder,
  SortTarget,
  Transaction,
} from "../protocol/operations.js";

/** What a request names: one key, or [key, rangeEnd), or everything from key on. */
export interface Span {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array | undefined;
  readonly fromKey?: boolean | undefined;
}

export interface ReadOptions {
  readonly level?: ReadLevel | undefined;
  readonly revision?: number | undefined;
  readonly maxStalenessMs?: number | undefined;
  readonly keysOnly?: boolean | undefined;
}

export interface RangeOptions extends Span, ReadOptions {
  readonly limit?: number | undefined;
  readonly sortOrder?: SortOrder | undefined;
  readonly sortTarget?: SortTarget | undefined;
  readonly countOnly?: boolean | undefined;
  readonly minModRevision?: number | undefined;
  readonly maxModRevision?: number | undefined;
  readonly minCreateRevision?: number | undefined;
  readonly maxCreateRevision?: number | undefined;
  readonly fanOut?: boolean | undefined;
}

export interface PutOptions {
  readonly prevKv?: boolean | undefined;
  readonly ignoreValue?: boolean | undefined;
  readonly ignoreLease?: boolean | undefined;
}

export interface Headed {
  readonly header: ResponseHeader;
}
export interface PutResponse extends Headed {
  readonly prevKv: KeyValue | undefined;
}
export interface GetResponse extends Headed {
  readonly kv: KeyValue | undefined;
}
export interface RangeResponse extends Headed {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}
export interface DeleteResponse extends Headed {
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}
export interface TransactionResponse extends Headed {
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
}

export interface WatchOptions extends Span {
  readonly startRevision?: number | undefined;
  readonly prevKv?: boolean | undefined;
  readonly progress?: boolean | undefined;
  readonly fanOut?: boolean | undefined;
}
/** All events of one revision, or the news that nothing at or below `progress` will follow. */
export type WatchPart =
  | { readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly progress: number };
export interface WatchStream extends AsyncIterable<WatchPart> {
  cancel(): void;
}

export interface KeyspaceSettings {
  readonly name: string;
  readonly kind: KeyspaceKind;
  readonly splitPoints?: readonly Uint8Array[] | undefined;
  readonly shards?: number | undefined;
  readonly replicationFactor?: number | undefined;
}

export interface AdminPort {
  map(): Promise<MapResponse>;
  status(endpoint: string): Promise<StatusResponse>;
  health(endpoint: string): Promise<HealthResponse>;
  createKeyspace(settings: KeyspaceSettings): Promise<KeyspaceDescriptor>;
  locate(key: Uint8Array): Promise<ShardDescriptor>;
  moveLeader(shardId: number, node: string | number): Promise<void>;
}

export interface ClientPort {
  readonly admin: AdminPort;
  put(key: Uint8Array, value: Uint8Array, options?: PutOptions): Promise<PutResponse>;
  get(key: Uint8Array, options?: ReadOptions): Promise<GetResponse>;
  range(options: RangeOptions): Promise<RangeResponse>;
  scan(options: RangeOptions): AsyncIterable<KeyValue>;
  delete(
    key: Uint8Array,
    options?: Omit<Span, "key"> & { readonly prevKv?: boolean | undefined },
  ): Promise<DeleteResponse>;
  txn(transaction: Transaction): Promise<TransactionResponse>;
  watch(options: WatchOptions): WatchStream;
  compact(revision: number, options: { readonly physical: boolean }): Promise<Headed>;
  close(): Promise<void>;
}
