/**
 * etcd's messages as its JSON has them, from and to what the workloads use. Written by etcd's
 * documentation, not by the product's own code, so that a mistake there is not made here again.
 */
import { utf8 } from "../../src/base/bytes.js";
import type {
  BytesLike,
  RangeOptions,
  WatchItem,
  WatchOptions,
} from "../../src/client/client-types.js";
import type { ErrorCode } from "../../src/protocol/errors.js";
import { KvError } from "../../src/protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../../src/protocol/key-value.js";
import type {
  Compare,
  Operation,
  OperationResult,
  RangeOperation,
} from "../../src/protocol/operations.js";

export type Json = Readonly<Record<string, unknown>>;

/** By the names of the messages. */
export type EtcdCall =
  | "Put"
  | "Range"
  | "DeleteRange"
  | "Txn"
  | "Compaction"
  | "LeaseGrant"
  | "LeaseRevoke"
  | "LeaseKeepAlive"
  | "LeaseTimeToLive"
  | "LeaseLeases";

/** gRPC codes after which nothing was done: bad arguments, failed preconditions, no room. */
const NOT_APPLIED: readonly unknown[] = [3, 5, 6, 7, 8, 9, 11, 12, 16];

/** etcd's words for what the workloads tell apart. */
const CODES: readonly (readonly [words: string, code: ErrorCode])[] = [
  ["has been compacted", "compacted"],
  ["too many operations in txn request", "tooManyOperations"],
  ["request is too large", "requestTooLarge"],
  ["requested lease not found", "leaseNotFound"],
];

/** One answer may hold the events of many revisions. */
export function* byRevision(events: readonly Json[]): Generator<WatchItem> {
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

export function base64(text: BytesLike): string {
  return Buffer.from(typeof text === "string" ? utf8(text) : text).toString("base64");
}

export function bytesOf(text: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(typeof text === "string" ? text : "", "base64"));
}

/** Everything behind a prefix begins below the prefix with its last byte raised. */
export function spanOf({ key, prefix, rangeEnd }: RangeOptions | WatchOptions): Json {
  if (rangeEnd !== undefined) return { key: base64(key), range_end: base64(rangeEnd) };
  if (prefix !== true) return { key: base64(key) };
  const start = typeof key === "string" ? utf8(key) : key;
  if (start.length === 0) return { key: base64("\0"), range_end: base64("\0") };
  const end = start.slice();
  end[end.length - 1]! += 1;
  return { key: base64(start), range_end: base64(end) };
}

export function compareOf({ key, result, target }: Compare): Json {
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

export function putRequest(key: BytesLike, value: BytesLike, lease: bigint): Json {
  return { key: base64(key), value: base64(value), lease: String(lease) };
}

function rangeRequest(operation: RangeOperation): Json {
  const orders = { none: "NONE", ascend: "ASCEND", descend: "DESCEND" };
  const { rangeEnd, limit, revision, keysOnly, countOnly } = operation;
  return {
    key: base64(operation.key),
    range_end: base64(rangeEnd ?? ""),
    limit,
    revision,
    sort_order: orders[operation.sortOrder],
    sort_target: operation.sortTarget.toUpperCase(),
    keys_only: keysOnly,
    count_only: countOnly,
    min_mod_revision: operation.minModRevision,
    max_mod_revision: operation.maxModRevision,
    min_create_revision: operation.minCreateRevision,
    max_create_revision: operation.maxCreateRevision,
  };
}

export function requestOf(operation: Operation): Json {
  switch (operation.kind) {
    case "put":
      return { request_put: putRequest(operation.key, operation.value, operation.lease) };
    case "range":
      return { request_range: rangeRequest(operation) };
    case "delete":
      return { request_delete_range: { key: base64(operation.key) } };
    case "txn":
      throw new Error("no workload nests transactions");
  }
}

export function resultOf(response: Json): OperationResult {
  const range = response["response_range"] as Json | undefined;
  if (range !== undefined) {
    const kvs = listOf(range["kvs"]).map(keyValueOf);
    return { kind: "range", kvs, more: range["more"] === true, count: Number(range["count"] ?? 0) };
  }
  const deleted = response["response_delete_range"] as Json | undefined;
  if (deleted === undefined) return { kind: "put", prevKv: undefined };
  return { kind: "delete", deleted: Number(deleted["deleted"] ?? 0), prevKvs: [] };
}

export function keyValueOf(json: Json): KeyValue {
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
export function headerOf(answer: Json): ResponseHeader {
  const header = (answer["header"] ?? {}) as Json;
  const revision = Number(header["revision"] ?? 0);
  const raftTerm = Number(header["raft_term"] ?? 0);
  return { revision, raftTerm, shardId: 0, nodeId: 0, level: "linearizable", ageMs: 0 };
}

export function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

export function refusalOf(answer: Json): KvError {
  const message = String(answer["message"] ?? answer["error"]);
  const code = answer["code"] ?? answer["grpc_code"];
  const outcome = NOT_APPLIED.includes(code) ? "notApplied" : "unknown";
  const [, named = "unavailable"] = CODES.find(([words]) => message.includes(words)) ?? [];
  return new KvError(named, message, outcome);
}
