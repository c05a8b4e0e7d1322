/** What can be said of a transaction without a server: its keys, its size, its operations. */
import {
  OPERATION_FRAMING_BYTES,
  REQUEST_FRAMING_BYTES,
  TRANSACTION_DEPTH_MAX,
  TRANSACTION_OPERATIONS_MAX,
} from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Operation, Transaction } from "../protocol/operations.js";
import { isOpenEnd } from "../route/stored-key.js";
import { checkedKey } from "./key-span.js";

/** What a transaction has in keys and values, and compares and operations that frame them. */
interface Size {
  bytes: number;
  parts: number;
}

/**
 * Throws KvError where a server would refuse it in any case. Keys and values are held to the limit;
 * what frames them has room of its own, and what they leave.
 */
export function checkTransaction(txn: Transaction, sizeBytesMax: number): void {
  const size: Size = { bytes: 0, parts: 0 };
  measure(txn, 0, size);
  const framed = size.bytes + size.parts * OPERATION_FRAMING_BYTES - REQUEST_FRAMING_BYTES;
  const most = Math.max(size.bytes, framed);
  if (most > sizeBytesMax) throw requestTooLarge(most, sizeBytesMax);
}

/** The error of a request that is not sent for its size. */
export function requestTooLarge(size: number, sizeBytesMax: number): KvError {
  const text = `a request of ${size} bytes exceeds the limit of ${sizeBytesMax}`;
  return notApplied("requestTooLarge", text, { bound: sizeBytesMax });
}

export function checkRequestSize(keyBytes: number, valueBytes: number, sizeBytesMax: number): void {
  const size = keyBytes + valueBytes;
  if (size > sizeBytesMax) throw requestTooLarge(size, sizeBytesMax);
}

function measure(txn: Transaction, depth: number, size: Size): void {
  if (depth > TRANSACTION_DEPTH_MAX) {
    const text = `transactions are nested deeper than ${TRANSACTION_DEPTH_MAX}`;
    throw notApplied("tooManyOperations", text, { bound: TRANSACTION_DEPTH_MAX });
  }
  const counts = [txn.compares.length, txn.success.length, txn.failure.length];
  const most = Math.max(...counts);
  if (most > TRANSACTION_OPERATIONS_MAX) {
    const text = `${most} operations exceed the limit of ${TRANSACTION_OPERATIONS_MAX}`;
    throw notApplied("tooManyOperations", text, { bound: TRANSACTION_OPERATIONS_MAX });
  }
  for (const compare of txn.compares) {
    measureKeys(compare.key, compare.rangeEnd, size);
    if (compare.target.kind === "value") size.bytes += compare.target.value.length;
  }
  for (const operation of txn.success) measureOperation(operation, depth, size);
  for (const operation of txn.failure) measureOperation(operation, depth, size);
}

function measureOperation(operation: Operation, depth: number, size: Size): void {
  if (operation.kind === "txn") return measure(operation.txn, depth + 1, size);
  const isPut = operation.kind === "put";
  measureKeys(operation.key, isPut ? undefined : operation.rangeEnd, size);
  if (isPut) size.bytes += operation.value.length;
}

function measureKeys(key: Uint8Array, rangeEnd: Uint8Array | undefined, size: Size): void {
  checkedKey(key);
  if (rangeEnd !== undefined && !isOpenEnd(rangeEnd)) checkedKey(rangeEnd);
  size.bytes += key.length + (rangeEnd?.length ?? 0);
  size.parts++;
}
