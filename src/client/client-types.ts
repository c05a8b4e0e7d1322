/**
 * What the SDK takes and gives. Keys and values are user keys and values; text is taken as UTF-8.
 * Whoever passes bytes must leave them unchanged until the call has settled.
 */
import type { KeyspaceKind } from "../protocol/cluster.js";
import type { KeyValue, ReadLevel, ResponseHeader, WatchEvent } from "../protocol/key-value.js";
import type { OperationResult, SortOrder, SortTarget } from "../protocol/operations.js";

export type BytesLike = string | Uint8Array;

export interface ConnectOptions {
  /** host:port of some nodes; the others are learned from them. */
  readonly endpoints: readonly string[];
  /** Default: "default". */
  readonly keyspace?: string | undefined;
  /** Level of reads that name none. Default: linearizable. */
  readonly level?: ReadLevel | undefined;
  /** How long an operation is tried, its retries included. Default: 5000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Stale reads, and watches of one shard, are asked of this node where it has a replica. */
  readonly nearNodeId?: number | undefined;
  /** Connections to each node. Default: 1. */
  readonly connections?: number | undefined;
  /** Largest request. Default: REQUEST_SIZE_BYTES_MAX, as the server's default. */
  readonly requestSizeBytesMax?: number | undefined;
}

/** Which keys: at most one of the three; none for the single key. */
export interface SpanEnd {
  /** Up to, not including, this key. */
  readonly rangeEnd?: BytesLike | undefined;
  /** All keys that start with `key`, which may be empty for all there are. */
  readonly prefix?: boolean | undefined;
  /** All keys from `key` on. */
  readonly fromKey?: boolean | undefined;
}

export interface Span extends SpanEnd {
  readonly key: BytesLike;
}

export interface PutOptions {
  readonly lease?: bigint | undefined;
  /** Return the key-value before this write. */
  readonly prevKv?: boolean | undefined;
  /** Keep the present value; the key must exist and the value given be empty. */
  readonly ignoreValue?: boolean | undefined;
  readonly ignoreLease?: boolean | undefined;
}

export interface ReadOptions {
  readonly level?: ReadLevel | undefined;
  /** 0 or absent: the newest. */
  readonly revision?: number | undefined;
  /** `stale` only: refuse to show a state older than this. */
  readonly maxStalenessMs?: number | undefined;
  /** `stale` only: show at least this revision. */
  readonly minRevision?: number | undefined;
}

export interface GetOptions extends ReadOptions {
  readonly keysOnly?: boolean | undefined;
  /** Key and value as views on what was received, all of which they keep in memory. */
  readonly views?: boolean | undefined;
}

export interface ScanOptions extends Span, ReadOptions {
  /** 0 or absent: no limit. */
  readonly limit?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  /** Inclusive bounds. */
  readonly minModRevision?: number | undefined;
  readonly maxModRevision?: number | undefined;
  readonly minCreateRevision?: number | undefined;
  readonly maxCreateRevision?: number | undefined;
  /** Needed for more than one key of a hash keyspace: reads every shard, and all of it. */
  readonly fanOut?: boolean | undefined;
}

export interface RangeOptions extends ScanOptions {
  readonly sortOrder?: SortOrder | undefined;
  readonly sortTarget?: SortTarget | undefined;
  readonly countOnly?: boolean | undefined;
}

export interface DeleteOptions extends SpanEnd {
  readonly prevKv?: boolean | undefined;
}

export interface WatchOptions extends Span {
  /** 0 or absent: what comes from now on. */
  readonly startRevision?: number | undefined;
  readonly prevKv?: boolean | undefined;
  readonly noPut?: boolean | undefined;
  readonly noDelete?: boolean | undefined;
  /** Say up to which revision everything was shown, also while nothing happens. */
  readonly progress?: boolean | undefined;
  /** As in ScanOptions. */
  readonly fanOut?: boolean | undefined;
}

/** All events of one revision, or the news that nothing at or below `progress` will follow. */
export type WatchItem =
  | { readonly revision: number; readonly events: readonly WatchEvent[] }
  | { readonly progress: number };

export interface KeyspaceOptions {
  readonly name: string;
  readonly kind: KeyspaceKind;
  /** `range`: where to cut it from the start. */
  readonly splitPoints?: readonly BytesLike[] | undefined;
  /** `hash`: into how many arcs to cut it. Default: 1. */
  readonly shards?: number | undefined;
  /** Default: the cluster's. */
  readonly replicationFactor?: number | undefined;
}

export interface CompactOptions {
  /** Wait until the nodes that can be reached have given the space back. */
  readonly physical?: boolean | undefined;
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
  /** More keys match than were returned. */
  readonly more: boolean;
  /** Keys in the whole range, whatever limit and bounds say. */
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

export interface LeaseGrantResponse extends Headed {
  readonly id: bigint;
  /** What was granted: not less than the least that the cluster grants. */
  readonly ttlSeconds: number;
}

export interface LeaseKeepAliveResponse extends Headed {
  /** 0: there is no such lease. */
  readonly ttlSeconds: number;
}

export interface LeaseTimeToLiveResponse extends Headed {
  /** Whole seconds that are left; -1: there is no such lease. */
  readonly ttlSeconds: number;
  /** 0 where there is none. */
  readonly grantedTtlSeconds: number;
  /** The user keys attached, if they were asked for. */
  readonly keys: readonly Uint8Array[];
}

export interface LeaseListResponse extends Headed {
  /** Soonest to expire first. */
  readonly ids: readonly bigint[];
}

/** The leases of a keyspace. */
export interface Leases {
  /** An `id` of 0 lets the cluster choose one. Refused: `leaseExists`, `leaseTtlTooLarge`. */
  grant(ttlSeconds: number, id?: bigint): Promise<LeaseGrantResponse>;
  /** Ends the lease and deletes its keys, all in one revision. Refused: `leaseNotFound`. */
  revoke(id: bigint): Promise<Headed>;
  keepAlive(id: bigint): Promise<LeaseKeepAliveResponse>;
  timeToLive(id: bigint, options?: { readonly keys?: boolean }): Promise<LeaseTimeToLiveResponse>;
  list(): Promise<LeaseListResponse>;
}
