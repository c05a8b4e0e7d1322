/**
 * What stands in front of every data request: which shard is meant, and by which version of its
 * descriptor.
 *
 *   u32 keyspaceId | u32 shardId | u32 configuration epoch | u32 range epoch
 *
 * And what may stand behind it: optional fields to the end of the body, each u8 number, u32
 * length, bytes. Unknown numbers are skipped.
 */
import { DecodeError, readU32, writeU32 } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { ShardDescriptor } from "./cluster.js";

export const ROUTED_HEADER_BYTES = 16;

/** Numbers of the optional fields. DO NOT CHANGE. */
export const OPTIONAL_FIELDS = {
  deadline: 1,
  traceId: 2,
  principal: 3,
  priority: 4,
  clientId: 5,
  sequence: 6,
} as const;

/** A routed header, read into the same object again and again. */
export class RoutedHeader {
  keyspaceId = 0;
  shardId = 0;
  configuration = 0;
  range = 0;
}

export function encodeRoutedHeader(out: ByteWriter, shard: ShardDescriptor): void {
  const at = out.reserve(ROUTED_HEADER_BYTES);
  const bytes = out.bytes;
  writeU32(bytes, at, shard.keyspaceId);
  writeU32(bytes, at + 4, shard.shardId);
  writeU32(bytes, at + 8, shard.epoch.configuration);
  writeU32(bytes, at + 12, shard.epoch.range);
}

/** Reads the header at `offset` into `into`; returns the offset behind it. */
export function decodeRoutedHeader(
  bytes: Uint8Array,
  offset: number,
  end: number,
  into: RoutedHeader,
): number {
  if (end - offset < ROUTED_HEADER_BYTES) throw new DecodeError("the routed header is cut short");
  into.keyspaceId = readU32(bytes, offset);
  into.shardId = readU32(bytes, offset + 4);
  into.configuration = readU32(bytes, offset + 8);
  into.range = readU32(bytes, offset + 12);
  return offset + ROUTED_HEADER_BYTES;
}

/** Checks the optional fields from the reader's place to its end; none is in use yet. */
export function skipOptionalFields(reader: ByteReader): void {
  while (reader.remaining > 0) {
    reader.u8();
    reader.take(reader.u32());
  }
}
