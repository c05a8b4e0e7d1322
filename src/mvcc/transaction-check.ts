/**
 * What can be said about a transaction without looking at any data: how many operations it has,
 * whether its keys belong here, and whether a key would be written twice.
 *
 * Two puts of one key, or a put of a key that another operation deletes, are refused, across all
 * levels of nesting, unless they lie in the two branches of one transaction, of which only one can
 * run. So a key has at most one version of a revision.
 */
import { compareBytes, compareSlices } from "../base/bytes.js";
import { rangeCovers } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import {
  KEY_SIZE_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TRANSACTION_STEPS_MAX,
} from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Operation, Transaction } from "../protocol/operations.js";

/** The shard as a check needs it: its keys, and how much of them is not the user's. */
export interface KeyBounds {
  readonly range: KeyRange;
  readonly prefixLength: number;
}

/** Whether a transaction can only read. */
export function isReadOnly(txn: Transaction): boolean {
  return areReadOnly(txn.success) && areReadOnly(txn.failure);
}

/** Why the transaction is refused, or undefined. */
export function checkTransaction(txn: Transaction, bounds: KeyBounds): KvError | undefined {
  const writes: Writes = { puts: [], deletes: [] };
  const error =
    checkOperationCount(txn, TRANSACTION_OPERATIONS_MAX) ??
    checkBranches(txn, bounds, undefined, writes);
  return error ?? checkDuplicates(writes);
}

/** Why a key cannot be a key of this shard, or undefined. A range may start at the bare prefix. */
export function checkKey(
  bounds: KeyBounds,
  key: Uint8Array,
  offset: number,
  length: number,
): KvError | undefined {
  const userLength = length - bounds.prefixLength;
  if (userLength <= 0) return notApplied("keyEmpty", "a key is empty");
  if (userLength > KEY_SIZE_BYTES_MAX) return keyTooLarge(userLength);
  const { start, end } = bounds.range;
  if (compareSlices(key, offset, length, start, 0, start.length) < 0) return outsideShard();
  if (end === undefined) return undefined;
  return compareSlices(key, offset, length, end, 0, end.length) < 0 ? undefined : outsideShard();
}

/** Where an operation stands: the branches it lies in, innermost first. */
interface Branch {
  /** One object for the two branches of one transaction at one place. */
  readonly site: object;
  readonly isSuccess: boolean;
  readonly parent: Branch | undefined;
  readonly depth: number;
}

interface Writes {
  readonly puts: { readonly key: Uint8Array; readonly branch: Branch }[];
  readonly deletes: {
    readonly key: Uint8Array;
    readonly rangeEnd: Uint8Array | undefined;
    readonly branch: Branch;
  }[];
}

function areReadOnly(operations: readonly Operation[]): boolean {
  for (const operation of operations) {
    if (operation.kind === "put" || operation.kind === "delete") return false;
    if (operation.kind === "txn" && !isReadOnly(operation.txn)) return false;
  }
  return true;
}

/** A nested transaction may have what its parent left over. */
function checkOperationCount(txn: Transaction, max: number): KvError | undefined {
  const count = Math.max(txn.compares.length, txn.success.length, txn.failure.length);
  if (count > max) {
    const message = `a transaction has more than ${TRANSACTION_OPERATIONS_MAX} operations`;
    return notApplied("tooManyOperations", message, { bound: TRANSACTION_OPERATIONS_MAX });
  }
  for (const branch of [txn.success, txn.failure]) {
    for (const operation of branch) {
      if (operation.kind !== "txn") continue;
      const error = checkOperationCount(operation.txn, max - count);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}

function checkBranches(
  txn: Transaction,
  bounds: KeyBounds,
  parent: Branch | undefined,
  writes: Writes,
): KvError | undefined {
  for (const { key, rangeEnd } of txn.compares) {
    const error = checkKeys(bounds, key, rangeEnd);
    if (error !== undefined) return error;
  }
  const depth = parent === undefined ? 0 : parent.depth + 1;
  const site = {};
  for (const isSuccess of [true, false]) {
    const branch = { site, isSuccess, parent, depth };
    for (const operation of isSuccess ? txn.success : txn.failure) {
      const error = checkOperation(operation, bounds, branch, writes);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}

function checkOperation(
  operation: Operation,
  bounds: KeyBounds,
  branch: Branch,
  writes: Writes,
): KvError | undefined {
  switch (operation.kind) {
    case "txn":
      return checkBranches(operation.txn, bounds, branch, writes);
    case "range":
      return checkKeys(bounds, operation.key, operation.rangeEnd);
    case "put":
      writes.puts.push({ key: operation.key, branch });
      return checkKeys(bounds, operation.key, undefined);
    case "delete":
      writes.deletes.push({ key: operation.key, rangeEnd: operation.rangeEnd, branch });
      return checkKeys(bounds, operation.key, operation.rangeEnd);
  }
}

function checkKeys(
  bounds: KeyBounds,
  key: Uint8Array,
  rangeEnd: Uint8Array | undefined,
): KvError | undefined {
  if (rangeEnd === undefined) return checkKey(bounds, key, 0, key.length);
  const userLength = key.length - bounds.prefixLength;
  if (userLength > KEY_SIZE_BYTES_MAX) return keyTooLarge(userLength);
  if (compareBytes(key, rangeEnd) >= 0) return undefined;
  return rangeCovers(bounds.range, { start: key, end: rangeEnd }) ? undefined : outsideShard();
}

function checkDuplicates(writes: Writes): KvError | undefined {
  const { puts, deletes } = writes;
  if (puts.length + deletes.length < 2) return undefined;
  puts.sort((a, b) => compareBytes(a.key, b.key));
  for (let i = 1; i < puts.length; i++) {
    // They are in the order of the transaction. Where any two of one key are not exclusive, so are
    // two neighbours: those between which the first of the two's operation of their branch ends.
    if (compareBytes(puts[i - 1]!.key, puts[i]!.key) !== 0) continue;
    if (!areExclusive(puts[i - 1]!.branch, puts[i]!.branch)) return duplicateKey();
  }
  return checkDeletes(writes);
}

function checkDeletes({ puts, deletes }: Writes): KvError | undefined {
  let steps = 0;
  for (const { key, rangeEnd, branch } of deletes) {
    for (let i = firstAtOrAfter(puts, key); i < puts.length; i++) {
      const order = compareBytes(puts[i]!.key, rangeEnd ?? key);
      if (rangeEnd === undefined ? order > 0 : order >= 0) break;
      if (!areExclusive(puts[i]!.branch, branch)) return duplicateKey();
      steps += 1 + puts[i]!.branch.depth + branch.depth;
      if (steps > TRANSACTION_STEPS_MAX) return tooManySteps();
    }
  }
  return undefined;
}

/** Whether two operations lie in different branches of one transaction. */
function areExclusive(a: Branch, b: Branch): boolean {
  let left: Branch | undefined = a;
  let right: Branch | undefined = b;
  while (left !== undefined && left.depth > b.depth) left = left.parent;
  while (right !== undefined && right.depth > a.depth) right = right.parent;
  while (left !== undefined && right !== undefined) {
    if (left.site === right.site && left.isSuccess !== right.isSuccess) return true;
    left = left.parent;
    right = right.parent;
  }
  return false;
}

function firstAtOrAfter(puts: readonly { readonly key: Uint8Array }[], key: Uint8Array): number {
  let low = 0;
  let high = puts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(puts[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function outsideShard(): KvError {
  return notApplied("crossShard", "a key of the request lies outside its shard");
}

function duplicateKey(): KvError {
  return notApplied("duplicateKey", "a key is written twice in one transaction");
}

function tooManySteps(): KvError {
  const message = "too many deletes and puts of the same keys in branches that exclude each other";
  return notApplied("limitExceeded", message, { bound: TRANSACTION_STEPS_MAX });
}

function keyTooLarge(length: number): KvError {
  const message = `a key of ${length} bytes exceeds the limit of ${KEY_SIZE_BYTES_MAX}`;
  return notApplied("keyTooLarge", message, { bound: KEY_SIZE_BYTES_MAX });
}
