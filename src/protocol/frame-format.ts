/**
 * The frame: the unit of a connection.
 *
 *   u32 length of what follows | u8 type | u8 flags | u32 requestId | body
 *
 * Integers are little-endian. A length below the rest of the head or above the bound is no frame.
 */
import { writeU32 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";

/** Bytes of the length field. */
export const FRAME_LENGTH_BYTES = 4;
/** Bytes in front of the body, the length field included. */
export const FRAME_HEAD_BYTES = 10;
/** What the length field counts beyond the body. */
export const FRAME_LENGTH_EXTRA = 6;

export const FRAME_TYPE_AT = 4;
export const FRAME_FLAGS_AT = 5;
export const FRAME_REQUEST_AT = 6;

/** Writes a head whose length is filled in by endFrame; returns the frame's offset. */
export function beginFrame(
  out: ByteWriter,
  type: number,
  flags: number,
  requestId: number,
): number {
  const at = out.reserve(FRAME_HEAD_BYTES);
  const bytes = out.bytes;
  bytes[at + FRAME_TYPE_AT] = type;
  bytes[at + FRAME_FLAGS_AT] = flags;
  writeU32(bytes, at + FRAME_REQUEST_AT, requestId);
  return at;
}

/** Fills in the length of the frame that began at `at` and ends where the writer stands. */
export function endFrame(out: ByteWriter, at: number): void {
  writeU32(out.bytes, at, out.length - at - FRAME_LENGTH_BYTES);
}
