/**
 * As much of a keyspace as the recipes use, in memory: transactions that compare create revisions,
 * watches with history, and leases. A test may hold a transaction up, or break in.
 */
import { hex } from "../../src/base/bytes.js";
import { rangeContains } from "../../src/base/key-range.js";
import type {
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "../../src/client/client-types.js";
import { keySpan } from "../../src/client/key-span.js";
import type { KeySpan } from "../../src/client/key-span.js";
import type { RecipeClient, RecipeWatch } from "../../src/client/waiting-line.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { KeyValue, ResponseHeader, WatchEvent } from "../../src/protocol/key-value.js";
import type {
  Operation,
  OperationResult,
  RangeOperation,
  Transaction,
} from "../../src/protocol/operations.js";
import { sortRows } from "../../src/route/range-merge.js";

interface Change {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

const NOTHING = new Uint8Array(0);

export class LineStore implements RecipeClient {
  revision = 1;
  compacted = 0;
  readonly leases: Set<bigint> = new Set();
  /** Called before and after each transaction takes effect. */
  before: (txn: Transaction) => void | Promise<void> = () => undefined;
  after: (txn: Transaction) => void | Promise<void> = () => undefined;
  /** Watches that nobody has cancelled. */
  readonly watches: Set<StoreWatch> = new Set();
  readonly #rows: Map<string, KeyValue> = new Map();
  readonly #changes: Change[] = [];

  get keys(): readonly string[] {
    return [...this.#rows.values()].map(({ key }) => Buffer.from(key).toString()).sort();
  }

  async txn(txn: Transaction): Promise<TransactionResponse> {
    await this.before(txn);
    const answer = this.#apply(txn);
    await this.after(txn);
    return answer;
  }

  watch(options: WatchOptions): StoreWatch {
    const watch = new StoreWatch(this, options);
    this.watches.add(watch);
    watch.feed(this.#changes);
    return watch;
  }

  compact(): void {
    this.compacted = this.revision;
  }

  deleteKey(key: string): void {
    this.#commit([{ key: Buffer.from(key), value: undefined, lease: 0n }]);
  }

  endLease(id: bigint): void {
    this.leases.delete(id);
    const rows = [...this.#rows.values()].filter(({ lease }) => lease === id);
    this.#commit(rows.map(({ key }) => ({ key, value: undefined, lease: 0n })));
  }

  #apply({ compares, success, failure }: Transaction): TransactionResponse {
    const succeeded = compares.every(({ key, target }) => {
      const created = this.#rows.get(hex(key))?.createRevision ?? 0;
      return target.kind === "create" && created === target.value;
    });
    const operations = succeeded ? success : failure;
    const missing = operations.find((one) => one.kind === "put" && !this.leases.has(one.lease));
    if (missing !== undefined) throw notApplied("leaseNotFound", "there is no such lease");
    this.#commit(operations.flatMap(writesOf).filter((one) => this.#changesAnything(one)));
    const results = operations.map((one) => this.#resultOf(one));
    return { header: this.#header(), succeeded, results };
  }

  #changesAnything({ key, value }: Write): boolean {
    return value !== undefined || this.#rows.has(hex(key));
  }

  #resultOf(operation: Operation): OperationResult {
    if (operation.kind === "put") return { kind: "put", prevKv: undefined };
    if (operation.kind === "delete") return { kind: "delete", deleted: 1, prevKvs: [] };
    if (operation.kind === "range") return this.#range(operation);
    throw notApplied("unsupported", "nested");
  }

  #range(operation: RangeOperation): OperationResult {
    const { limit, maxCreateRevision } = operation;
    const kvs = [...this.#rows.values()].filter((kv) => isIn(operation, kv.key));
    sortRows(kvs, operation);
    const meant = kvs.filter(
      ({ createRevision }) => maxCreateRevision === 0 || createRevision <= maxCreateRevision,
    );
    const shown = limit === 0 ? meant : meant.slice(0, limit);
    return { kind: "range", kvs: shown, more: shown.length < meant.length, count: kvs.length };
  }

  #commit(writes: readonly Write[]): void {
    if (writes.length === 0) return;
    const revision = ++this.revision;
    const change: Change = { revision, events: writes.map((one) => this.#write(one, revision)) };
    this.#changes.push(change);
    for (const watch of this.watches) watch.feed([change]);
  }

  #write({ key, value, lease }: Write, revision: number): WatchEvent {
    const before = this.#rows.get(hex(key));
    const kv: KeyValue = {
      key,
      value: value ?? NOTHING,
      createRevision: value === undefined ? 0 : (before?.createRevision ?? revision),
      modRevision: revision,
      version: value === undefined ? 0 : (before?.version ?? 0) + 1,
      lease,
    };
    if (value === undefined) this.#rows.delete(hex(key));
    else this.#rows.set(hex(key), kv);
    return { type: value === undefined ? "delete" : "put", kv, prevKv: undefined };
  }

  #header(): ResponseHeader {
    const level = "linearizable";
    return { revision: this.revision, shardId: 2, nodeId: 1, raftTerm: 1, level, ageMs: 0 };
  }
}

export class StoreWatch implements RecipeWatch {
  readonly #store: LineStore;
  readonly #options: WatchOptions;
  readonly #span: KeySpan;
  readonly #items: WatchItem[] = [];
  #error: KvError | undefined;
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(store: LineStore, options: WatchOptions) {
    this.#store = store;
    this.#options = options;
    this.#span = keySpan(options);
    if ((options.startRevision ?? 0) <= store.compacted) {
      this.fail(new KvError("compacted", "it is forgotten", "notApplied"));
    }
  }

  feed(changes: readonly Change[]): void {
    const { startRevision = 0, noPut = false, noDelete = false } = this.#options;
    for (const { revision, events } of changes) {
      const meant = events.filter(
        ({ type, kv }) => isIn(this.#span, kv.key) && !(type === "put" ? noPut : noDelete),
      );
      if (meant.length > 0 && revision >= startRevision)
        this.#items.push({ revision, events: meant });
    }
    this.#wake();
  }

  fail(error: KvError): void {
    this.#error = error;
    this.#wake();
  }

  cancel(): void {
    this.#isOver = true;
    this.#store.watches.delete(this);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchItem, void, undefined> {
    try {
      while (!this.#isOver) {
        if (this.#error !== undefined) throw this.#error;
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.cancel();
    }
  }
}

interface Write {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly lease: bigint;
}

function writesOf(operation: Operation): readonly Write[] {
  if (operation.kind === "put") return [operation];
  return operation.kind === "delete" ? [{ key: operation.key, value: undefined, lease: 0n }] : [];
}

function isIn({ key, rangeEnd }: KeySpan, candidate: Uint8Array): boolean {
  if (rangeEnd === undefined) return hex(key) === hex(candidate);
  return rangeContains({ start: key, end: rangeEnd }, candidate);
}
