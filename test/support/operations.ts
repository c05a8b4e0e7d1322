/** Short ways to write down operations. */
import { utf8 } from "../../src/base/bytes.js";
import type {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteOperation,
  Operation,
  PutOperation,
  RangeOperation,
  Transaction,
} from "../../src/protocol/operations.js";

export function put(key: string, value = "", more: Partial<PutOperation> = {}): PutOperation {
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", key: utf8(key), value: utf8(value), lease: 0n, ...flags, ...more };
}

export function range(
  key: string,
  end?: string,
  more: Partial<RangeOperation> = {},
): RangeOperation {
  return rangeOf(utf8(key), end === undefined ? undefined : utf8(end), more);
}

/** A range over keys that are bytes already. */
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

export function remove(key: string, end?: string, prevKv = false): DeleteOperation {
  const rangeEnd = end === undefined ? undefined : utf8(end);
  return { kind: "delete", key: utf8(key), rangeEnd, prevKv };
}

export function nested(txn: Transaction): Operation {
  return { kind: "txn", txn };
}

export function txn(
  compares: readonly Compare[],
  success: readonly Operation[],
  failure: readonly Operation[] = [],
): Transaction {
  return { compares, success, failure };
}

export function compare(
  key: string,
  target: CompareTarget,
  result: CompareResult = "equal",
  end?: string,
): Compare {
  return { key: utf8(key), rangeEnd: end === undefined ? undefined : utf8(end), result, target };
}
