/** Short ways to write down operations. */
import { utf8 } from "../../src/base/bytes.js";
import { putOf, rangeOf } from "../../src/protocol/operations.js";
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
  return putOf(utf8(key), utf8(value), more);
}

export function range(
  key: string,
  end?: string,
  more: Partial<RangeOperation> = {},
): RangeOperation {
  return rangeOf(utf8(key), end === undefined ? undefined : utf8(end), more);
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
