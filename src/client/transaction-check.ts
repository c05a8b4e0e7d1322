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
import { transactionSize } from "../protocol/transaction-size.js";
import { isOpenEnd } from "../route/stored-key.js";
import { checkedKey } from "./key-span.js";

/**
 * Throws KvError where a server would refuse it in any case. Keys and values are held to the limit;
 * what frames them has room of its own, and what they leave.
 */
export function checkTransaction(txn: Transaction, sizeBytesMax: number): void {
  checkShape(txn, 0);
  const { bytes, parts } = transactionSize(txn);
  const framed = bytes + parts * OPERATION_FRAMING_BYTES - REQUEST_FRAMING_BYTES;
  const most = Math.max(bytes, framed);
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

function checkShape(txn: Transaction, depth: number): void {
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
  for (const { key, rangeEnd } of txn.compares) checkKeys(key, rangeEnd);
  for (const operation of txn.success) checkOperation(operation, depth);
  for (const operation of txn.failure) checkOperation(operation, depth);
}

function checkOperation(operation: Operation, depth: number): void {
  if (operation.kind === "txn") return checkShape(operation.txn, depth + 1);
  checkKeys(operation.key, operation.kind === "put" ? undefined : operation.rangeEnd);
}

function checkKeys(key: Uint8Array, rangeEnd: Uint8Array | undefined): void {
  checkedKey(key);
  if (rangeEnd !== undefined && !isOpenEnd(rangeEnd)) checkedKey(rangeEnd);
}
