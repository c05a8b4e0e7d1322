/**
 * What the workloads use of the store: the SDK's client fits as it is, etcd's API by an adapter.
 * Keys and values are texts here; everything else is the SDK's.
 */
import type {
  BytesLike,
  DeleteResponse,
  GetOptions,
  GetResponse,
  Headed,
  Leases,
  PutOptions,
  PutResponse,
  RangeOptions,
  RangeResponse,
  ReadOptions,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "../../src/client/client-types.js";
import { utf8 } from "../../src/base/bytes.js";
import type { Prng } from "../../src/base/prng.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { putOf, rangeOf } from "../../src/protocol/operations.js";
import type { Compare, Operation, Transaction } from "../../src/protocol/operations.js";

export interface Watching extends AsyncIterable<WatchItem> {
  /** The first revision it covers. */
  readonly started: Promise<number>;
  cancel(): void;
}

export interface Store {
  put(key: BytesLike, value: BytesLike, options?: PutOptions): Promise<PutResponse>;
  get(key: BytesLike, options?: GetOptions): Promise<GetResponse>;
  range(options: RangeOptions): Promise<RangeResponse>;
  delete(key: BytesLike): Promise<DeleteResponse>;
  txn(transaction: Transaction, options?: ReadOptions): Promise<TransactionResponse>;
  watch(options: WatchOptions): Watching;
  compact(revision: number): Promise<Headed>;
  keyspace(name: string): Store;
  /** Where the API has them. */
  readonly leases?: Leases | undefined;
}

/** The levels of reads that promise the newest; etcd's API knows one of them. */
const NEWEST: readonly ReadLevel[] = ["linearizable", "lease", "follower"];

export function someNewest(prng: Prng): ReadLevel {
  return NEWEST[prng.between(0, NEWEST.length - 1)]!;
}

export function putting(key: string, value: string): Operation {
  return putOf(utf8(key), utf8(value));
}

export function reading(key: string): Operation {
  return rangeOf(utf8(key));
}

export function deleting(key: string): Operation {
  return { kind: "delete", key: utf8(key), rangeEnd: undefined, prevKv: false };
}

/** Holds while the key is as it was at `modRevision`; 0: while it is not there. */
export function unchanged(key: string, modRevision: number): Compare {
  const target = { kind: "mod", value: modRevision } as const;
  return { key: utf8(key), rangeEnd: undefined, result: "equal", target };
}

export function comparing(key: string, value: string): Compare {
  const target = { kind: "value", value: utf8(value) } as const;
  return { key: utf8(key), rangeEnd: undefined, result: "equal", target };
}

/** Does all of it if all compares hold, otherwise nothing. */
export function ifAll(compares: readonly Compare[], success: readonly Operation[]): Transaction {
  return { compares, success, failure: [] };
}
