/**
 * Stands between a workload and its store and writes down what every write asked and came to, and
 * what every read and every watch showed, whatever the workload makes of it: so that all workloads
 * can be held against the same order of commits. It changes nothing.
 */
import { utf8Text } from "../../src/base/bytes.js";
import type { BytesLike, RangeOptions, ReadOptions } from "../../src/client/client-types.js";
import type { Clock } from "../../src/env/clock.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import { DEFAULT_KEYSPACE_NAME } from "../../src/protocol/cluster.js";
import type { Operation, Transaction } from "../../src/protocol/operations.js";
import { KvError } from "../../src/protocol/errors.js";
import type { ReadOperation, ReadRequest } from "../checkers/exact-reads.js";
import type { Watched } from "../checkers/watches.js";
import type { WriteAnswer, WriteOperation, WriteRequest } from "../checkers/writes.js";
import type { Store, Watching } from "./store.js";
import { valueText } from "../value-text.js";
import { followed } from "./watched.js";

/** What was witnessed of one keyspace. */
export interface Testimony {
  readonly writes: WriteOperation[];
  readonly watches: Watched[];
  /** Those that were answered. */
  readonly reads: ReadOperation[];
}

export class Witness {
  readonly #clock: Clock;
  readonly #byKeyspace = new Map<string, Testimony>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get testimonies(): ReadonlyMap<string, Testimony> {
    return this.#byKeyspace;
  }

  of(keyspace: string): Testimony {
    let testimony = this.#byKeyspace.get(keyspace);
    if (testimony === undefined) {
      testimony = { writes: [], watches: [], reads: [] };
      this.#byKeyspace.set(keyspace, testimony);
    }
    return testimony;
  }

  /** The store of this client, as the workload gets it. */
  stand(store: Store, client: number, keyspace: string = DEFAULT_KEYSPACE_NAME): Store {
    const { writes, watches, reads } = this.of(keyspace);
    const write = <T>(changes: Changes, run: () => Promise<T>, heard: (answer: T) => WriteAnswer) =>
      this.#write(writes, { client, changes }, run, heard);
    return {
      leases: store.leases,
      put: (key, value, options) =>
        write(
          [{ key: textOf(key), value: valueText(value) }],
          () => store.put(key, value, options),
          ({ header }) => ({ revision: header.revision, changed: true, deleted: [undefined] }),
        ),
      get: async (key, options) => {
        const calledAt = this.#clock.monotonicMs();
        const answer = await store.get(key, options);
        const { header, kv } = answer;
        const asked = { client, calledAt, options: { ...options, key } };
        this.#noteRead(reads, asked, header.revision, kv === undefined ? [] : [kv]);
        return answer;
      },
      range: async (options) => {
        const calledAt = this.#clock.monotonicMs();
        const answer = await store.range(options);
        this.#noteRead(reads, { client, calledAt, options }, answer.header.revision, answer.kvs);
        return answer;
      },
      delete: (key) =>
        write(
          [{ key: textOf(key), value: undefined }],
          () => store.delete(key),
          ({ header, deleted }) => {
            return { revision: header.revision, changed: deleted > 0, deleted: [deleted] };
          },
        ),
      txn: (transaction, options) => txn(store, write, transaction, options),
      watch: (options) => this.#watch(watches, store, client, options),
      compact: (revision) => store.compact(revision),
      keyspace: (name) => this.stand(store.keyspace(name), client, name),
    };
  }

  #noteRead(
    reads: ReadOperation[],
    { client, calledAt, options }: AskedRead,
    revision: number,
    kvs: readonly KeyValue[],
  ): void {
    const rows = kvs.map(({ key, value, modRevision }) => {
      return { key: utf8Text(key), value: valueText(value), modRevision };
    });
    const asked = options.revision ?? 0;
    reads.push({
      process: client,
      request: {
        type: "read",
        key: textOf(options.key),
        span: spanOf(options),
        limit: options.limit ?? 0,
        isNewest: options.level !== "stale" && asked === 0,
      },
      calledAt,
      kind: "ok",
      completedAt: this.#clock.monotonicMs(),
      answer: { revision: asked > 0 ? asked : revision, rows },
    });
  }

  async #write<T>(
    writes: WriteOperation[],
    { client, changes }: { readonly client: number; readonly changes: Changes },
    run: () => Promise<T>,
    heard: (answer: T) => WriteAnswer,
  ): Promise<T> {
    const request: WriteRequest = { type: "write", changes };
    const call = { process: client, request, calledAt: this.#clock.monotonicMs() };
    const at = writes.push({ ...call, kind: "info" }) - 1;
    try {
      const answer = await run();
      const completedAt = this.#clock.monotonicMs();
      writes[at] = { ...call, kind: "ok", completedAt, answer: heard(answer) };
      return answer;
    } catch (error) {
      if (error instanceof KvError && error.outcome === "notApplied") {
        writes[at] = { ...call, kind: "fail", completedAt: this.#clock.monotonicMs() };
      }
      throw error;
    }
  }

  #watch(
    watches: Watched[],
    store: Store,
    client: number,
    options: Parameters<Store["watch"]>[0],
  ): Watching {
    const seen: Watched = {
      process: client,
      prefix: textOf(options.key),
      isPrefix: options.prefix === true,
      startRevision: options.startRevision ?? 0,
      // The logs do not say what was there before.
      prevKv: false,
      noPut: options.noPut === true,
      noDelete: options.noDelete === true,
      begunAt: this.#clock.monotonicMs(),
      coversFrom: undefined,
      items: [],
    };
    watches.push(seen);
    return followed(store.watch(options), seen, this.#clock);
  }
}

interface AskedRead {
  readonly client: number;
  readonly calledAt: number;
  readonly options: RangeOptions;
}

function spanOf({ prefix, fromKey, rangeEnd }: RangeOptions): ReadRequest["span"] {
  if (rangeEnd !== undefined) return { end: textOf(rangeEnd) };
  if (prefix === true) return "prefix";
  return fromKey === true ? "fromKey" : "key";
}

type Changes = WriteRequest["changes"];
type Write = <T>(
  changes: Changes,
  run: () => Promise<T>,
  heard: (answer: T) => WriteAnswer,
) => Promise<T>;

function txn(
  store: Store,
  write: Write,
  transaction: Transaction,
  options: ReadOptions | undefined,
): ReturnType<Store["txn"]> {
  const writing = transaction.success.flatMap((operation, at) => {
    const change = changeOf(operation);
    return change === undefined ? [] : [{ change, at }];
  });
  if (writing.length === 0) return store.txn(transaction, options);
  const changes = writing.map(({ change }) => change);
  return write(
    changes,
    () => store.txn(transaction, options),
    ({ header, succeeded, results }) => {
      const deleted = writing.map(({ at }) => {
        const result = succeeded ? results[at] : undefined;
        return result?.kind === "delete" ? result.deleted : undefined;
      });
      const changed = succeeded && deleted.some((count) => count !== 0);
      return { revision: header.revision, changed, deleted };
    },
  );
}

function changeOf(operation: Operation): Changes[number] | undefined {
  if (operation.kind === "put") {
    return { key: textOf(operation.key), value: valueText(operation.value) };
  }
  return operation.kind === "delete" ? { key: textOf(operation.key), value: undefined } : undefined;
}

function textOf(text: BytesLike): string {
  return typeof text === "string" ? text : utf8Text(text);
}
