/**
 * The results of a transaction on the wire. The serving side writes them row by row as it reads
 * (mvcc), by the offsets named here; this file holds the whole-value forms.
 *
 *   result of a transaction: u8 succeeded | varint count | result…
 *   put:    u8 1 | u8 hasPrevious [| key-value]
 *   range:  u8 2 | u8 more | u53 count | u32 returned | key-value…
 *   delete: u8 3 | u53 deleted | u32 returned | key-value…
 *   nested: u8 4 | result of a transaction
 */
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { decodeKeyValue, decodeKeyValueView, encodeKeyValue } from "./key-value-codec.js";
import type { KeyValue } from "./key-value.js";
import { OPERATION_KINDS } from "./operation-codec.js";
import type { OperationResult, TransactionResult } from "./operations.js";

/** Bytes of a range's result before its key-values, and of a delete's, without the kind. */
export const RANGE_RESULT_HEAD_BYTES = 13;
export const DELETE_RESULT_HEAD_BYTES = 12;

export function encodeTransactionResult(out: ByteWriter, result: TransactionResult): void {
  out.u8(result.succeeded ? 1 : 0);
  out.varint(result.results.length);
  for (const one of result.results) encodeResult(out, one);
}

export function decodeTransactionResult(reader: ByteReader): TransactionResult {
  const succeeded = reader.u8() === 1;
  const count = reader.varint();
  const results: OperationResult[] = [];
  for (let i = 0; i < count; i++) results.push(decodeResult(reader));
  return { succeeded, results };
}

/** u8 present and, if 1, the key-value: the body of the answers to put and get. */
export function encodeOptionalKeyValue(out: ByteWriter, kv: KeyValue | undefined): void {
  out.u8(kv === undefined ? 0 : 1);
  if (kv !== undefined) encodeKeyValue(out, kv);
}

export function decodeOptionalKeyValue(reader: ByteReader): KeyValue | undefined {
  return reader.u8() === 0 ? undefined : decodeKeyValue(reader);
}

/** The same, its bytes as views. */
export function decodeOptionalKeyValueView(reader: ByteReader): KeyValue | undefined {
  return reader.u8() === 0 ? undefined : decodeKeyValueView(reader);
}

function encodeResult(out: ByteWriter, result: OperationResult): void {
  out.u8(OPERATION_KINDS[result.kind]);
  switch (result.kind) {
    case "put":
      return encodeOptionalKeyValue(out, result.prevKv);
    case "range":
      out.u8(result.more ? 1 : 0);
      out.u53(result.count);
      return encodeKeyValues(out, result.kvs);
    case "delete":
      out.u53(result.deleted);
      return encodeKeyValues(out, result.prevKvs);
    case "txn":
      return encodeTransactionResult(out, result.result);
  }
}

function decodeResult(reader: ByteReader): OperationResult {
  const kind = reader.u8();
  switch (kind) {
    case OPERATION_KINDS.put:
      return { kind: "put", prevKv: decodeOptionalKeyValue(reader) };
    case OPERATION_KINDS.range: {
      const more = reader.u8() === 1;
      const count = reader.u53();
      return { kind: "range", more, count, kvs: decodeKeyValues(reader) };
    }
    case OPERATION_KINDS.delete: {
      const deleted = reader.u53();
      return { kind: "delete", deleted, prevKvs: decodeKeyValues(reader) };
    }
    case OPERATION_KINDS.txn:
      return { kind: "txn", result: decodeTransactionResult(reader) };
    default:
      throw new DecodeError(`unknown result ${kind}`);
  }
}

function encodeKeyValues(out: ByteWriter, kvs: readonly KeyValue[]): void {
  out.u32(kvs.length);
  for (const kv of kvs) encodeKeyValue(out, kv);
}

function decodeKeyValues(reader: ByteReader): KeyValue[] {
  const count = reader.u32();
  const kvs: KeyValue[] = [];
  for (let i = 0; i < count; i++) kvs.push(decodeKeyValue(reader));
  return kvs;
}
