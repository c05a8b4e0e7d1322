/**
 * Requests of etcd's KV service, from bytes straight to the operations of `protocol/`, with the
 * checks that need no data. Keys and values are views of the received bytes. Fields nobody knows
 * are passed over; the last of several wins.
 */
import { compareBytes, EMPTY_BYTES } from "../base/bytes.js";
import { TRANSACTION_DEPTH_MAX, TRANSACTION_OPERATIONS_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteOperation,
  Operation,
  PutOperation,
  RangeOperation,
  SortOrder,
  SortTarget,
  Transaction,
} from "../protocol/operations.js";
import type { Consistency } from "./backend.js";
import { emptyKey, etcdError, GRPC, notForLearner } from "./status.js";
import type { StatusError } from "./status.js";
import type { WireReader } from "./wire.js";

export interface RangeRequest {
  readonly operation: RangeOperation;
  readonly consistency: Consistency;
}

export interface TransactionRequest {
  readonly transaction: Transaction;
  readonly consistency: Consistency;
}

const SORT_ORDERS: readonly SortOrder[] = ["none", "ascend", "descend"];
const SORT_TARGETS: readonly SortTarget[] = ["key", "version", "create", "mod", "value"];
const RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const TARGETS: readonly CompareTarget["kind"][] = ["version", "create", "mod", "value", "lease"];

/** The fields that hold what the targets are compared with. */
const TARGET_TAGS: readonly number[] = [0x20, 0x28, 0x30, 0x3a, 0x40];

/** A range as its fields come in, one object for all of them. */
class RangeFields {
  key: Uint8Array = EMPTY_BYTES;
  rangeEnd: Uint8Array = EMPTY_BYTES;
  limit = 0;
  revision = 0;
  sortOrder = 0;
  sortTarget = 0;
  serializable = false;
  keysOnly = false;
  countOnly = false;
  minModRevision = 0;
  maxModRevision = 0;
  minCreateRevision = 0;
  maxCreateRevision = 0;

  read(reader: WireReader): void {
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (!this.#field(reader, tag) && !this.#bound(reader, tag)) reader.skip(tag, 13);
    }
  }

  problem(): StatusError | undefined {
    if (this.key.length === 0) return emptyKey();
    const isSorted = this.sortOrder in SORT_ORDERS && this.sortTarget in SORT_TARGETS;
    return isSorted ? undefined : etcdError(GRPC.invalidArgument, "invalid sort option");
  }

  operation(): RangeOperation {
    // No row is at most below zero; as an upper bound, zero means none.
    const isBarred = this.maxModRevision < 0 || this.maxCreateRevision < 0;
    return {
      kind: "range",
      key: this.key,
      rangeEnd: endOf(this.rangeEnd),
      limit: counter(this.limit),
      revision: counter(this.revision),
      sortOrder: SORT_ORDERS[this.sortOrder] ?? "none",
      sortTarget: SORT_TARGETS[this.sortTarget] ?? "key",
      keysOnly: this.keysOnly,
      countOnly: this.countOnly,
      minModRevision: isBarred ? Number.MAX_SAFE_INTEGER : counter(this.minModRevision),
      maxModRevision: counter(this.maxModRevision),
      minCreateRevision: counter(this.minCreateRevision),
      maxCreateRevision: counter(this.maxCreateRevision),
    };
  }

  #field(reader: WireReader, tag: number): boolean {
    if (tag === 0x0a) this.key = reader.blob();
    else if (tag === 0x12) this.rangeEnd = reader.blob();
    else if (tag === 0x18) this.limit = reader.int64();
    else if (tag === 0x20) this.revision = reader.int64();
    else if (tag === 0x28) this.sortOrder = reader.int32();
    else if (tag === 0x30) this.sortTarget = reader.int32();
    else if (tag === 0x38) this.serializable = reader.bool();
    else if (tag === 0x40) this.keysOnly = reader.bool();
    else if (tag === 0x48) this.countOnly = reader.bool();
    else return false;
    return true;
  }

  #bound(reader: WireReader, tag: number): boolean {
    if (tag === 0x50) this.minModRevision = reader.int64();
    else if (tag === 0x58) this.maxModRevision = reader.int64();
    else if (tag === 0x60) this.minCreateRevision = reader.int64();
    else if (tag === 0x68) this.maxCreateRevision = reader.int64();
    else return false;
    return true;
  }
}

/** `isLearner`: only what is serializable is served. */
export function readRange(reader: WireReader, isLearner: boolean = false): RangeRequest {
  const fields = new RangeFields();
  fields.read(reader);
  if (isLearner && !fields.serializable) throw notForLearner();
  const problem = fields.problem();
  if (problem !== undefined) throw problem;
  const consistency = fields.serializable ? "serializable" : "linearizable";
  return { operation: fields.operation(), consistency };
}

export function readPut(reader: WireReader): PutOperation {
  const operation = parsePut(reader);
  const problem = putProblem(operation);
  if (problem !== undefined) throw problem;
  return operation;
}

export function readDelete(reader: WireReader): DeleteOperation {
  const operation = parseDelete(reader);
  if (operation.key.length === 0) throw emptyKey();
  return operation;
}

function parsePut(reader: WireReader): PutOperation {
  let key = EMPTY_BYTES;
  let value = EMPTY_BYTES;
  let lease = 0n;
  let prevKv = false;
  let ignoreValue = false;
  let ignoreLease = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.blob();
    else if (tag === 0x12) value = reader.blob();
    else if (tag === 0x18) lease = reader.uint64Big();
    else if (tag === 0x20) prevKv = reader.bool();
    else if (tag === 0x28) ignoreValue = reader.bool();
    else if (tag === 0x30) ignoreLease = reader.bool();
    else reader.skip(tag, 6);
  }
  return { kind: "put", key, value, lease, prevKv, ignoreValue, ignoreLease };
}

function putProblem(operation: PutOperation): StatusError | undefined {
  const { key, value, lease, ignoreValue, ignoreLease } = operation;
  if (key.length === 0) return emptyKey();
  if (ignoreValue && value.length > 0) return etcdError(GRPC.invalidArgument, "value is provided");
  if (ignoreLease && lease !== 0n) return etcdError(GRPC.invalidArgument, "lease is provided");
  return undefined;
}

function parseDelete(reader: WireReader): DeleteOperation {
  let key = EMPTY_BYTES;
  let rangeEnd = EMPTY_BYTES;
  let prevKv = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.blob();
    else if (tag === 0x12) rangeEnd = reader.blob();
    else if (tag === 0x18) prevKv = reader.bool();
    else reader.skip(tag, 3);
  }
  return { kind: "delete", key, rangeEnd: endOf(rangeEnd), prevKv };
}

/** Ranges alone, all of them serializable, may be read anywhere. */
export function readTransaction(reader: WireReader): TransactionRequest {
  const reading: Reading = { serializable: true, ranges: 0, problems: undefined };
  const transaction = readBranches(reader, reading, 0);
  // Bytes that are no message are an error before all else: problems are told when all is read.
  const { problems } = reading;
  const problem = problems && firstProblem(transaction, problems, TRANSACTION_OPERATIONS_MAX);
  if (problem !== undefined) throw problem;
  const isLocal = reading.serializable && reading.ranges > 0;
  return { transaction, consistency: isLocal ? "serializable" : "linearizable" };
}

interface Reading {
  serializable: boolean;
  ranges: number;
  /** What is wrong with compares and operations. */
  problems: Map<Compare | Operation, Error> | undefined;
}

function note(reading: Reading, of: Compare | Operation, problem: Error | undefined): void {
  if (problem === undefined) return;
  reading.problems ??= new Map();
  reading.problems.set(of, problem);
}

/** In the order in which etcd looks for them; `max` is how many operations there may be here. */
function firstProblem(
  { compares, success, failure }: Transaction,
  problems: ReadonlyMap<Compare | Operation, Error>,
  max: number,
): Error | undefined {
  const count = Math.max(compares.length, success.length, failure.length);
  if (count > max) return notApplied("tooManyOperations", "a transaction has too many operations");
  for (const compare of compares) {
    const problem = problems.get(compare);
    if (problem !== undefined) return problem;
  }
  for (const operation of [...success, ...failure]) {
    const inside =
      operation.kind === "txn" ? firstProblem(operation.txn, problems, max - count) : undefined;
    const problem = problems.get(operation) ?? inside;
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function readBranches(reader: WireReader, reading: Reading, depth: number): Transaction {
  if (depth > TRANSACTION_DEPTH_MAX) {
    throw notApplied("tooManyOperations", "transactions are nested too deeply");
  }
  const compares: Compare[] = [];
  const success: Operation[] = [];
  const failure: Operation[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      reader.skip(tag, 3);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) compares.push(readCompare(reader, reading));
    else (tag === 0x12 ? success : failure).push(readOperation(reader, reading, depth));
    reader.leave(outer);
  }
  return { compares, success, failure };
}

function readOperation(reader: WireReader, reading: Reading, depth: number): Operation {
  let operation: Operation | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.skip(tag, 4);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) operation = readInnerRange(reader, reading);
    else {
      reading.serializable = false;
      if (tag === 0x12) operation = readInnerPut(reader, reading);
      else if (tag === 0x1a) operation = readInnerDelete(reader, reading);
      else operation = { kind: "txn", txn: readBranches(reader, reading, depth + 1) };
    }
    reader.leave(outer);
  }
  if (operation !== undefined) return operation;
  const none = new RangeFields().operation();
  // An operation of no kind is what etcd answers this to.
  note(reading, none, etcdError(GRPC.invalidArgument, "key not found"));
  return none;
}

function readInnerRange(reader: WireReader, reading: Reading): RangeOperation {
  const fields = new RangeFields();
  fields.read(reader);
  const operation = fields.operation();
  note(reading, operation, fields.problem());
  reading.ranges++;
  reading.serializable &&= fields.serializable;
  return operation;
}

function readInnerPut(reader: WireReader, reading: Reading): PutOperation {
  const operation = parsePut(reader);
  note(reading, operation, putProblem(operation));
  return operation;
}

function readInnerDelete(reader: WireReader, reading: Reading): DeleteOperation {
  const operation = parseDelete(reader);
  if (operation.key.length === 0) note(reading, operation, emptyKey());
  return operation;
}

function readCompare(reader: WireReader, reading: Reading): Compare {
  const fields = new CompareFields();
  fields.read(reader);
  const compare: Compare = {
    key: fields.key,
    rangeEnd: endOf(fields.rangeEnd),
    result: fields.result(),
    target: fields.target(),
  };
  note(reading, compare, fields.problem());
  return compare;
}

/** A compare as its fields come in. */
class CompareFields {
  key: Uint8Array = EMPTY_BYTES;
  rangeEnd: Uint8Array = EMPTY_BYTES;
  #result = 0;
  #target = 0;
  /** What it is compared with: of several alternatives the last one is meant. */
  #given = 0;
  #number = 0;
  #value: Uint8Array = EMPTY_BYTES;
  #lease = 0n;

  read(reader: WireReader): void {
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag >= 0x20 && tag <= 0x40) this.#given = tag;
      if (tag === 0x08) this.#result = reader.int32();
      else if (tag === 0x10) this.#target = reader.int32();
      else if (tag === 0x1a) this.key = reader.blob();
      else if (tag === 0x20 || tag === 0x28 || tag === 0x30) this.#number = reader.int64();
      else if (tag === 0x3a) this.#value = reader.blob();
      else if (tag === 0x40) this.#lease = reader.uint64Big();
      else if (tag === 0x202) this.rangeEnd = reader.blob();
      else reader.skip(tag, 8);
    }
    // What was given for another target is not meant for this one.
    if (this.#given === TARGET_TAGS[this.#target]) return;
    this.#number = 0;
    this.#value = EMPTY_BYTES;
    this.#lease = 0n;
  }

  problem(): Error | undefined {
    if (this.key.length === 0) return emptyKey();
    if (this.#result in RESULTS && this.#target in TARGETS) return undefined;
    return notApplied("invalidArgument", "a compare has an unknown target or result");
  }

  result(): CompareResult {
    const result = RESULTS[this.#result] ?? "equal";
    return this.#number < 0 ? resultBelowZero(result) : result;
  }

  target(): CompareTarget {
    const kind = TARGETS[this.#target] ?? "version";
    if (kind === "value") return { kind, value: this.#value };
    if (kind === "lease") return { kind, value: this.#lease };
    // No key has a number beyond 2^53, nor one below zero.
    const isOutside = this.#number < 0 || this.#number > Number.MAX_SAFE_INTEGER;
    return { kind, value: isOutside ? Number.MAX_SAFE_INTEGER : this.#number };
  }
}

/** What all numbers of keys are to one below zero, they are not to the greatest, or the reverse. */
function resultBelowZero(result: CompareResult): CompareResult {
  return result === "greater" || result === "notEqual" ? "notEqual" : "equal";
}

function endOf(rangeEnd: Uint8Array): Uint8Array | undefined {
  return rangeEnd.length === 0 ? undefined : rangeEnd;
}

/** Whether a range can hold a key; the end "\0" is open. */
export function isEmptyRange(key: Uint8Array, rangeEnd: Uint8Array | undefined): boolean {
  if (rangeEnd === undefined || (rangeEnd.length === 1 && rangeEnd[0] === 0)) return false;
  return compareBytes(key, rangeEnd) >= 0;
}

/** What is below zero is etcd's "none"; what is beyond 2^53 is as far away as 2^53. */
function counter(value: number): number {
  return value <= 0 ? 0 : Math.min(value, Number.MAX_SAFE_INTEGER);
}
