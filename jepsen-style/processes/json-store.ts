/**
 * The store by etcd's API in JSON over HTTP, as the workloads want it: requests and answers are
 * written and read here, by etcd's documentation and not by the product's own code. It asks one
 * node at a time and goes on to the next where that one cannot be reached; it never asks again for
 * what may have been done. Keyspaces other than the default one do not exist in this API.
 */
import { utf8 } from "../../src/base/bytes.js";
import type { BytesLike, GetOptions, RangeOptions } from "../../src/client/client-types.js";
import type { WatchItem, WatchOptions } from "../../src/client/client-types.js";
import { KvError } from "../../src/protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../../src/protocol/key-value.js";
import type { Compare, Operation, OperationResult } from "../../src/protocol/operations.js";
import type { ReadOptions, TransactionResponse } from "../../src/client/client-types.js";
import type { Transaction } from "../../src/protocol/operations.js";
import type { Watching } from "../workloads/store.js";
import type { ClosableStore } from "./actors.js";

type Json = Readonly<Record<string, unknown>>;

export function connectJson(endpoints: readonly string[], timeoutMs: number): ClosableStore {
  return new JsonStore(endpoints, timeoutMs);
}

/** gRPC codes after which nothing was done: bad arguments, failed preconditions, no room. */
const NOT_APPLIED: readonly unknown[] = [3, 5, 6, 7, 8, 9, 11, 12, 16];

class JsonStore implements ClosableStore {
  readonly #endpoints: readonly string[];
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  #at = 0;

  constructor(endpoints: readonly string[], timeoutMs: number) {
    this.#endpoints = endpoints;
    this.#timeoutMs = timeoutMs;
  }

  async put(key: BytesLike, value: BytesLike): ReturnType<ClosableStore["put"]> {
    const answer = await this.#ask("kv/put", { key: base64(key), value: base64(value) });
    return { header: headerOf(answer), prevKv: undefined };
  }

  async get(key: BytesLike, options: GetOptions = {}): ReturnType<ClosableStore["get"]> {
    const { header, kvs } = await this.range({ ...options, key });
    return { header, kv: kvs[0] };
  }

  async range(options: RangeOptions): ReturnType<ClosableStore["range"]> {
    const answer = await this.#ask("kv/range", {
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
    const answer = await this.#ask("kv/deleterange", { key: base64(key) });
    return { header: headerOf(answer), deleted: Number(answer["deleted"] ?? 0), prevKvs: [] };
  }

  async txn(transaction: Transaction, _options?: ReadOptions): Promise<TransactionResponse> {
    const answer = await this.#ask("kv/txn", {
      compare: transaction.compares.map(compareOf),
      success: transaction.success.map(requestOf),
      failure: transaction.failure.map(requestOf),
    });
    const results = listOf(answer["responses"]).map(resultOf);
    return { header: headerOf(answer), succeeded: answer["succeeded"] === true, results };
  }

  async compact(revision: number): ReturnType<ClosableStore["compact"]> {
    return { header: headerOf(await this.#ask("kv/compaction", { revision })) };
  }

  watch(options: WatchOptions): Watching {
    return new JsonWatch(this.#endpoints[this.#at]!, options, this.#closing.signal);
  }

  keyspace(name: string): never {
    throw new Error(`etcd's API knows no keyspaces: ${name}`);
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #ask(path: string, body: Json): Promise<Json> {
    const url = `http://${this.#endpoints[this.#at]!}/v3/${path}`;
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal = AbortSignal.any([timeout, this.#closing.signal]);
    let answer: Json;
    try {
      const response = await fetch(url, { method: "POST", body: JSON.stringify(body), signal });
      answer = (await response.json()) as Json;
    } catch (error) {
      this.#at = (this.#at + 1) % this.#endpoints.length;
      throw transportError(error);
    }
    if (answer["code"] === undefined) return answer;
    this.#at = (this.#at + 1) % this.#endpoints.length;
    throw refusalOf(answer);
  }
}

/** Ends where the connection ends: etcd's clients open it anew, behind what they have seen. */
class JsonWatch implements Watching {
  readonly started: Promise<number>;
  readonly #canceller = new AbortController();
  readonly #lines: AsyncGenerator<Json>;
  readonly #first: Promise<IteratorResult<Json>>;

  constructor(endpoint: string, options: WatchOptions, closing: AbortSignal) {
    const request = {
      create_request: {
        ...spanOf(options),
        start_revision: options.startRevision ?? 0,
        prev_kv: options.prevKv === true,
        progress_notify: options.progress === true,
      },
    };
    const signal = AbortSignal.any([closing, this.#canceller.signal]);
    this.#lines = linesOf(`http://${endpoint}/v3/watch`, request, signal);
    this.#first = this.#lines.next();
    this.started = this.#first.then(({ value }) => {
      if (value === undefined) throw new KvError("unavailable", "the watch ended", "unknown");
      return options.startRevision ?? headerOf(value as Json).revision + 1;
    });
    this.started.catch(() => undefined);
  }

  cancel(): void {
    this.#canceller.abort();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<WatchItem> {
    await this.#first;
    for await (const line of this.#lines) {
      const events = listOf(line["events"]);
      const compacted = Number(line["compact_revision"] ?? 0);
      if (compacted > 0) {
        throw new KvError("compacted", "compacted", "notApplied", { bound: compacted });
      }
      if (events.length === 0) yield { progress: headerOf(line).revision };
      yield* byRevision(events);
    }
  }
}

async function* linesOf(url: string, request: Json, signal: AbortSignal): AsyncGenerator<Json> {
  try {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(request), signal });
    if (response.body === null) return;
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield resultIn(JSON.parse(line) as Json);
    }
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new KvError("unavailable", String(error), "unknown");
  }
}

function resultIn(message: Json): Json {
  if (message["error"] !== undefined) throw refusalOf(message["error"] as Json);
  return message["result"] as Json;
}

/** One answer may hold the events of many revisions. */
function* byRevision(events: readonly Json[]): Generator<WatchItem> {
  let revision = 0;
  let together: { type: "put" | "delete"; kv: KeyValue; prevKv: KeyValue | undefined }[] = [];
  for (const event of events) {
    const kv = keyValueOf(event["kv"] as Json);
    if (kv.modRevision !== revision && together.length > 0) {
      yield { revision, events: together };
      together = [];
    }
    revision = kv.modRevision;
    const before = event["prev_kv"] as Json | undefined;
    const type = event["type"] === "DELETE" ? "delete" : "put";
    together.push({ type, kv, prevKv: before === undefined ? undefined : keyValueOf(before) });
  }
  if (together.length > 0) yield { revision, events: together };
}

function base64(text: BytesLike): string {
  return Buffer.from(typeof text === "string" ? utf8(text) : text).toString("base64");
}

function bytesOf(text: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(typeof text === "string" ? text : "", "base64"));
}

/** Everything behind a prefix begins below the prefix with its last byte raised. */
function spanOf({ key, prefix, rangeEnd }: RangeOptions | WatchOptions): Json {
  if (rangeEnd !== undefined) return { key: base64(key), range_end: base64(rangeEnd) };
  if (prefix !== true) return { key: base64(key) };
  const start = typeof key === "string" ? utf8(key) : key;
  if (start.length === 0) return { key: base64("\0"), range_end: base64("\0") };
  const end = start.slice();
  end[end.length - 1]! += 1;
  return { key: base64(start), range_end: base64(end) };
}

function compareOf({ key, result, target }: Compare): Json {
  const names = { equal: "EQUAL", greater: "GREATER", less: "LESS", notEqual: "NOT_EQUAL" };
  const common = { key: base64(key), result: names[result] };
  switch (target.kind) {
    case "mod":
      return { ...common, target: "MOD", mod_revision: target.value };
    case "version":
      return { ...common, target: "VERSION", version: target.value };
    case "create":
      return { ...common, target: "CREATE", create_revision: target.value };
    case "value":
      return { ...common, target: "VALUE", value: base64(target.value) };
    case "lease":
      return { ...common, target: "LEASE", lease: String(target.value) };
  }
}

function requestOf(operation: Operation): Json {
  switch (operation.kind) {
    case "put":
      return { request_put: { key: base64(operation.key), value: base64(operation.value) } };
    case "range":
      return { request_range: { key: base64(operation.key) } };
    case "delete":
      return { request_delete_range: { key: base64(operation.key) } };
    case "txn":
      throw new Error("no workload nests transactions");
  }
}

function resultOf(response: Json): OperationResult {
  const range = response["response_range"] as Json | undefined;
  if (range !== undefined) {
    const kvs = listOf(range["kvs"]).map(keyValueOf);
    return { kind: "range", kvs, more: range["more"] === true, count: Number(range["count"] ?? 0) };
  }
  const deleted = response["response_delete_range"] as Json | undefined;
  if (deleted === undefined) return { kind: "put", prevKv: undefined };
  return { kind: "delete", deleted: Number(deleted["deleted"] ?? 0), prevKvs: [] };
}

function keyValueOf(json: Json): KeyValue {
  return {
    key: bytesOf(json["key"]),
    value: bytesOf(json["value"]),
    createRevision: Number(json["create_revision"] ?? 0),
    modRevision: Number(json["mod_revision"] ?? 0),
    version: Number(json["version"] ?? 0),
    lease: BigInt((json["lease"] as string | undefined) ?? 0),
  };
}

/** What etcd's header does not say is empty. */
function headerOf(answer: Json): ResponseHeader {
  const header = (answer["header"] ?? {}) as Json;
  const revision = Number(header["revision"] ?? 0);
  const raftTerm = Number(header["raft_term"] ?? 0);
  return { revision, raftTerm, shardId: 0, nodeId: 0, level: "linearizable", ageMs: 0 };
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function refusalOf(answer: Json): KvError {
  const message = String(answer["message"] ?? answer["error"]);
  const code = answer["code"] ?? answer["grpc_code"];
  const outcome = NOT_APPLIED.includes(code) ? "notApplied" : "unknown";
  const isCompacted = message.includes("has been compacted");
  return new KvError(isCompacted ? "compacted" : "unavailable", message, outcome);
}

/** A connection that was never made carried nothing. */
function transportError(error: unknown): KvError {
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  const outcome = cause?.code === "ECONNREFUSED" ? "notApplied" : "unknown";
  return new KvError("unavailable", `${String(error)} ${cause?.code ?? ""}`, outcome);
}
