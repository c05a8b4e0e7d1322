/**
 * Transactions whose answer is larger than a shard gives at once. They are sent without what makes
 * it large, and that is read afterwards in pages, at revisions that show what the transaction saw:
 *
 *   1. send it whole; most end here
 *   2. refused for its size: send its outline, ranges of one key and deletes without earlier rows
 *   3. read what was left out, at the revision before that of the transaction, or at its own
 *
 * A range between two writes of its own keys would show what no revision shows: it stays refused.
 */
import { keyAfter } from "../base/bytes.js";
import { intersectRanges } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import { must } from "../base/assert.js";
import { KvError } from "../protocol/errors.js";
import { rangeOf } from "../protocol/operations.js";
import type {
  Operation,
  OperationResult,
  RangeOperation,
  RangeResult,
  Transaction,
  TransactionResult,
} from "../protocol/operations.js";
import { isOpenEnd } from "../route/stored-key.js";
import { isReadOnly } from "./call-kinds.js";
import type { RangeResponse, TransactionResponse } from "./client-types.js";
import type { KeySpan } from "./key-span.js";
import { spanContains } from "./range-reader.js";

export interface TransactionPort {
  send(txn: Transaction): Promise<TransactionResponse>;
  /** In as many answers as it takes. */
  range(operation: RangeOperation): Promise<RangeResponse>;
}

/** An operation that is no transaction, and its result. */
interface Step {
  readonly operation: Exclude<Operation, { readonly kind: "txn" }>;
  readonly result: OperationResult;
}

/** Rejects with KvError: of outcome unknown where it was applied and the rest cannot be read. */
export async function runTransaction(
  txn: Transaction,
  port: TransactionPort,
): Promise<TransactionResponse> {
  const answer = await sendWhole(txn, port);
  if (answer === undefined) return filled(txn, await port.send(outlineOf(txn)), port);
  return isCut(txn, answer) ? filled(txn, answer, port) : answer;
}

/** undefined: refused for what it would touch or answer, of which an outline has less. */
async function sendWhole(
  txn: Transaction,
  port: TransactionPort,
): Promise<TransactionResponse | undefined> {
  try {
    return await port.send(txn);
  } catch (error) {
    const isTooMuch = error instanceof KvError && error.code === "limitExceeded";
    if (!isTooMuch || !canBeOutlined(txn)) throw error;
    return undefined;
  }
}

/** A range alone is answered with its first page. */
function isCut(txn: Transaction, { results }: TransactionResponse): boolean {
  const [operation, ...others] = txn.success;
  const [result] = results;
  if (operation?.kind !== "range" || result?.kind !== "range" || others.length > 0) return false;
  return result.more && (operation.limit === 0 || result.kvs.length < operation.limit);
}

function canBeOutlined(txn: Transaction): boolean {
  const all = operationsOf(txn);
  return all.some(isLarge) && all.every((operation, i) => isShown(operation, i, all));
}

function isLarge(operation: Operation): boolean {
  return operation.kind === "range" || givesPrevious(operation);
}

function givesPrevious(operation: Operation): boolean {
  return (operation.kind === "put" || operation.kind === "delete") && operation.prevKv;
}

/** Whether some revision shows what a range sees among the writes of its transaction. */
function isShown(operation: Operation, at: number, all: readonly Operation[]): boolean {
  if (operation.kind !== "range") return true;
  const touches = (other: Operation): boolean => writesWithin(other, operation);
  return !(all.slice(0, at).some(touches) && all.slice(at).some(touches));
}

function writesWithin(operation: Operation, span: KeySpan): boolean {
  if (operation.kind !== "put" && operation.kind !== "delete") return false;
  return intersectRanges(keysOf(operation), keysOf(span)) !== undefined;
}

function keysOf(span: { readonly key: Uint8Array; readonly rangeEnd?: unknown }): KeyRange {
  const { key, rangeEnd } = span;
  if (!(rangeEnd instanceof Uint8Array)) return { start: key, end: keyAfter(key) };
  return { start: key, end: isOpenEnd(rangeEnd) ? undefined : rangeEnd };
}

/** Of both branches. */
function operationsOf(txn: Transaction): readonly Operation[] {
  return [...txn.success, ...txn.failure].flatMap((operation) => {
    return operation.kind === "txn" ? operationsOf(operation.txn) : [operation];
  });
}

function outlineOf(txn: Transaction): Transaction {
  const { compares } = txn;
  return { compares, success: txn.success.map(outlined), failure: txn.failure.map(outlined) };
}

function outlined(operation: Operation): Operation {
  if (operation.kind === "txn") return { kind: "txn", txn: outlineOf(operation.txn) };
  if (operation.kind !== "range") return { ...operation, prevKv: false };
  // That its revision can be read is decided with the transaction.
  const { key, rangeEnd, revision } = operation;
  return rangeOf(key, rangeEnd, { revision, limit: 1, keysOnly: true, skipCount: true });
}

async function filled(
  txn: Transaction,
  answer: TransactionResponse,
  port: TransactionPort,
): Promise<TransactionResponse> {
  const steps = stepsOf(txn, answer);
  try {
    const results: OperationResult[] = [];
    const { revision } = answer.header;
    for (let i = 0; i < steps.length; i++) results.push(await filledStep(steps, i, revision, port));
    return { header: answer.header, ...rebuilt(txn, answer, results) };
  } catch (error) {
    if (isReadOnly(txn)) throw error;
    const text = `applied, but what it answers cannot be read: ${KvError.from(error).message}`;
    throw new KvError("unavailable", text, "unknown");
  }
}

/** What was done, in order. */
function stepsOf(txn: Transaction, result: TransactionResult): readonly Step[] {
  return branchOf(txn, result).flatMap((operation, i) => {
    const one = must(result.results[i], "a result");
    if (operation.kind !== "txn") return [{ operation, result: one }];
    return one.kind === "txn" ? stepsOf(operation.txn, one.result) : [];
  });
}

function branchOf(txn: Transaction, { succeeded }: TransactionResult): readonly Operation[] {
  return succeeded ? txn.success : txn.failure;
}

/** The result of a step with what an outline leaves out. */
async function filledStep(
  steps: readonly Step[],
  at: number,
  revision: number,
  port: TransactionPort,
): Promise<OperationResult> {
  const { operation, result } = must(steps[at]);
  const earlier = steps.slice(0, at);
  const before = steps.some(hasChanged) ? revision - 1 : revision;
  if (operation.kind === "range") {
    const sees = earlier.some((step) => writesWithin(step.operation, operation));
    const asked = operation.revision > 0 ? operation.revision : sees ? revision : before;
    return rangeResult(await port.range({ ...operation, revision: asked }));
  }
  if (!operation.prevKv) return result;
  const { key } = operation;
  const rangeEnd = operation.kind === "delete" ? operation.rangeEnd : undefined;
  const { kvs } = await port.range(rangeOf(key, rangeEnd, { revision: before }));
  const deletes = earlier.flatMap((step) => (step.operation.kind === "delete" ? [step] : []));
  const prevKvs = kvs.filter((kv) => !deletes.some((step) => deletesKey(step, kv.key)));
  if (result.kind === "delete") return { ...result, prevKvs };
  return { kind: "put", prevKv: prevKvs[0] };
}

function deletesKey({ operation }: Step, key: Uint8Array): boolean {
  return operation.kind === "delete" && spanContains(operation, key);
}

function hasChanged({ result }: Step): boolean {
  return result.kind === "put" || (result.kind === "delete" && result.deleted > 0);
}

function rangeResult({ kvs, more, count }: RangeResponse): RangeResult {
  return { kind: "range", kvs, more, count };
}

/** The result of a transaction with those of its steps, which are taken from the front. */
function rebuilt(
  txn: Transaction,
  result: TransactionResult,
  steps: OperationResult[],
): TransactionResult {
  const results = branchOf(txn, result).map((operation, i): OperationResult => {
    const one = must(result.results[i], "a result");
    if (operation.kind !== "txn" || one.kind !== "txn") return must(steps.shift(), "a step");
    return { kind: "txn", result: rebuilt(operation.txn, one.result, steps) };
  });
  return { succeeded: result.succeeded, results };
}
