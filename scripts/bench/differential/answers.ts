/**
 * Answers in the form in which they are compared. Who answers is masked, and rows that sort alike
 * are put in the order of their keys, for etcd gives them in none.
 */
import { compareBytes } from "../../../src/base/bytes.js";
import type { Message, Value } from "../../../src/gateway/message-codec.js";

export interface Answer {
  /** gRPC's, and HTTP's where there was one. */
  readonly status: number;
  readonly http?: number;
  readonly message: string;
  readonly response?: Message | undefined;
  /** What the codec would have written otherwise. */
  readonly form?: string;
}

const MASKED: readonly string[] = ["cluster_id", "member_id", "raft_term"];
const TARGETS: readonly (string | undefined)[] = [
  undefined,
  "version",
  "create_revision",
  "mod_revision",
  "value",
];

/** The answer to this request, of a method of the KV service. */
export function canonical(method: string, request: Message, response: Message): Message {
  const header = response["header"] as Message | undefined;
  const masked = header === undefined ? {} : { header: maskedHeader(header) };
  if (method === "Range") return { ...withTies(request, response), ...masked };
  if (method === "Txn") return { ...withTiesInside(request, response), ...masked };
  if (method === "LeaseTimeToLive") return { ...leaseSince(response), ...masked };
  if (method === "LeaseLeases") return { leases: inOrder(response["leases"], "ID"), ...masked };
  return { ...response, ...masked };
}

/** How long it still has depends on the time; its keys come in no order. */
function leaseSince(response: Message): Message {
  const [left, granted] = [response["TTL"], response["grantedTTL"]].map(Number);
  const isNew = left! > 0 && left! <= granted! && left! > granted! - 60;
  const keys = ((response["keys"] ?? []) as readonly Uint8Array[]).toSorted(compareBytes);
  return { ...response, keys, ...(isNew ? { TTL: "new" } : {}) };
}

function inOrder(list: Value | undefined, by: string): readonly Message[] {
  const items = (list ?? []) as readonly Message[];
  return items.toSorted((a, b) => Number(a[by]) - Number(b[by]));
}

export function maskedHeader(header: Message): Message {
  const entries = Object.entries(header).filter((entry): entry is [string, Value] => {
    return entry[1] !== undefined;
  });
  return Object.fromEntries(
    entries.map(([name, value]) => [name, MASKED.includes(name) ? "masked" : value]),
  );
}

function withTiesInside(txn: Message, response: Message): Message {
  const branch = response["succeeded"] === true ? txn["success"] : txn["failure"];
  const operations = (branch ?? []) as readonly Message[];
  const responses = (response["responses"] ?? []) as readonly Message[];
  return {
    ...response,
    responses: responses.map((one, i) => operationResult(operations[i] ?? {}, one)),
  };
}

function operationResult(operation: Message, result: Message): Message {
  const range = result["response_range"] as Message | undefined;
  if (range !== undefined) {
    const request = (operation["request_range"] ?? {}) as Message;
    return { ...result, response_range: withTies(request, range) };
  }
  const nested = result["response_txn"] as Message | undefined;
  if (nested === undefined) return result;
  const request = (operation["request_txn"] ?? {}) as Message;
  return { ...result, response_txn: withTiesInside(request, nested) };
}

function withTies(request: Message, response: Message): Message {
  const by = TARGETS[Number(request["sort_target"] ?? 0)];
  if (by === undefined || response["kvs"] === undefined) return response;
  const rows = response["kvs"] as readonly Message[];
  // Without its values nobody sees what rows were sorted by.
  const isHidden = by === "value" && request["keys_only"] === true;
  const isCut = response["more"] === true;
  // With an order of none, etcd takes as many keys as the limit says, and sorts those alone.
  const isPicked = isCut && (request["sort_order"] ?? 0) === 0;
  if (isPicked || (isHidden && isCut)) return { ...response, kvs: rows.map(() => ({})) };
  return { ...response, kvs: isHidden ? rows.toSorted(byKey) : inTies(rows, by, isCut) };
}

function inTies(rows: readonly Message[], by: string, isCut: boolean): readonly Message[] {
  const kvs: Message[] = [];
  let from = 0;
  while (from < rows.length) {
    let to = from + 1;
    while (to < rows.length && alike(rows[from]!, rows[to]!, by)) to++;
    const tied = rows.slice(from, to);
    // Where a limit cuts through rows that are alike, any of them may be among those given.
    if (isCut && to === rows.length) kvs.push(...tied.map((row) => ({ [by]: row[by] ?? 0n })));
    else kvs.push(...tied.toSorted(byKey));
    from = to;
  }
  return kvs;
}

function alike(a: Message, b: Message, field: string): boolean {
  const [left, right] = [a[field], b[field]];
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    return compareBytes(left, right) === 0;
  }
  return left === right;
}

function byKey(a: Message, b: Message): number {
  return compareBytes(a["key"] as Uint8Array, b["key"] as Uint8Array);
}

/** Text in which equal answers are equal, and which a person can read. */
export function shown(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === "bigint") return Number.isSafeInteger(Number(one)) ? Number(one) : `${one}n`;
    if (one instanceof Uint8Array) return shownBytes(one);
    return one;
  });
}

function shownBytes(bytes: Uint8Array): string {
  const text = Array.from(bytes.subarray(0, 40), (byte) => {
    const isPlain = byte > 0x20 && byte < 0x7f;
    return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }).join("");
  return bytes.length > 40 ? `${text}… ${bytes.length} bytes` : text;
}
