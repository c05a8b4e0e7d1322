/** A keyspace of the fake cluster: every write there ever was, in order, and reads by replaying. */
import { compareBytes, equalBytes, hex } from "../../src/base/bytes.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type {
  Operation,
  OperationResult,
  RangeOperation,
  RangeResult,
  Transaction,
  TransactionResult,
} from "../../src/protocol/operations.js";
import { isKeyOrder, sortRows } from "../../src/route/range-merge.js";
import { storedKey, userKeyView } from "../../src/route/stored-key.js";
import type { WatchCreate } from "../../src/protocol/watch-codec.js";

/** A write of a stored key; without a value a deletion. */
interface Write {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** What one answer holds. */
export interface AnswerBounds {
  /** Rows of a page. */
  readonly pageRows: number;
  /** With more rows than these a range in another order than that of keys is refused. */
  readonly sortedRows: number;
}

interface Change extends Write {
  readonly revision: number;
  readonly kv: KeyValue;
}

export class FakeHistory {
  readonly #keyspace: KeyspaceDescriptor;
  readonly #changes: Change[] = [];
  readonly #byRevision: Map<number, Change[]> = new Map();
  /** The newest rows, by the key in hexadecimal. */
  readonly #newest: Map<string, KeyValue> = new Map();
  revision = 1;
  compacted = 0;

  constructor(keyspace: KeyspaceDescriptor) {
    this.#keyspace = keyspace;
  }

  writeUser(key: Uint8Array, value: Uint8Array): void {
    this.write([{ key: storedKey(this.#keyspace, key), value }]);
  }

  /** All of one revision. */
  write(writes: readonly Write[]): void {
    const before = new Map<string, KeyValue | undefined>();
    for (const { key } of writes) before.set(hex(key), this.#newest.get(hex(key)));
    this.revision++;
    const changes: Change[] = [];
    this.#byRevision.set(this.revision, changes);
    for (const { key, value } of writes) {
      const previous = before.get(hex(key));
      const kv: KeyValue = {
        key: userKeyView(this.#keyspace, key),
        value: value ?? new Uint8Array(0),
        createRevision: value === undefined ? 0 : (previous?.createRevision ?? this.revision),
        modRevision: this.revision,
        version: value === undefined ? 0 : (previous?.version ?? 0) + 1,
        lease: 0n,
      };
      const change = { key, value, revision: this.revision, kv };
      this.#changes.push(change);
      changes.push(change);
      if (value === undefined) this.#newest.delete(hex(key));
      else this.#newest.set(hex(key), kv);
    }
  }

  compact(revision: number): void {
    if (revision <= this.compacted) {
      throw notApplied("compacted", "already", { bound: this.compacted });
    }
    this.compacted = revision;
  }

  get(key: Uint8Array, revision: number): KeyValue | undefined {
    if (revision === 0) return this.#newest.get(hex(key));
    return this.#rowsAt(revision).find((row) => equalBytes(row.key, key))?.kv;
  }

  /** Throws KvError where there is nothing, or nothing any more, to be read at a revision. */
  checkReadable(revision: number): void {
    if (revision > this.revision) {
      throw notApplied("futureRevision", "future", { bound: this.revision });
    }
    if (revision > 0 && revision < this.compacted) {
      throw notApplied("compacted", "compacted", { bound: this.compacted });
    }
  }

  /** Compares are not supported; success runs. */
  transact(txn: Transaction, floor: number, bounds: AnswerBounds): TransactionResult {
    const deletions: Write[] = [];
    const results = txn.success.map((operation) => {
      return this.#apply(operation, floor, bounds, deletions);
    });
    if (deletions.length > 0) this.write(deletions);
    return { succeeded: true, results };
  }

  eventsAt(revision: number, create: WatchCreate): readonly WatchEvent[] {
    const events: WatchEvent[] = [];
    for (const change of this.#byRevision.get(revision) ?? []) {
      if (!inSpan(create, change.key)) continue;
      const previous = create.prevKv ? this.get(change.key, revision - 1) : undefined;
      events.push({
        type: change.value === undefined ? "delete" : "put",
        kv: change.kv,
        prevKv: previous,
      });
    }
    return events;
  }

  #apply(
    operation: Operation,
    floor: number,
    bounds: AnswerBounds,
    deletions: Write[],
  ): OperationResult {
    if (operation.kind === "range") return this.#range(operation, floor, bounds);
    if (operation.kind === "put") {
      this.write([{ key: operation.key.slice(), value: operation.value.slice() }]);
      return { kind: "put", prevKv: undefined };
    }
    if (operation.kind === "txn") throw notApplied("unsupported", "nested");
    const found = this.#rowsAt(0).filter((row) => inSpan(operation, row.key));
    for (const row of found) deletions.push({ key: row.key, value: undefined });
    const prevKvs = operation.prevKv ? found.map((row) => row.kv) : [];
    return { kind: "delete", deleted: found.length, prevKvs };
  }

  #range(operation: RangeOperation, floor: number, bounds: AnswerBounds): RangeResult {
    this.checkReadable(operation.revision);
    const found = this.#rowsAt(operation.revision || floor).filter((row) => {
      return inSpan(operation, row.key);
    });
    const count = found.length;
    if (operation.countOnly) return { kind: "range", kvs: [], more: false, count };
    const kvs = found.map((row) => row.kv).filter((kv) => isWithin(operation, kv));
    if (!isKeyOrder(operation)) {
      if (kvs.length > bounds.sortedRows) throw notApplied("limitExceeded", "too many to sort");
      sortRows(kvs, operation);
    }
    const { pageRows } = bounds;
    const most = Math.min(pageRows, operation.limit === 0 ? pageRows : operation.limit);
    const given = kvs.slice(0, most).map((kv) => (operation.keysOnly ? withoutValue(kv) : kv));
    return { kind: "range", kvs: given, more: kvs.length > most, count };
  }

  #rowsAt(revision: number): readonly { readonly key: Uint8Array; readonly kv: KeyValue }[] {
    const rows = new Map<string, Change>();
    for (const change of this.#changes) {
      if (revision > 0 && change.revision > revision) break;
      if (change.value === undefined) rows.delete(hex(change.key));
      else rows.set(hex(change.key), change);
    }
    return [...rows.values()].sort((a, b) => compareBytes(a.key, b.key));
  }
}

function withoutValue(kv: KeyValue): KeyValue {
  return { ...kv, value: new Uint8Array(0) };
}

function isWithin(operation: RangeOperation, kv: KeyValue): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = operation;
  const { modRevision, createRevision } = kv;
  return (
    modRevision >= minModRevision &&
    createRevision >= minCreateRevision &&
    modRevision <= (maxModRevision || modRevision) &&
    createRevision <= (maxCreateRevision || createRevision)
  );
}

function inSpan(
  span: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array | undefined },
  key: Uint8Array,
): boolean {
  if (span.rangeEnd === undefined) return equalBytes(span.key, key);
  return rangeContains({ start: span.key, end: span.rangeEnd }, key);
}
