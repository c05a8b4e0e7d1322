/**
 * Answers of etcd's KV service, from the results of `protocol/` straight to bytes. What a header
 * says besides its revision is encoded once and copied.
 */
import { unreachable } from "../base/assert.js";
import type { KeyValue } from "../protocol/key-value.js";
import type { OperationResult } from "../protocol/operations.js";
import type { DeleteAnswer, Origin, PutAnswer, RangeAnswer, TransactionAnswer } from "./backend.js";
import { WireWriter } from "./wire.js";

const HEADER_BYTES = 40;
const FIELDS_BYTES = 48;

/** Writes headers, field 1 of every answer. */
export class HeaderWriter {
  readonly #origin: () => Origin;
  #written: Origin | undefined;
  #before: Uint8Array = new Uint8Array(0);

  constructor(origin: () => Origin) {
    this.#origin = origin;
  }

  write(out: WireWriter, revision: number): void {
    const origin = this.#origin();
    if (origin !== this.#written) this.#renew(origin);
    const start = out.begin(1, HEADER_BYTES);
    out.raw(this.#before);
    out.int64(3, revision);
    out.int64(4, origin.raftTerm);
    out.end(start, HEADER_BYTES);
  }

  #renew(origin: Origin): void {
    const out = new WireWriter(HEADER_BYTES);
    out.int64Big(1, origin.clusterId);
    out.int64Big(2, origin.memberId);
    this.#before = out.copy();
    this.#written = origin;
  }
}

export function writeKeyValue(out: WireWriter, field: number, kv: KeyValue): void {
  const hint = keyValueHint(kv);
  const start = out.begin(field, hint);
  writeKeyValueFields(out, kv);
  out.end(start, hint);
}

export function writeKeyValueFields(out: WireWriter, kv: KeyValue): void {
  out.bytesField(1, kv.key);
  out.int64(2, kv.createRevision);
  out.int64(3, kv.modRevision);
  out.int64(4, kv.version);
  out.bytesField(5, kv.value);
  out.int64Big(6, kv.lease);
}

export function keyValueHint(kv: KeyValue): number {
  return kv.key.length + kv.value.length + 16;
}

/** What follows the header. */
export function writeRange(out: WireWriter, answer: Omit<RangeAnswer, "revision">): void {
  for (const kv of answer.kvs) writeKeyValue(out, 2, kv);
  out.bool(3, answer.more);
  out.int64(4, answer.count);
}

export function writePut(out: WireWriter, { prevKv }: Pick<PutAnswer, "prevKv">): void {
  if (prevKv !== undefined) writeKeyValue(out, 2, prevKv);
}

export function writeDelete(out: WireWriter, answer: Omit<DeleteAnswer, "revision">): void {
  out.int64(2, answer.deleted);
  for (const kv of answer.prevKvs) writeKeyValue(out, 3, kv);
}

/**
 * The results of a transaction carry headers with a revision alone: that before the transaction up
 * to its first change, and its own from there on. Those of nested transactions are empty.
 */
export function writeTransaction(out: WireWriter, answer: TransactionAnswer): void {
  const changes = answer.results.some(hasChanged);
  const before = changes ? answer.revision - 1 : answer.revision;
  const isNested = answer.results.some(({ kind }) => kind === "txn");
  const line: Line = { before, changed: false, sizes: isNested ? sizesOf(answer.results) : FLAT };
  out.bool(2, answer.succeeded);
  writeResults(out, answer.results, line);
}

/** Where a transaction stands while its results are written. */
interface Line {
  readonly before: number;
  changed: boolean;
  readonly sizes: Sizes;
}

/** About what results of nested transactions take. */
type Sizes = ReadonlyMap<OperationResult, number>;

/** Of a transaction with none inside. */
const FLAT: Sizes = new Map();

/** Where it is not known before, what lies deep inside is moved once for each level. */
function sizesOf(results: readonly OperationResult[]): Sizes {
  const sizes = new Map<OperationResult, number>();
  noteSizes(results, sizes);
  return sizes;
}

function noteSizes(
  results: readonly OperationResult[],
  sizes: Map<OperationResult, number>,
): number {
  let total = 0;
  for (const result of results) {
    const size = FIELDS_BYTES + insideOf(result, sizes);
    if (result.kind === "txn") sizes.set(result, size);
    total += size;
  }
  return total;
}

function insideOf(result: OperationResult, sizes: Map<OperationResult, number>): number {
  switch (result.kind) {
    case "range":
      return hintOf(result.kvs);
    case "put":
      return result.prevKv === undefined ? 0 : keyValueHint(result.prevKv);
    case "delete":
      return hintOf(result.prevKvs);
    case "txn":
      return noteSizes(result.result.results, sizes);
    default:
      return unreachable(result);
  }
}

function hintOf(kvs: readonly KeyValue[]): number {
  return kvs.reduce((total, kv) => total + keyValueHint(kv), 0);
}

function writeResults(out: WireWriter, results: readonly OperationResult[], line: Line): void {
  for (const result of results) {
    const hint = line.sizes.get(result) ?? FIELDS_BYTES;
    const item = out.begin(3, hint);
    writeResult(out, result, line, hint);
    out.end(item, hint);
  }
}

function writeResult(out: WireWriter, result: OperationResult, line: Line, hint: number): void {
  const start = out.begin(RESULT_FIELDS[result.kind], hint);
  switch (result.kind) {
    case "range":
      writeInnerHeader(out, line);
      writeRange(out, result);
      break;
    case "put":
      line.changed = true;
      writeInnerHeader(out, line);
      writePut(out, result);
      break;
    case "delete":
      line.changed ||= result.deleted > 0;
      writeInnerHeader(out, line);
      writeDelete(out, result);
      break;
    case "txn":
      out.end(out.begin(1, 0), 0);
      out.bool(2, result.result.succeeded);
      writeResults(out, result.result.results, line);
      break;
    default:
      unreachable(result);
  }
  out.end(start, hint);
}

const RESULT_FIELDS = { range: 1, put: 2, delete: 3, txn: 4 } as const;

function writeInnerHeader(out: WireWriter, line: Line): void {
  const start = out.begin(1, 0);
  out.int64(3, line.changed ? line.before + 1 : line.before);
  out.end(start, 0);
}

function hasChanged(result: OperationResult): boolean {
  if (result.kind === "put") return true;
  if (result.kind === "delete") return result.deleted > 0;
  return result.kind === "txn" && result.result.results.some(hasChanged);
}
