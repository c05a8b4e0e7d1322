/**
 * A segment is one file: a block that says what the file is, then batches (batch-format.ts) one
 * after the other, then whatever the file held before it was recycled. Its name is its number; the
 * numbers of a log are contiguous.
 *
 *   first block = 8 bytes magic | u32 format version | u32 segment number | blob store id
 *               | zeros | at HEADER_CHECKSUM_OFFSET: u32 checksum, bound to the segment
 *
 * The block is for people, tools and refusals. Batches are bound to store and segment by their own
 * checksums, so that recovery never has to trust the block.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { crc32, placedChecksum } from "../base/checksum.js";
import { readU32, writeU32 } from "../base/coding.js";
import { BLOCK_SIZE_BYTES } from "./batch-format.js";

export const SEGMENT_FORMAT_VERSION = 3;
/** Segments of version 2 hold no index. */
export const SEGMENT_FORMATS_READ: readonly number[] = [2, SEGMENT_FORMAT_VERSION];
/** Where a segment's first batch starts. */
export const SEGMENT_START: number = BLOCK_SIZE_BYTES;

const MAGIC = "FLOTLOG1";
const HEADER_CHECKSUM_OFFSET = 508;
const STORE_ID_SIZE_BYTES_MAX = 256;
const NAME = /^(\d{10})\.log$/;

export function segmentName(number: number): string {
  return `${String(number).padStart(10, "0")}.log`;
}

/** The number in a segment's file name, or undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Tells the batches of different stores apart. */
export function storeTagOf(storeId: string): number {
  return crc32(utf8(storeId));
}

export function encodeSegmentHeader(number: number, storeId: string): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE_BYTES);
  const id = utf8(storeId).subarray(0, STORE_ID_SIZE_BYTES_MAX);
  block.set(utf8(MAGIC), 0);
  writeU32(block, 8, SEGMENT_FORMAT_VERSION);
  writeU32(block, 12, number);
  writeU32(block, 16, id.length);
  block.set(id, 20);
  const checked = block.subarray(0, HEADER_CHECKSUM_OFFSET);
  writeU32(block, HEADER_CHECKSUM_OFFSET, placedChecksum(checked, number, 0));
  return block;
}

export interface SegmentHeader {
  readonly version: number;
  readonly storeId: string;
}

/** What an intact first block of segment `number` says; undefined where it is not intact. */
export function decodeSegmentHeader(block: Uint8Array, number: number): SegmentHeader | undefined {
  if (block.length < BLOCK_SIZE_BYTES || utf8Text(block.subarray(0, 8)) !== MAGIC) return undefined;
  const checked = block.subarray(0, HEADER_CHECKSUM_OFFSET);
  if (placedChecksum(checked, number, 0) !== readU32(block, HEADER_CHECKSUM_OFFSET)) {
    return undefined;
  }
  const idLength = Math.min(readU32(block, 16), STORE_ID_SIZE_BYTES_MAX);
  return {
    version: readU32(block, 8),
    storeId: utf8Text(block.subarray(20, 20 + idLength)),
  };
}
