/**
 * What the data family of a tree stores as the value of a version: what etcd's model knows about
 * it, then the user's value. A tombstone stores nothing. Part of the format: DO NOT CHANGE.
 *
 *   u53 createRevision | u32 lease low | u32 lease high | varint version | value
 *
 * The modification revision is the version number of the tree's entry.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import { DecodeError, readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { EntryView } from "../lsm/entry.js";
import type { KeyValueView } from "../protocol/key-value-codec.js";

const FIXED_BYTES = 16;

/** Appends the stored form of `row`; returns its length. */
export function writeStored(out: ByteWriter, row: KeyValueView): number {
  const at = out.reserve(FIXED_BYTES);
  const bytes = out.bytes;
  writeU53(bytes, at, row.createRevision);
  writeU32(bytes, at + 8, row.leaseLow);
  writeU32(bytes, at + 12, row.leaseHigh);
  if (row.version < 0x80) out.u8(row.version);
  else out.varint(row.version);
  out.slice(row.valueBytes, row.valueOffset, row.valueLength);
  return out.length - at;
}

/** Points `into` at the row in an entry of the data family, its key without the keyspace prefix. */
export function readRow(entry: EntryView, prefixLength: number, into: KeyValueView): void {
  into.keyBytes = entry.bytes;
  into.keyOffset = entry.keyOffset + prefixLength;
  into.keyLength = entry.keyLength - prefixLength;
  into.modRevision = entry.version;
  if (entry.tombstone) clearValue(into);
  else readStored(entry.valueBytes, entry.valueOffset, entry.valueLength, into);
}

/** Reads bytes[offset, offset + length) as a stored value into the fields it holds. */
export function readStored(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: KeyValueView,
): void {
  let at = offset + FIXED_BYTES;
  let version = 0;
  let scale = 1;
  let byte: number;
  do {
    if (at >= offset + length) throw new DecodeError("a stored value is cut short");
    byte = bytes[at++]!;
    version += (byte & 0x7f) * scale;
    scale *= 0x80;
  } while (byte >= 0x80);
  into.createRevision = readU53(bytes, offset);
  into.leaseLow = readU32(bytes, offset + 8);
  into.leaseHigh = readU32(bytes, offset + 12);
  into.version = version;
  into.valueBytes = bytes;
  into.valueOffset = at;
  into.valueLength = offset + length - at;
}

/** The lease of the stored value at `offset`. */
export function storedLeaseLow(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 8);
}

export function storedLeaseHigh(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 12);
}

export function storedHasLease(
  bytes: Uint8Array,
  offset: number,
  low: number,
  high: number,
): boolean {
  return storedLeaseLow(bytes, offset) === low && storedLeaseHigh(bytes, offset) === high;
}

/** A deleted key has neither value nor history. */
export function clearValue(row: KeyValueView): void {
  row.createRevision = 0;
  row.leaseLow = 0;
  row.leaseHigh = 0;
  row.version = 0;
  row.valueBytes = EMPTY_BYTES;
  row.valueOffset = 0;
  row.valueLength = 0;
}
