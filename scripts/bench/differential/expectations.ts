/**
 * Differences from etcd 3.4 that are meant, each with its reason: what later releases of etcd do
 * otherwise, what ours refuses in its own words, and what etcd does by accident. Everything that is
 * not here must be the same.
 */
import { compareBytes, EMPTY_BYTES } from "../../../src/base/bytes.js";
import type { Message, Value } from "../../../src/gateway/message-codec.js";
import type { Answer } from "./answers.js";
import type { Request } from "./requests.js";

export interface Compared {
  readonly request: Request;
  readonly message: Message | undefined;
  readonly theirs: Answer;
  readonly ours: Answer;
}

/** Whether a field of a message, or of one inside of it, is such. */
function hasAny(
  value: Value | undefined,
  isSuch: (name: string, value: Value) => boolean,
): boolean {
  if (typeof value !== "object" || value instanceof Uint8Array) return false;
  if (Array.isArray(value)) return value.some((one: Value) => hasAny(one, isSuch));
  return Object.entries(value as Message).some(([name, inner]) => {
    return inner !== undefined && (isSuch(name, inner) || hasAny(inner, isSuch));
  });
}

interface Expectation {
  /** What differs, and why. */
  readonly name: string;
  readonly holds: (compared: Compared) => boolean;
}

/**
 * Integers with a fraction of zero or an exponent, base64 without padding and that of URLs are read
 * since 3.6, and no number in a text with space around it, nor two alternatives, of which 3.4 takes
 * any.
 */
const LATER_JSON: ReadonlySet<string> = new Set([
  '{"key":"YQ"}',
  '{"key":"_w=="}',
  '{"key":"YQ==","limit":1.0}',
  '{"key":"YQ==","limit":1e2}',
  '{"key":"YQ==","limit":" 1"}',
  '{"success":[{"requestRange":{"key":"YQ=="},"requestPut":{"key":"YQ=="}}]}',
  '{"compare":[{"key":"YQ==","version":"1","value":"YQ=="}]}',
]);
const INVALID_SORT = "etcdserver: invalid sort option";
const COMPACTED = "etcdserver: mvcc: required revision has been compacted";
/** What is found out by looking at data, and which requests can meet it. */
const REASONS: ReadonlyMap<string, (message: Message) => boolean> = new Map([
  [COMPACTED, (message) => hasAny(message, isRevision)],
  [
    "etcdserver: mvcc: required revision is a future revision",
    (message) => hasAny(message, isRevision),
  ],
  ["etcdserver: key not found", (message) => hasAny(message, (name) => name.startsWith("ignore_"))],
  [
    "etcdserver: requested lease not found",
    (message) => hasAny(message, (name) => name === "lease"),
  ],
]);

function isRevision(name: string): boolean {
  return name === "revision";
}

const UNKNOWN_COMPARE = "flotilla: a compare has an unknown target or result";
const OVERLOOKED = "not asked: a key is put and deleted";
const UNMARSHALLING = "grpc: error unmarshalling request: ";

const EXPECTATIONS: readonly Expectation[] = [
  {
    name: "a failed precondition is 400 by HTTP since 3.6, and was 412",
    holds: ({ theirs, ours }) =>
      theirs.http === 412 && ours.http === 400 && theirs.message === ours.message,
  },
  {
    name: "what follows an object of JSON is an error: etcd does not look at it",
    holds: ({ request, ours }) =>
      (request.text === "null" || /^{.*}./.test(request.text ?? "")) &&
      ours.status === 3 &&
      /^flotilla: .*(JSON|an object)/.test(ours.message),
  },
  {
    name: "JSON that 3.6 reads otherwise than 3.4",
    holds: ({ request, theirs, ours }) =>
      LATER_JSON.has(request.text ?? "") && (theirs.status === 3) !== (ours.status === 3),
  },
  {
    name: "what is wrong with JSON is said in other words",
    holds: ({ request, theirs, ours }) =>
      request.text !== undefined &&
      theirs.status === 3 &&
      ours.status === 3 &&
      !theirs.message.startsWith("etcdserver: ") &&
      ours.message.startsWith("flotilla: "),
  },
  {
    name: "of several reasons to refuse a transaction another one is told",
    holds: ({ message, theirs, ours }) =>
      [theirs, ours].every((answer) => REASONS.get(answer.message)?.(message ?? {}) === true),
  },
  {
    name: "a range below revision 0 reads the newest also in a transaction, as it does alone",
    holds: ({ request, message, theirs, ours }) =>
      request.method === "Txn" &&
      theirs.message === COMPACTED &&
      ours.message !== COMPACTED &&
      hasAny(message, (name, value) => name === "revision" && Number(value) < 0),
  },
  {
    name: "an unknown order or target of sorting is refused, since 3.5",
    holds: ({ theirs, ours }) => theirs.message === INVALID_SORT && ours.status === 3,
  },
  {
    name: "what is wrong with bytes that are no message is said in other words",
    holds: ({ theirs, ours }) =>
      theirs.status === 13 &&
      ours.status === 13 &&
      [theirs, ours].every(({ message }) => message.startsWith(UNMARSHALLING)),
  },
  {
    name: "a compare of an unknown kind is refused: etcd takes it for true, or compares nothing",
    holds: ({ ours }) => ours.message === UNKNOWN_COMPARE,
  },
  {
    name: "a key that is put and deleted is refused also where etcd overlooks it",
    holds: ({ theirs, ours }) => theirs.message === OVERLOOKED && ours.status === 3,
  },
];

/** The name of the expectation that this difference meets, if there is one. */
export function expectationFor(compared: Compared): string | undefined {
  return EXPECTATIONS.find(({ holds }) => holds(compared))?.name;
}

/**
 * What is expected where etcd 3.4 cannot be asked. It ends with a panic where rows are to be sorted
 * by nothing it knows, which it refuses since 3.5. It looks for keys that are both put and deleted,
 * but takes a delete without end for an empty one, and does not hold the deletes of a nested
 * transaction against puts before it; then a put that keeps a value panics.
 */
export function laterAnswer(message: Message): Answer | undefined {
  if (hasUnknownSort(message)) return { status: 3, message: INVALID_SORT };
  const writes: Write[] = [];
  collect(message, [], writes);
  const isHidden = writes.some(({ path, end }) => path.length > 1 || isOpen(end));
  if (!isHidden || !writes.some((one) => isPutElsewhere(one, writes))) return undefined;
  return { status: 3, message: OVERLOOKED };
}

interface Write {
  /** Which branches it lies in: of each transaction, its place and which of the two. */
  readonly path: readonly string[];
  readonly key: Uint8Array;
  /** undefined: a put. */
  readonly end: Uint8Array | undefined;
}

function collect(txn: Message, path: readonly string[], into: Write[]): void {
  for (const name of ["success", "failure"]) {
    for (const [i, operation] of listOf(txn[name]).entries()) {
      const put = operation["request_put"] as Message | undefined;
      const deletion = operation["request_delete_range"] as Message | undefined;
      const nested = operation["request_txn"] as Message | undefined;
      const inside = [...path, name];
      if (put !== undefined) into.push({ path: inside, key: bytesOf(put["key"]), end: undefined });
      if (deletion !== undefined) {
        const [key, end] = [bytesOf(deletion["key"]), bytesOf(deletion["range_end"])];
        into.push({ path: inside, key, end });
      }
      if (nested !== undefined) collect(nested, [...inside, String(i)], into);
    }
  }
}

/** Whether the key of a put is deleted by another operation that may run together with it. */
function isPutElsewhere({ path, key, end }: Write, writes: readonly Write[]): boolean {
  if (end !== undefined) return false;
  return writes.some((other) => {
    if (other.end === undefined || areExclusive(path, other.path)) return false;
    const order = compareBytes(key, other.key);
    if (other.end.length === 0) return order === 0;
    return order >= 0 && (isOpen(other.end) || compareBytes(key, other.end) < 0);
  });
}

/** The first place where paths part is two branches of one transaction. */
function areExclusive(a: readonly string[], b: readonly string[]): boolean {
  const at = a.findIndex((step, i) => step !== b[i]);
  return at >= 0 && at < b.length && at % 2 === 0;
}

function isOpen(end: Uint8Array | undefined): boolean {
  return end?.length === 1 && end[0] === 0;
}

function listOf(value: Value | undefined): readonly Message[] {
  return (value ?? []) as readonly Message[];
}

function bytesOf(value: Value | undefined): Uint8Array {
  return (value ?? EMPTY_BYTES) as Uint8Array;
}

const SORT_TARGETS = 5;
const SORT_ORDERS = 3;

function hasUnknownSort(message: Message): boolean {
  return hasAny(
    message,
    (name, value) =>
      (name === "sort_target" && isUnknown(value, SORT_TARGETS)) ||
      (name === "sort_order" && isUnknown(value, SORT_ORDERS)),
  );
}

function isUnknown(value: Value | undefined, count: number): boolean {
  return typeof value === "number" && (value < 0 || value >= count);
}
