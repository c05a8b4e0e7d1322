/**
 * The store by etcd's API, as the workloads want it, over JSON or gRPC. It asks one node at a time
 * and goes on to the next where that one cannot be reached; it never asks again for what may have
 * been done. Keyspaces other than the default one do not exist in this API.
 */
import type {
  BytesLike,
  GetOptions,
  Leases,
  PutOptions,
  RangeOptions,
  ReadOptions,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "../../src/client/client-types.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Transaction } from "../../src/protocol/operations.js";
import type { Watching } from "../workloads/store.js";
import type { ClosableStore } from "./actors.js";
import { etcdLeases } from "./etcd-leases.js";
import {
  base64,
  byRevision,
  compareOf,
  headerOf,
  keyValueOf,
  listOf,
  putRequest,
  requestOf,
  resultOf,
  spanOf,
} from "./etcd-messages.js";
import type { EtcdCall, Json } from "./etcd-messages.js";

export interface EtcdTransport {
  /** Rejects with KvError. */
  ask(endpoint: string, call: EtcdCall, body: Json): Promise<Json>;
  /** Until the signal, or an error, or the other side ends it. */
  watch(endpoint: string, request: Json, signal: AbortSignal): AsyncGenerator<Json>;
  close(): void;
}

export class EtcdStore implements ClosableStore {
  readonly leases: Leases = etcdLeases((call, body) => this.#ask(call, body));
  readonly #endpoints: readonly string[];
  readonly #transport: EtcdTransport;
  readonly #closing = new AbortController();
  #at = 0;

  constructor(endpoints: readonly string[], transport: EtcdTransport) {
    this.#endpoints = endpoints;
    this.#transport = transport;
  }

  async put(
    key: BytesLike,
    value: BytesLike,
    options: PutOptions = {},
  ): ReturnType<ClosableStore["put"]> {
    const answer = await this.#ask("Put", putRequest(key, value, options.lease ?? 0n));
    return { header: headerOf(answer), prevKv: undefined };
  }

  async get(key: BytesLike, options: GetOptions = {}): ReturnType<ClosableStore["get"]> {
    const { header, kvs } = await this.range({ ...options, key });
    return { header, kv: kvs[0] };
  }

  async range(options: RangeOptions): ReturnType<ClosableStore["range"]> {
    const answer = await this.#ask("Range", {
      ...spanOf(options),
      revision: options.revision ?? 0,
      limit: options.limit ?? 0,
      serializable: options.level === "stale",
    });
    const kvs = listOf(answer["kvs"]).map(keyValueOf);
    const count = Number(answer["count"] ?? 0);
    return { header: headerOf(answer), kvs, count, more: answer["more"] === true };
  }

  async delete(key: BytesLike): ReturnType<ClosableStore["delete"]> {
    const answer = await this.#ask("DeleteRange", { key: base64(key) });
    return { header: headerOf(answer), deleted: Number(answer["deleted"] ?? 0), prevKvs: [] };
  }

  async txn(transaction: Transaction, _options?: ReadOptions): Promise<TransactionResponse> {
    const answer = await this.#ask("Txn", {
      compare: transaction.compares.map(compareOf),
      success: transaction.success.map(requestOf),
      failure: transaction.failure.map(requestOf),
    });
    const results = listOf(answer["responses"]).map(resultOf);
    return { header: headerOf(answer), succeeded: answer["succeeded"] === true, results };
  }

  async compact(revision: number): ReturnType<ClosableStore["compact"]> {
    return { header: headerOf(await this.#ask("Compaction", { revision })) };
  }

  watch(options: WatchOptions): Watching {
    const canceller = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, canceller.signal]);
    const messages = this.#transport.watch(this.#endpoint, watchRequest(options), signal);
    return new EtcdWatch(options, messages, () => canceller.abort());
  }

  keyspace(name: string): never {
    throw new Error(`etcd's API knows no keyspaces: ${name}`);
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#transport.close();
    return Promise.resolve();
  }

  /** Where a node cannot be reached, or refuses, the next one is asked the next time. */
  async #ask(call: EtcdCall, body: Json): Promise<Json> {
    try {
      return await this.#transport.ask(this.#endpoint, call, body);
    } catch (error) {
      this.#at++;
      throw error;
    }
  }

  get #endpoint(): string {
    return this.#endpoints[this.#at % this.#endpoints.length]!;
  }
}

/** Ends where the connection ends: etcd's clients open it anew, behind what they have seen. */
class EtcdWatch implements Watching {
  readonly started: Promise<number>;
  readonly #cancel: () => void;
  readonly #messages: AsyncGenerator<Json>;
  readonly #first: Promise<IteratorResult<Json>>;

  constructor(options: WatchOptions, messages: AsyncGenerator<Json>, cancel: () => void) {
    this.#messages = messages;
    this.#cancel = cancel;
    this.#first = messages.next();
    const asked = options.startRevision ?? 0;
    this.started = this.#first.then(({ value }) => {
      if (value === undefined) throw new KvError("unavailable", "the watch ended", "unknown");
      return asked > 0 ? asked : headerOf(value as Json).revision + 1;
    });
    // Who does not ask for it learns of the failure from the iteration.
    this.started.catch(() => undefined);
  }

  cancel(): void {
    this.#cancel();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<WatchItem> {
    await this.#first;
    for await (const message of this.#messages) {
      const events = listOf(message["events"]);
      const compacted = Number(message["compact_revision"] ?? 0);
      if (compacted > 0) {
        throw new KvError("compacted", "compacted", "notApplied", { bound: compacted });
      }
      if (events.length === 0) yield { progress: headerOf(message).revision };
      yield* byRevision(events);
    }
  }
}

function watchRequest(options: WatchOptions): Json {
  return {
    create_request: {
      ...spanOf(options),
      start_revision: options.startRevision ?? 0,
      prev_kv: options.prevKv === true,
      progress_notify: options.progress === true,
      filters: [
        ...(options.noPut === true ? ["NOPUT"] : []),
        ...(options.noDelete === true ? ["NODELETE"] : []),
      ],
    },
  };
}
