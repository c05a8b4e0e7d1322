/**
 * The naive model: a list of versions per user key (as text), answers computed from it by the
 * shortest code that could be right. Keys and range ends here are user keys.
 */
import { compareBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import { TRANSACTION_OPERATIONS_MAX } from "../../src/base/limits.js";
import type { ErrorCode } from "../../src/protocol/errors.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type {
  Compare,
  Operation,
  OperationResult,
  PutOperation,
  RangeOperation,
  RangeResult,
  Transaction,
  TransactionResult,
} from "../../src/protocol/operations.js";

export class ModelError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(code);
    this.code = code;
  }
}

interface ModelEvent {
  readonly revision: number;
  readonly key: string;
  /** undefined: a delete. */
  readonly kv: KeyValue | undefined;
}

export class Model {
  revision = 1;
  compacted = 0;
  events: ModelEvent[] = [];

  clone(): Model {
    const copy = new Model();
    copy.revision = this.revision;
    copy.compacted = this.compacted;
    copy.events = [...this.events];
    return copy;
  }

  get(key: string, revision: number): KeyValue | undefined {
    return this.events.findLast((one) => one.key === key && one.revision <= revision)?.kv;
  }

  /** Live key-values of a range, in key order. */
  select(key: Uint8Array, end: Uint8Array | undefined, revision: number): KeyValue[] {
    const keys = [...new Set(this.events.map((one) => one.key))];
    return keys
      .filter((one) => isWithin(utf8(one), key, end))
      .map((one) => this.get(one, revision))
      .filter((kv) => kv !== undefined)
      .sort((a, b) => compareBytes(a.key, b.key));
  }

  range(op: RangeOperation, current: number, newest: number): RangeResult {
    if (op.revision > current) throw new ModelError("futureRevision");
    if (op.revision > 0 && op.revision < this.compacted) throw new ModelError("compacted");
    const all = this.select(op.key, op.rangeEnd, op.revision === 0 ? newest : op.revision);
    if (op.countOnly) return { kind: "range", kvs: [], more: false, count: all.length };
    const kept = all.filter(
      (kv) =>
        kv.modRevision >= op.minModRevision &&
        kv.modRevision <= (op.maxModRevision || Infinity) &&
        kv.createRevision >= op.minCreateRevision &&
        kv.createRevision <= (op.maxCreateRevision || Infinity),
    );
    const sign = op.sortOrder === "descend" ? -1 : 1;
    kept.sort((a, b) => sign * compareBy(op, a, b));
    const more = op.limit > 0 && kept.length > op.limit;
    // Without the exact count: up to the row that shows that there is more.
    const inOrder = op.rangeEnd !== undefined && op.sortTarget === "key" && sign > 0;
    const seen = op.skipCount === true && more && inOrder ? kept[op.limit]! : all.at(-1);
    const count = seen === undefined ? 0 : all.indexOf(seen) + 1;
    const kvs = (more ? kept.slice(0, op.limit) : kept).map((kv) =>
      op.keysOnly ? { ...kv, value: new Uint8Array(0) } : kv,
    );
    return { kind: "range", kvs, more, count };
  }

  holds(compare: Compare, revision: number): boolean {
    const kvs = this.select(compare.key, compare.rangeEnd, revision);
    if (kvs.length > 0) return kvs.every((kv) => satisfies(compare, kv));
    return compare.target.kind !== "value" && satisfies(compare, NOTHING);
  }

  /** Runs a transaction as the next revision; throws ModelError and then changes nothing. */
  transaction(txn: Transaction): TransactionResult {
    checkCounts(txn, TRANSACTION_OPERATIONS_MAX);
    checkWrites(txn);
    const before = this.clone();
    const decided = new Map<Transaction, boolean>();
    this.#decide(txn, decided);
    try {
      const result = this.#run(txn, decided, this.revision + 1, before.revision);
      if (this.events.length > before.events.length) this.revision++;
      return result;
    } catch (error) {
      this.events = before.events;
      throw error;
    }
  }

  compact(revision: number): void {
    if (revision <= this.compacted) throw new ModelError("compacted");
    if (revision > this.revision) throw new ModelError("futureRevision");
    this.compacted = revision;
  }

  /** What a watch from `from` on sees, by revision. */
  watch(spec: ModelWatch, from: number): { revision: number; events: WatchEvent[] }[] {
    const parts: { revision: number; events: WatchEvent[] }[] = [];
    for (const { revision, key, kv } of this.events) {
      if (revision < from || !isWithin(utf8(key), spec.key, spec.end)) continue;
      if (kv === undefined ? spec.noDelete : spec.noPut) continue;
      const prevKv = spec.prevKv ? this.get(key, revision - 1) : undefined;
      const type = kv === undefined ? "delete" : "put";
      const event = {
        type,
        kv: kv ?? { ...NOTHING, key: utf8(key), modRevision: revision },
        prevKv,
      };
      const last = parts.at(-1);
      if (last?.revision === revision) last.events.push(event as WatchEvent);
      else parts.push({ revision, events: [event as WatchEvent] });
    }
    return parts;
  }

  #decide(txn: Transaction, decided: Map<Transaction, boolean>): void {
    const succeeded = txn.compares.every((one) => this.holds(one, this.revision));
    decided.set(txn, succeeded);
    for (const op of succeeded ? txn.success : txn.failure) {
      if (op.kind === "txn") this.#decide(op.txn, decided);
    }
  }

  #run(
    txn: Transaction,
    decided: ReadonlyMap<Transaction, boolean>,
    next: number,
    current: number,
  ): TransactionResult {
    const succeeded = decided.get(txn)!;
    const results: OperationResult[] = [];
    for (const op of succeeded ? txn.success : txn.failure) {
      if (op.kind === "range") results.push(this.range(op, current, next));
      else if (op.kind === "txn")
        results.push({ kind: "txn", result: this.#run(op.txn, decided, next, current) });
      else results.push(this.#write(op, next));
    }
    return { succeeded, results };
  }

  #write(op: Operation, revision: number): OperationResult {
    if (op.kind === "put") return this.#put(op, revision);
    if (op.kind !== "delete") throw new Error("not a write");
    const gone = this.select(op.key, op.rangeEnd, revision);
    for (const { key } of gone) this.events.push({ revision, key: utf8Text(key), kv: undefined });
    return { kind: "delete", deleted: gone.length, prevKvs: op.prevKv ? gone : [] };
  }

  #put(op: PutOperation, revision: number): OperationResult {
    const key = utf8Text(op.key);
    const previous = this.get(key, revision);
    checkPut(op, previous);
    const kv = {
      key: op.key,
      value: op.ignoreValue ? previous!.value : op.value,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
      lease: 0n,
    };
    this.events.push({ revision, key, kv });
    return { kind: "put", prevKv: op.prevKv ? previous : undefined };
  }
}

export interface ModelWatch {
  readonly key: Uint8Array;
  readonly end: Uint8Array | undefined;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

const NOTHING: KeyValue = {
  key: new Uint8Array(0),
  value: new Uint8Array(0),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0n,
};

function isWithin(key: Uint8Array, start: Uint8Array, end: Uint8Array | undefined): boolean {
  const order = compareBytes(key, start);
  return end === undefined ? order === 0 : order >= 0 && compareBytes(key, end) < 0;
}

function compareBy(op: RangeOperation, a: KeyValue, b: KeyValue): number {
  switch (op.sortTarget) {
    case "key":
      return compareBytes(a.key, b.key);
    case "value":
      return compareBytes(a.value, b.value);
    case "version":
      return a.version - b.version;
    case "create":
      return a.createRevision - b.createRevision;
    case "mod":
      return a.modRevision - b.modRevision;
  }
}

function satisfies({ target, result }: Compare, kv: KeyValue): boolean {
  let order: number;
  if (target.kind === "value") order = compareBytes(kv.value, target.value);
  else order = Number(BigInt(numberOf(kv, target.kind)) - BigInt(target.value));
  if (result === "equal") return order === 0;
  if (result === "notEqual") return order !== 0;
  return result === "greater" ? order > 0 : order < 0;
}

function numberOf(kv: KeyValue, kind: "version" | "create" | "mod" | "lease"): number | bigint {
  if (kind === "lease") return kv.lease;
  if (kind === "version") return kv.version;
  return kind === "create" ? kv.createRevision : kv.modRevision;
}

function checkPut(op: PutOperation, previous: KeyValue | undefined): void {
  if (op.ignoreValue && op.value.length > 0) throw new ModelError("invalidArgument");
  if (op.ignoreLease && op.lease !== 0n) throw new ModelError("invalidArgument");
  if ((op.ignoreValue || op.ignoreLease) && previous === undefined) {
    throw new ModelError("keyNotFound");
  }
  if (op.lease !== 0n) throw new ModelError("leaseNotFound");
}

function checkCounts(txn: Transaction, max: number): void {
  const count = Math.max(txn.compares.length, txn.success.length, txn.failure.length);
  if (count > max) throw new ModelError("tooManyOperations");
  for (const op of [...txn.success, ...txn.failure]) {
    if (op.kind === "txn") checkCounts(op.txn, max - count);
  }
}

/** Every way in which the branches could go, written out, and no key written twice in any. */
function checkWrites(txn: Transaction): void {
  for (const way of waysOf(txn)) {
    const puts = way.filter((op) => op.kind === "put");
    puts.forEach((put, i) => {
      const twice = puts.some((other, j) => i !== j && compareBytes(put.key, other.key) === 0);
      const deleted = way.some(
        (op) => op.kind === "delete" && isWithin(put.key, op.key, op.rangeEnd),
      );
      if (twice || deleted) throw new ModelError("duplicateKey");
    });
  }
}

function waysOf(txn: Transaction): Operation[][] {
  return [txn.success, txn.failure].flatMap((operations) => {
    let ways: Operation[][] = [[]];
    for (const op of operations) {
      const next = op.kind === "txn" ? waysOf(op.txn) : [[op]];
      ways = ways.flatMap((way) => next.map((more) => [...way, ...more]));
    }
    return ways;
  });
}
