/** What a transaction is before it is evaluated: whether it writes or adds, and its keys. */
import { compareBytes } from "../base/bytes.js";
import { rangeContains } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import { KEY_SIZE_BYTES_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Operation, Transaction } from "../protocol/operations.js";

/** Whether some branch holds a put or a delete. */
export function writesAnything(transaction: Transaction): boolean {
  return transaction.success.some(writes) || transaction.failure.some(writes);
}

/** Whether some branch holds a put. */
export function putsAnything(transaction: Transaction): boolean {
  return transaction.success.some(puts) || transaction.failure.some(puts);
}

/** Why the keys of a transaction cannot be served by a shard of this range. */
export function keysFault(
  transaction: Transaction,
  range: KeyRange,
  prefixLength: number,
): KvError | undefined {
  for (const compare of transaction.compares) {
    const fault = keyFault(compare.key, compare.rangeEnd, range, prefixLength);
    if (fault !== undefined) return fault;
  }
  return (
    branchFault(transaction.success, range, prefixLength) ??
    branchFault(transaction.failure, range, prefixLength)
  );
}

function writes(operation: Operation): boolean {
  if (operation.kind === "txn") return writesAnything(operation.txn);
  return operation.kind !== "range";
}

function puts(operation: Operation): boolean {
  return operation.kind === "txn" ? putsAnything(operation.txn) : operation.kind === "put";
}

function branchFault(
  operations: readonly Operation[],
  range: KeyRange,
  prefixLength: number,
): KvError | undefined {
  for (const operation of operations) {
    const fault =
      operation.kind === "txn"
        ? keysFault(operation.txn, range, prefixLength)
        : keyFault(
            operation.key,
            operation.kind === "put" ? undefined : operation.rangeEnd,
            range,
            prefixLength,
          );
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function keyFault(
  key: Uint8Array,
  rangeEnd: Uint8Array | undefined,
  range: KeyRange,
  prefixLength: number,
): KvError | undefined {
  const userLength = key.length - prefixLength;
  if (userLength > KEY_SIZE_BYTES_MAX) {
    const text = `a key has ${userLength} bytes; at most ${KEY_SIZE_BYTES_MAX} are accepted`;
    return notApplied("keyTooLarge", text, { bound: KEY_SIZE_BYTES_MAX });
  }
  if (rangeEnd === undefined) {
    if (userLength <= 0) return notApplied("keyEmpty", "a key is empty");
    return rangeContains(range, key) ? undefined : elsewhere();
  }
  if (compareBytes(key, range.start) < 0) return elsewhere();
  if (range.end !== undefined && compareBytes(rangeEnd, range.end) > 0) return elsewhere();
  return undefined;
}

function elsewhere(): KvError {
  return notApplied(
    "crossShard",
    "not all keys of the transaction lie in one shard; transactions over shards are not served yet",
  );
}
