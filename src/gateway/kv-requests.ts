/**
 * Requests of etcd's KV service, from bytes straight to the operations of `protocol/`, with the
 * checks that need no data. Keys and values are views of the received bytes. Fields nobody knows
 * are passed over; the last of several wins.
 */
import { compareBytes, EMPTY_BYTES } from "../base/bytes.js";
import { TRANSACTION_DEPTH_MAX } from "../base/limits.js";
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
import { emptyKey, etcdError, GRPC } from "./status.js";
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

/** The fields with the numbers of the first three targets. */
const NUMBER_TAGS: readonly number[] = [0x20, 0x28, 0x30];

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
      if (!this.#field(reader, tag) && !this.#bound(reader, tag)) reader.skip(tag);
    }
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

export function readRange(reader: WireReader): RangeRequest {
  const fields = new RangeFields();
  fields.read(reader);
  if (fields.key.length === 0) throw emptyKey();
  const sortOrder = SORT_ORDERS[fields.sortOrder];
  const sortTarget = SORT_TARGETS[fields.sortTarget];
  if (sortOrder === undefined || sortTarget === undefined) {
    throw etcdError(GRPC.invalidArgument, "invalid sort option");
  }
  const operation: RangeOperation = {
    kind: "range",
    key: fields.key,
    rangeEnd: endOf(fields.rangeEnd),
    limit: counter(fields.limit),
    revision: counter(fields.revision),
    sortOrder,
    sortTarget,
    keysOnly: fields.keysOnly,
    countOnly: fields.countOnly,
    minModRevision: counter(fields.minModRevision),
    maxModRevision: counter(fields.maxModRevision),
    minCreateRevision: counter(fields.minCreateRevision),
    maxCreateRevision: counter(fields.maxCreateRevision),
  };
  return { operation, consistency: fields.serializable ? "serializable" : "linearizable" };
}

/** All of a range as it is now. */
export function rangeOf(key: Uint8Array, rangeEnd: Uint8Array | undefined): RangeOperation {
  return {
    kind: "range",
    key,
    rangeEnd,
    limit: 0,
    revision: 0,
    sortOrder: "none",
    sortTarget: "key",
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

export function readPut(reader: WireReader): PutOperation {
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
    else reader.skip(tag);
  }
  if (key.length === 0) throw emptyKey();
  if (ignoreValue && value.length > 0) {
    throw etcdError(GRPC.invalidArgument, "value is provided");
  }
  if (ignoreLease && lease !== 0n) throw etcdError(GRPC.invalidArgument, "lease is provided");
  return { kind: "put", key, value, lease, prevKv, ignoreValue, ignoreLease };
}

export function readDelete(reader: WireReader): DeleteOperation {
  let key = EMPTY_BYTES;
  let rangeEnd = EMPTY_BYTES;
  let prevKv = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.blob();
    else if (tag === 0x12) rangeEnd = reader.blob();
    else if (tag === 0x18) prevKv = reader.bool();
    else reader.skip(tag);
  }
  if (key.length === 0) throw emptyKey();
  return { kind: "delete", key, rangeEnd: endOf(rangeEnd), prevKv };
}

/** Ranges alone, all of them serializable, may be read anywhere. */
export function readTransaction(reader: WireReader): TransactionRequest {
  const reading = { serializable: true, ranges: 0 };
  const transaction = readBranches(reader, reading, 0);
  const isLocal = reading.serializable && reading.ranges > 0;
  return { transaction, consistency: isLocal ? "serializable" : "linearizable" };
}

interface Reading {
  serializable: boolean;
  ranges: number;
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
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) compares.push(readCompare(reader));
    else (tag === 0x12 ? success : failure).push(readOperation(reader, reading, depth));
    reader.leave(outer);
  }
  return { compares, success, failure };
}

function readOperation(reader: WireReader, reading: Reading, depth: number): Operation {
  let operation: Operation | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) {
      const range = readRange(reader);
      reading.ranges++;
      reading.serializable &&= range.consistency === "serializable";
      operation = range.operation;
    } else {
      reading.serializable = false;
      if (tag === 0x12) operation = readPut(reader);
      else if (tag === 0x1a) operation = readDelete(reader);
      else operation = { kind: "txn", txn: readBranches(reader, reading, depth + 1) };
    }
    reader.leave(outer);
  }
  // An operation of no kind is what etcd answers this to.
  if (operation === undefined) throw etcdError(GRPC.invalidArgument, "key not found");
  return operation;
}

function readCompare(reader: WireReader): Compare {
  let result = 0;
  let target = 0;
  let key = EMPTY_BYTES;
  let rangeEnd = EMPTY_BYTES;
  let number = 0;
  let numberTag = 0;
  let lease = 0n;
  let value = EMPTY_BYTES;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) result = reader.int32();
    else if (tag === 0x10) target = reader.int32();
    else if (tag === 0x1a) key = reader.blob();
    else if (tag === 0x20 || tag === 0x28 || tag === 0x30) {
      number = reader.int64();
      numberTag = tag;
    } else if (tag === 0x3a) value = reader.blob();
    else if (tag === 0x40) lease = reader.uint64Big();
    else if (tag === 0x202) rangeEnd = reader.blob();
    else reader.skip(tag);
  }
  if (key.length === 0) throw emptyKey();
  // What was given for another target is not meant for this one.
  const meant = numberTag === NUMBER_TAGS[target] ? number : 0;
  return {
    key,
    rangeEnd: endOf(rangeEnd),
    result: RESULTS[result] ?? unknownCompare(),
    target: compareTarget(TARGETS[target], meant, value, lease),
  };
}

function compareTarget(
  kind: CompareTarget["kind"] | undefined,
  number: number,
  value: Uint8Array,
  lease: bigint,
): CompareTarget {
  switch (kind) {
    case undefined:
      return unknownCompare();
    case "value":
      return { kind, value };
    case "lease":
      return { kind, value: lease };
    default:
      return { kind, value: number };
  }
}

function unknownCompare(): never {
  throw notApplied("invalidArgument", "a compare has an unknown target or result");
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
