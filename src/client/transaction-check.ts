/** What can be said of a transaction without a server: its keys, its size, its operations. */
import { TRANSACTION_DEPTH_MAX, TRANSACTION_OPERATIONS_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Operation, Transaction } from "../protocol/operations.js";
import { isOpenEnd } from "../route/stored-key.js";
import { checkedKey } from "./key-span.js";

/** Bytes that headers and framing of one operation may take. */
const OPERATION_OVERHEAD_BYTES = 128;

/** Throws KvError where a server would refuse it in any case. */
export function checkTransaction(txn: Transaction, sizeBytesMax: number): void {
  const size = sizeOf(txn, 0);
  if (size > sizeBytesMax) throw requestTooLarge(size, sizeBytesMax);
}

/** The error of a request that is not sent for its size. */
export function requestTooLarge(size: number, sizeBytesMax: number): KvError {
  const text = `a request of ${size} bytes exceeds the limit of ${sizeBytesMax}`;
  return notApplied("requestTooLarge", text, { bound: sizeBytesMax });
}

export function checkRequestSize(keyBytes: number, valueBytes: number, sizeBytesMax: number): void {
  const size = keyBytes + valueBytes + OPERATION_OVERHEAD_BYTES;
  if (size > sizeBytesMax) throw requestTooLarge(size, sizeBytesMax);
}

function sizeOf(txn: Transaction, depth: number): number {
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
  let size = 0;
  for (const compare of txn.compares) {
    size += keysSize(compare.key, compare.rangeEnd);
    if (compare.target.kind === "value") size += compare.target.value.length;
  }
  for (const operation of txn.success) size += operationSize(operation, depth);
  for (const operation of txn.failure) size += operationSize(operation, depth);
  return size;
}

function operationSize(operation: Operation, depth: number): number {
  if (operation.kind === "txn") return sizeOf(operation.txn, depth + 1);
  if (operation.kind === "put") return keysSize(operation.key, undefined) + operation.value.length;
  return keysSize(operation.key, operation.rangeEnd);
}

function keysSize(key: Uint8Array, rangeEnd: Uint8Array | undefined): number {
  checkedKey(key);
  if (rangeEnd !== undefined && !isOpenEnd(rangeEnd)) checkedKey(rangeEnd);
  return key.length + (rangeEnd?.length ?? 0) + OPERATION_OVERHEAD_BYTES;
}
