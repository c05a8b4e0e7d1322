/**
 * The put request, the hottest message: read and written by offset, without a view or an object
 * per request at the server. Its answer is the answer header, u8 hasPrev and, if 1, the key-value.
 *
 *   routed header | u8 flags | u32 lease low | u32 lease high | u32 keyLength | u32 valueLength
 *   | key | value | optional fields
 */
import { DecodeError, readU32, writeU32 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { ShardDescriptor } from "./cluster.js";
import { encodeRoutedHeader } from "./routed-header.js";

export const PUT_FLAGS = { prevKv: 1, ignoreValue: 2, ignoreLease: 4 } as const;

const PUT_FIXED_BYTES = 17;

/** What a sender wants to put; `key` is the stored key. */
export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
  readonly leaseLow: number;
  readonly leaseHigh: number;
}

/** A put as it lies in a frame, read into the same object again and again. */
export class PutView {
  bytes: Uint8Array = new Uint8Array(0);
  flags = 0;
  leaseLow = 0;
  leaseHigh = 0;
  keyOffset = 0;
  keyLength = 0;
  valueOffset = 0;
  valueLength = 0;
}

export function encodePut(out: ByteWriter, shard: ShardDescriptor, put: PutRequest): void {
  encodeRoutedHeader(out, shard);
  const at = out.reserve(PUT_FIXED_BYTES);
  const bytes = out.bytes;
  bytes[at] = put.flags;
  writeU32(bytes, at + 1, put.leaseLow);
  writeU32(bytes, at + 5, put.leaseHigh);
  writeU32(bytes, at + 9, put.key.length);
  writeU32(bytes, at + 13, put.value.length);
  out.slice(put.key, 0, put.key.length);
  out.slice(put.value, 0, put.value.length);
}

/** Reads what follows the routed header, bytes[offset, end). */
export function decodePut(bytes: Uint8Array, offset: number, end: number, into: PutView): void {
  if (end - offset < PUT_FIXED_BYTES) throw new DecodeError("the put is cut short");
  const keyLength = readU32(bytes, offset + 9);
  const valueLength = readU32(bytes, offset + 13);
  const keyOffset = offset + PUT_FIXED_BYTES;
  if (keyLength + valueLength > end - keyOffset) throw new DecodeError("the put is cut short");
  into.bytes = bytes;
  into.flags = bytes[offset]!;
  into.leaseLow = readU32(bytes, offset + 1);
  into.leaseHigh = readU32(bytes, offset + 5);
  into.keyOffset = keyOffset;
  into.keyLength = keyLength;
  into.valueOffset = keyOffset + keyLength;
  into.valueLength = valueLength;
}
