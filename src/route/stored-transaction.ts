/**
 * A transaction in user keys as one in stored keys, together with the smallest interval that holds
 * all its keys: it can be done by one shard exactly where that shard covers the interval. Ranges in
 * a hash keyspace are refused, for its keys have no order there, and leases in one of many shards.
 */
import { compareBytes, keyAfter } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Compare, Operation, Transaction } from "../protocol/operations.js";
import { keyspaceRange, storedKey, storedRange } from "./stored-key.js";

export interface StoredTransaction {
  readonly txn: Transaction;
  /** A transaction without keys has the interval of its whole keyspace's first key. */
  readonly interval: KeyRange;
}

/** Throws KvError orderedScanRefused, or unsupported for leases. */
export function storedTransaction(
  keyspace: KeyspaceDescriptor,
  txn: Transaction,
): StoredTransaction {
  const translation = new Translation(keyspace);
  const stored = translation.transaction(txn);
  return { txn: stored, interval: translation.interval() };
}

/** A lease lives in the one shard that all its keys are in. */
export function leasesRefused(keyspace: KeyspaceDescriptor): KvError {
  const text = "leases need a keyspace with one shard, and locks and elections need leases; ";
  return notApplied("unsupported", `${text}${keyspace.name} has more`);
}

export function orderedScanRefused(keyspace: KeyspaceDescriptor): KvError {
  return notApplied(
    "orderedScanRefused",
    `keyspace ${keyspace.name} is placed by hash: its keys have no order to scan in; ` +
      "a range or prefix must be asked for with fanOut, and reads every shard",
  );
}

class Translation {
  readonly #keyspace: KeyspaceDescriptor;
  #start: Uint8Array | undefined;
  #end: Uint8Array | undefined;
  #unbounded = false;

  constructor(keyspace: KeyspaceDescriptor) {
    this.#keyspace = keyspace;
  }

  transaction(txn: Transaction): Transaction {
    return {
      compares: txn.compares.map((compare) => this.#compare(compare)),
      success: txn.success.map((operation) => this.#operation(operation)),
      failure: txn.failure.map((operation) => this.#operation(operation)),
    };
  }

  interval(): KeyRange {
    const start = this.#start ?? keyspaceRange(this.#keyspace.keyspaceId).start;
    const end = this.#unbounded ? undefined : (this.#end ?? keyAfter(start));
    return { start, end };
  }

  #compare(compare: Compare): Compare {
    const range = this.#keys(compare.key, compare.rangeEnd);
    return { ...compare, key: range.key, rangeEnd: range.rangeEnd };
  }

  #operation(operation: Operation): Operation {
    if (operation.kind === "txn") return { kind: "txn", txn: this.transaction(operation.txn) };
    if (operation.kind === "put") {
      if (operation.lease !== 0n && !this.#keyspace.dense) throw leasesRefused(this.#keyspace);
      return { ...operation, key: this.#key(operation.key) };
    }
    const range = this.#keys(operation.key, operation.rangeEnd);
    return { ...operation, key: range.key, rangeEnd: range.rangeEnd };
  }

  #keys(key: Uint8Array, rangeEnd: Uint8Array | undefined): StoredKeys {
    if (rangeEnd === undefined) return { key: this.#key(key), rangeEnd: undefined };
    if (this.#keyspace.kind === "hash") throw orderedScanRefused(this.#keyspace);
    const { start, end } = storedRange(this.#keyspace, key, rangeEnd);
    this.#widen(start, end);
    // The very last keyspace has no end; the byte 0 stands for that on the wire too.
    return { key: start, rangeEnd: end ?? rangeEnd };
  }

  #key(userKey: Uint8Array): Uint8Array {
    const key = storedKey(this.#keyspace, userKey);
    this.#widen(key, keyAfter(key));
    return key;
  }

  #widen(start: Uint8Array, end: Uint8Array | undefined): void {
    if (this.#start === undefined || compareBytes(start, this.#start) < 0) this.#start = start;
    if (end === undefined) this.#unbounded = true;
    else if (this.#end === undefined || compareBytes(end, this.#end) > 0) this.#end = end;
  }
}

interface StoredKeys {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array | undefined;
}
