/**
 * One-shot transactions, etcd's data model: compares that are all evaluated before anything is
 * written, and two branches. A put, a range or a delete alone is a transaction of one operation.
 * Keys here are stored keys on the way to a shard and user keys in the SDK.
 */
import type { KeyValue } from "./key-value.js";

export type CompareResult = "equal" | "greater" | "less" | "notEqual";

export type CompareTarget =
  | { readonly kind: "version" | "create" | "mod"; readonly value: number }
  | { readonly kind: "value"; readonly value: Uint8Array }
  | { readonly kind: "lease"; readonly value: bigint };

export interface Compare {
  readonly key: Uint8Array;
  /** With an end, every existing key in [key, rangeEnd) must satisfy. */
  readonly rangeEnd: Uint8Array | undefined;
  readonly result: CompareResult;
  readonly target: CompareTarget;
}

export interface PutOperation {
  readonly kind: "put";
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export type SortTarget = "key" | "version" | "create" | "mod" | "value";
export type SortOrder = "none" | "ascend" | "descend";

export interface RangeOperation {
  readonly kind: "range";
  readonly key: Uint8Array;
  /** undefined: the single key. */
  readonly rangeEnd: Uint8Array | undefined;
  /** 0: no limit. */
  readonly limit: number;
  /** 0: the newest. */
  readonly revision: number;
  readonly sortOrder: SortOrder;
  readonly sortTarget: SortTarget;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /**
   * Stop when it is known whether there is more; `count` is then what was looked at. Exact counts
   * walk the whole range, which pages of a long scan cannot afford.
   */
  readonly skipCount?: boolean | undefined;
  /** Inclusive bounds, 0 for none; they do not change `count`. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

/** All of a key or range as it is now, but for what `more` says. */
export function rangeOf(
  key: Uint8Array,
  rangeEnd?: Uint8Array,
  more: Partial<RangeOperation> = {},
): RangeOperation {
  return {
    kind: "range",
    key,
    rangeEnd,
    limit: 0,
    revision: 0,
    sortOrder: "none",
    sortTarget: "key",
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...more,
  };
}

/** A value and nothing else, but for what `more` says. */
export function putOf(
  key: Uint8Array,
  value: Uint8Array,
  more: Partial<PutOperation> = {},
): PutOperation {
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", key, value, lease: 0n, ...flags, ...more };
}

export interface DeleteOperation {
  readonly kind: "delete";
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array | undefined;
  readonly prevKv: boolean;
}

export interface NestedOperation {
  readonly kind: "txn";
  readonly txn: Transaction;
}

export type Operation = PutOperation | RangeOperation | DeleteOperation | NestedOperation;

export interface Transaction {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export interface PutResult {
  readonly kind: "put";
  readonly prevKv: KeyValue | undefined;
}

export interface RangeResult {
  readonly kind: "range";
  readonly kvs: readonly KeyValue[];
  /** More keys match than were returned. */
  readonly more: boolean;
  /** Keys in the whole range, whatever limit and bounds say. */
  readonly count: number;
}

export interface DeleteResult {
  readonly kind: "delete";
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

export interface NestedResult {
  readonly kind: "txn";
  readonly result: TransactionResult;
}

export type OperationResult = PutResult | RangeResult | DeleteResult | NestedResult;

export interface TransactionResult {
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
}
