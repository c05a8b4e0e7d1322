/**
 * A key-value on the wire, in answers, results and watch events alike.
 *
 *   u32 keyLength | u32 valueLength | u53 createRevision | u53 modRevision | u53 version
 *   | u32 lease low | u32 lease high | key | value
 *
 * The serving side writes from a KeyValueView, which points into the buffers of a tree and is
 * filled again for each row; the reading side gets a KeyValue that owns its bytes.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import { writeU32, writeU53 } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { KeyValue } from "./key-value.js";

export const KEY_VALUE_FIXED_BYTES = 40;

const LEASE_HALF = 0xffff_ffffn;

/** A key-value as it lies in somebody's buffers. */
export class KeyValueView {
  keyBytes: Uint8Array = EMPTY_BYTES;
  keyOffset = 0;
  keyLength = 0;
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueOffset = 0;
  valueLength = 0;
  createRevision = 0;
  modRevision = 0;
  version = 0;
  leaseLow = 0;
  leaseHigh = 0;
}

export function writeKeyValue(out: ByteWriter, kv: KeyValueView): void {
  const at = out.reserve(KEY_VALUE_FIXED_BYTES);
  const bytes = out.bytes;
  writeU32(bytes, at, kv.keyLength);
  writeU32(bytes, at + 4, kv.valueLength);
  writeU53(bytes, at + 8, kv.createRevision);
  writeU53(bytes, at + 16, kv.modRevision);
  writeU53(bytes, at + 24, kv.version);
  writeU32(bytes, at + 32, kv.leaseLow);
  writeU32(bytes, at + 36, kv.leaseHigh);
  out.slice(kv.keyBytes, kv.keyOffset, kv.keyLength);
  out.slice(kv.valueBytes, kv.valueOffset, kv.valueLength);
}

export function encodeKeyValue(out: ByteWriter, kv: KeyValue): void {
  out.u32(kv.key.length);
  out.u32(kv.value.length);
  out.u53(kv.createRevision);
  out.u53(kv.modRevision);
  out.u53(kv.version);
  encodeLease(out, kv.lease);
  out.raw(kv.key);
  out.raw(kv.value);
}

/** With bytes of its own. */
export function decodeKeyValue(reader: ByteReader): KeyValue {
  const { key, value, createRevision, modRevision, version, lease } = decodeKeyValueView(reader);
  return { key: key.slice(), value: value.slice(), createRevision, modRevision, version, lease };
}

/** Its bytes are views, which keep in memory what came along with them. */
export function decodeKeyValueView(reader: ByteReader): KeyValue {
  const keyLength = reader.u32();
  const valueLength = reader.u32();
  const createRevision = reader.u53();
  const modRevision = reader.u53();
  const version = reader.u53();
  const lease = decodeLease(reader);
  const key = reader.rawView(keyLength);
  const value = reader.rawView(valueLength);
  return { key, value, createRevision, modRevision, version, lease };
}

/** A lease id as two u32 halves, the low one first. */
export function encodeLease(out: ByteWriter, lease: bigint): void {
  out.u32(leaseLow(lease));
  out.u32(leaseHigh(lease));
}

export function decodeLease(reader: ByteReader): bigint {
  const low = reader.u32();
  return leaseId(low, reader.u32());
}

/** Most keys have none, which costs nothing. */
export function leaseId(low: number, high: number): bigint {
  return low === 0 && high === 0 ? 0n : (BigInt(high) << 32n) | BigInt(low);
}

export function leaseLow(lease: bigint): number {
  return lease === 0n ? 0 : Number(lease & LEASE_HALF);
}

export function leaseHigh(lease: bigint): number {
  return lease === 0n ? 0 : Number((lease >> 32n) & LEASE_HALF);
}
