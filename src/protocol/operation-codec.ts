/**
 * Transactions on the wire, recursive as they are in memory, and nothing beyond their shape: what
 * a transaction may contain is checked where it is evaluated.
 *
 *   transaction: varint compares | compare… | varint success | operation… | varint failure | …
 *   compare:     u8 target | u8 result | u8 hasEnd | blob key [| blob end] | value by target
 *   put:         u8 1 | u8 flags | u32 lease low | u32 lease high | blob key | blob value
 *   range:       u8 2 | u8 flags | u8 order | u8 target | six varints | blob key [| blob end]
 *   delete:      u8 3 | u8 flags | blob key [| blob end]
 *   nested:      u8 4 | transaction
 *
 * The flags of a put are PUT_FLAGS. The varints of a range are limit, revision, and the least and
 * greatest mod and create revisions. Decoded keys and values are views into the request.
 */
import { TRANSACTION_DEPTH_MAX } from "../base/limits.js";
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { decodeLease, encodeLease } from "./key-value-codec.js";
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
} from "./operations.js";
import { PUT_FLAGS } from "./put-codec.js";

/** Numbers of the operations, and of their results. DO NOT CHANGE. */
export const OPERATION_KINDS = { put: 1, range: 2, delete: 3, txn: 4 } as const;

/** A list's place is its number on the wire: DO NOT CHANGE the order, append only. */
const TARGETS: readonly CompareTarget["kind"][] = ["version", "create", "mod", "value", "lease"];
const RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const ORDERS: readonly SortOrder[] = ["none", "ascend", "descend"];
const SORT_TARGETS: readonly SortTarget[] = ["key", "version", "create", "mod", "value"];

const RANGE_FLAGS = { end: 1, keysOnly: 2, countOnly: 4, skipCount: 8 } as const;
const DELETE_FLAGS = { end: 1, prevKv: 2 } as const;

export function encodeTransaction(out: ByteWriter, txn: Transaction): void {
  out.varint(txn.compares.length);
  for (const compare of txn.compares) encodeCompare(out, compare);
  encodeOperations(out, txn.success);
  encodeOperations(out, txn.failure);
}

/** The keys and values of the result are views into the reader's bytes. */
export function decodeTransactionView(reader: ByteReader, depth = 0): Transaction {
  if (depth > TRANSACTION_DEPTH_MAX) {
    throw new DecodeError(`transactions are nested deeper than ${TRANSACTION_DEPTH_MAX}`);
  }
  const compareCount = countOf(reader);
  const compares: Compare[] = [];
  for (let i = 0; i < compareCount; i++) compares.push(decodeCompareView(reader));
  const success = decodeOperations(reader, depth);
  const failure = decodeOperations(reader, depth);
  return { compares, success, failure };
}

function encodeOperations(out: ByteWriter, operations: readonly Operation[]): void {
  out.varint(operations.length);
  for (const operation of operations) encodeOperation(out, operation);
}

function decodeOperations(reader: ByteReader, depth: number): Operation[] {
  const count = countOf(reader);
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) operations.push(decodeOperation(reader, depth));
  return operations;
}

function encodeOperation(out: ByteWriter, operation: Operation): void {
  out.u8(OPERATION_KINDS[operation.kind]);
  switch (operation.kind) {
    case "put":
      return encodePutOperation(out, operation);
    case "range":
      return encodeRange(out, operation);
    case "delete":
      return encodeDelete(out, operation);
    case "txn":
      return encodeTransaction(out, operation.txn);
  }
}

function decodeOperation(reader: ByteReader, depth: number): Operation {
  const kind = reader.u8();
  switch (kind) {
    case OPERATION_KINDS.put:
      return decodePutOperation(reader);
    case OPERATION_KINDS.range:
      return decodeRange(reader);
    case OPERATION_KINDS.delete:
      return decodeDelete(reader);
    case OPERATION_KINDS.txn:
      return { kind: "txn", txn: decodeTransactionView(reader, depth + 1) };
    default:
      throw new DecodeError(`unknown operation ${kind}`);
  }
}

function encodeCompare(out: ByteWriter, compare: Compare): void {
  out.u8(TARGETS.indexOf(compare.target.kind));
  out.u8(RESULTS.indexOf(compare.result));
  out.u8(compare.rangeEnd === undefined ? 0 : 1);
  encodeKeys(out, compare.key, compare.rangeEnd);
  const target = compare.target;
  if (target.kind === "value") out.blob(target.value);
  else if (target.kind === "lease") encodeLease(out, target.value);
  else out.u53(target.value);
}

function decodeCompareView(reader: ByteReader): Compare {
  const kind = memberOf(TARGETS, reader.u8());
  const result = memberOf(RESULTS, reader.u8());
  const hasEnd = flagsOf(reader, 1) !== 0;
  const key = reader.blobView();
  const rangeEnd = hasEnd ? reader.blobView() : undefined;
  return { key, rangeEnd, result, target: decodeTarget(reader, kind) };
}

function decodeTarget(reader: ByteReader, kind: CompareTarget["kind"]): CompareTarget {
  if (kind === "value") return { kind, value: reader.blobView() };
  if (kind === "lease") return { kind, value: decodeLease(reader) };
  return { kind, value: reader.u53() };
}

function encodePutOperation(out: ByteWriter, put: PutOperation): void {
  let flags = put.prevKv ? PUT_FLAGS.prevKv : 0;
  if (put.ignoreValue) flags |= PUT_FLAGS.ignoreValue;
  if (put.ignoreLease) flags |= PUT_FLAGS.ignoreLease;
  out.u8(flags);
  encodeLease(out, put.lease);
  out.blob(put.key);
  out.blob(put.value);
}

function decodePutOperation(reader: ByteReader): PutOperation {
  const flags = flagsOf(reader, 7);
  const lease = decodeLease(reader);
  const key = reader.blobView();
  const value = reader.blobView();
  return {
    kind: "put",
    key,
    value,
    lease,
    prevKv: (flags & PUT_FLAGS.prevKv) !== 0,
    ignoreValue: (flags & PUT_FLAGS.ignoreValue) !== 0,
    ignoreLease: (flags & PUT_FLAGS.ignoreLease) !== 0,
  };
}

function encodeRange(out: ByteWriter, range: RangeOperation): void {
  let flags = range.rangeEnd === undefined ? 0 : RANGE_FLAGS.end;
  if (range.keysOnly) flags |= RANGE_FLAGS.keysOnly;
  if (range.countOnly) flags |= RANGE_FLAGS.countOnly;
  if (range.skipCount === true) flags |= RANGE_FLAGS.skipCount;
  out.u8(flags);
  out.u8(ORDERS.indexOf(range.sortOrder));
  out.u8(SORT_TARGETS.indexOf(range.sortTarget));
  out.varint(range.limit);
  out.varint(range.revision);
  out.varint(range.minModRevision);
  out.varint(range.maxModRevision);
  out.varint(range.minCreateRevision);
  out.varint(range.maxCreateRevision);
  encodeKeys(out, range.key, range.rangeEnd);
}

function decodeRange(reader: ByteReader): RangeOperation {
  const flags = flagsOf(reader, 15);
  const sortOrder = memberOf(ORDERS, reader.u8());
  const sortTarget = memberOf(SORT_TARGETS, reader.u8());
  const limit = reader.varint();
  const revision = reader.varint();
  const minModRevision = reader.varint();
  const maxModRevision = reader.varint();
  const minCreateRevision = reader.varint();
  const maxCreateRevision = reader.varint();
  const key = reader.blobView();
  return {
    kind: "range",
    key,
    rangeEnd: (flags & RANGE_FLAGS.end) === 0 ? undefined : reader.blobView(),
    limit,
    revision,
    sortOrder,
    sortTarget,
    keysOnly: (flags & RANGE_FLAGS.keysOnly) !== 0,
    countOnly: (flags & RANGE_FLAGS.countOnly) !== 0,
    skipCount: (flags & RANGE_FLAGS.skipCount) !== 0,
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
  };
}

function encodeDelete(out: ByteWriter, operation: DeleteOperation): void {
  const flags = operation.rangeEnd === undefined ? 0 : DELETE_FLAGS.end;
  out.u8(operation.prevKv ? flags | DELETE_FLAGS.prevKv : flags);
  encodeKeys(out, operation.key, operation.rangeEnd);
}

function decodeDelete(reader: ByteReader): DeleteOperation {
  const flags = flagsOf(reader, 3);
  const key = reader.blobView();
  const rangeEnd = (flags & DELETE_FLAGS.end) === 0 ? undefined : reader.blobView();
  return { kind: "delete", key, rangeEnd, prevKv: (flags & DELETE_FLAGS.prevKv) !== 0 };
}

function encodeKeys(out: ByteWriter, key: Uint8Array, rangeEnd: Uint8Array | undefined): void {
  out.blob(key);
  if (rangeEnd !== undefined) out.blob(rangeEnd);
}

/** A count that the bytes left could hold, so that a forged one makes no work. */
function countOf(reader: ByteReader): number {
  const count = reader.varint();
  if (count > reader.remaining)
    throw new DecodeError(`${count} items in ${reader.remaining} bytes`);
  return count;
}

function flagsOf(reader: ByteReader, all: number): number {
  const flags = reader.u8();
  if ((flags & ~all) !== 0) throw new DecodeError(`unknown flags ${flags} of an operation`);
  return flags;
}

function memberOf<T>(list: readonly T[], number: number): T {
  const member = list[number];
  if (member === undefined) throw new DecodeError(`unknown number ${number} in a transaction`);
  return member;
}
