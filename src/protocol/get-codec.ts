/**
 * The get request, read and written by offset as the put is. Its answer is the answer header, u8
 * found and, if 1, the key-value.
 *
 *   routed header | u8 level | u8 flags | u53 revision | u32 maxStalenessMs | u53 minRevision
 *   | u32 keyLength | key | optional fields
 *
 * The part from level to minRevision is the read options; a transaction carries the same.
 */
import { DecodeError, readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { ShardDescriptor } from "./cluster.js";
import { encodeRoutedHeader } from "./routed-header.js";

export const GET_FLAGS = { keysOnly: 1 } as const;

export const READ_OPTIONS_BYTES = 22;

/** How a read is to be served. */
export interface ReadOptions {
  /** A number of READ_LEVELS. */
  readonly level: number;
  readonly flags: number;
  /** 0: the newest. In a transaction: the least revision its answer must show. */
  readonly revision: number;
  /** `stale` only; 0: any age. */
  readonly maxStalenessMs: number;
  /** `stale` only: the least closed revision that will do. */
  readonly minRevision: number;
}

/** A read as it lies in a frame, read into the same object again and again. */
export class GetView {
  bytes: Uint8Array = new Uint8Array(0);
  level = 0;
  flags = 0;
  revision = 0;
  maxStalenessMs = 0;
  minRevision = 0;
  keyOffset = 0;
  keyLength = 0;
}

/** `key` is the stored key. */
export function encodeGet(
  out: ByteWriter,
  shard: ShardDescriptor,
  options: ReadOptions,
  key: Uint8Array,
): void {
  encodeRoutedHeader(out, shard);
  encodeReadOptions(out, options);
  out.u32(key.length);
  out.slice(key, 0, key.length);
}

/** Reads what follows the routed header, bytes[offset, end). */
export function decodeGet(bytes: Uint8Array, offset: number, end: number, into: GetView): void {
  const at = decodeReadOptions(bytes, offset, end, into);
  if (end - at < 4) throw new DecodeError("the get is cut short");
  const keyLength = readU32(bytes, at);
  if (keyLength > end - at - 4) throw new DecodeError("the get is cut short");
  into.keyOffset = at + 4;
  into.keyLength = keyLength;
}

export function encodeReadOptions(out: ByteWriter, options: ReadOptions): void {
  const at = out.reserve(READ_OPTIONS_BYTES);
  const bytes = out.bytes;
  bytes[at] = options.level;
  bytes[at + 1] = options.flags;
  writeU53(bytes, at + 2, options.revision);
  writeU32(bytes, at + 10, options.maxStalenessMs);
  writeU53(bytes, at + 14, options.minRevision);
}

/** Reads the options at `offset`; returns the offset behind them. Leaves the key fields alone. */
export function decodeReadOptions(
  bytes: Uint8Array,
  offset: number,
  end: number,
  into: GetView,
): number {
  if (end - offset < READ_OPTIONS_BYTES) throw new DecodeError("the read options are cut short");
  into.bytes = bytes;
  into.level = bytes[offset]!;
  into.flags = bytes[offset + 1]!;
  into.revision = readU53(bytes, offset + 2);
  into.maxStalenessMs = readU32(bytes, offset + 10);
  into.minRevision = readU53(bytes, offset + 14);
  return offset + READ_OPTIONS_BYTES;
}
