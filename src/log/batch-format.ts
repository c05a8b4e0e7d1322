/**
 * The layout of a batch, the unit that is written and synced as one.
 *
 *   header | payload | zeros | copy of the header | u32 header length | u32 TRAILER_MAGIC
 *
 * A batch starts and ends at a multiple of BLOCK_SIZE_BYTES. Its header lists every change, so that
 * with the header everything is known but the bytes of the entries, which are the payload, run
 * after run. The copy serves where the first one rots; the trailer, at the end of a block, is how
 * it is found.
 *
 *   header = u32 checksum of what follows in the header, bound to segment and offset
 *          | u32 HEADER_MAGIC | u32 store tag | u32 segment number
 *          | u32 length of the batch | u32 count of items | u32 count of checkpoint items
 *          | u32 payload length | two checksums of the payload (payload-check.ts)
 *          | u32 synced offset: all bytes of the segment below it were durable before this batch
 *          | u32 previous end: in a segment's first batch, where the previous segment ended
 *          | u32 whether it carries a checkpoint, were it an empty one
 *          | items of ITEM_SIZE_BYTES
 *
 *   item = u8 kind | u8 entry kind | u8 flags | u8 zero | u32 length of the run's bytes
 *        | u53 shard | u53 replica | u53 term | u53 index | u53 extra
 *
 * DO NOT CHANGE any of this: files hold it. A new layout gets a new magic, and its segments a new
 * version. The first layout (one checksum of the payload) is not read any more: its segments are
 * refused by their version.
 */
import { placedChecksum } from "../base/checksum.js";
import { readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import type { EntryKind, EntryRun } from "../base/entry-run.js";
import { checkPayload, writePayloadSums } from "./payload-check.js";

export const BLOCK_SIZE_BYTES = 4096;
export const HEADER_SIZE_BYTES = 52;
export const ITEM_SIZE_BYTES = 48;
export const TRAILER_SIZE_BYTES = 8;

const HEADER_MAGIC = 0x3242_4c46; // "FLB2"
const TRAILER_MAGIC = 0x3154_4c46; // "FLT1"

/** Kinds of items. The fields that an item uses are named beside its kind. */
export const ITEM = {
  /** term, index of the first entry, extra = count, length, entry kind */
  append: 1,
  /** term, index = commit index, extra = vote */
  hardState: 2,
  /** term, index of the entry after which the log now starts */
  reset: 3,
  clean: 4,
  /** term, index of the last entry that is no longer needed */
  trim: 5,
  /** Checkpoint: term, index after which the log starts; flags */
  base: 6,
  /** Checkpoint: term, index of the last entry */
  tail: 7,
  /** Checkpoint: term, index of the first lost entry, extra = count */
  lost: 8,
  /** Checkpoint: term, index up to which the log went before entries were lost */
  floor: 9,
  /** Checkpoint, of no shard: shards that it does not name may have been in what was lost */
  missing: 10,
  /** Of no shard; the payload is rows (segment-index.ts); length, extra = count */
  index: 11,
} as const;

export const FLAG_HARD_STATE_LOST = 1;

const ENTRY_KINDS: readonly EntryKind[] = ["command", "noop", "configuration"];

/** One item, decoded into the same object again and again. */
export class Item {
  kind = 0;
  entryKind: EntryKind = "command";
  flags = 0;
  length = 0;
  shardId = 0;
  replicaId = 0;
  term = 0;
  index = 0;
  extra = 0;

  read(bytes: Uint8Array, at: number): void {
    this.kind = bytes[at]!;
    this.entryKind = ENTRY_KINDS[bytes[at + 1]!] ?? "command";
    this.flags = bytes[at + 2]!;
    this.length = readU32(bytes, at + 4);
    this.shardId = readU53(bytes, at + 8);
    this.replicaId = readU53(bytes, at + 16);
    this.term = readU53(bytes, at + 24);
    this.index = readU53(bytes, at + 32);
    this.extra = readU53(bytes, at + 40);
  }

  write(bytes: Uint8Array, at: number): void {
    bytes[at] = this.kind;
    bytes[at + 1] = this.entryKind === "command" ? 0 : ENTRY_KINDS.indexOf(this.entryKind);
    bytes[at + 2] = this.flags;
    bytes[at + 3] = 0;
    writeU32(bytes, at + 4, this.length);
    writeU53(bytes, at + 8, this.shardId);
    writeU53(bytes, at + 16, this.replicaId);
    writeU53(bytes, at + 24, this.term);
    writeU53(bytes, at + 32, this.index);
    writeU53(bytes, at + 40, this.extra);
  }
}

/** Names the place of a segment's batches: which store, which segment. */
export interface SegmentPlace {
  readonly storeTag: number;
  readonly number: number;
  /** Where in the segment the bytes that are looked at begin: at its start, if nothing is said. */
  readonly base?: number | undefined;
}

/** Length of a batch with so many items and so much payload. */
export function batchLength(itemCount: number, payloadLength: number): number {
  const header = HEADER_SIZE_BYTES + itemCount * ITEM_SIZE_BYTES;
  const used = 2 * header + payloadLength + TRAILER_SIZE_BYTES;
  return Math.ceil(used / BLOCK_SIZE_BYTES) * BLOCK_SIZE_BYTES;
}

/** What a writer decides about a batch whose items and payload are in place. */
export interface BatchFrame {
  readonly offset: number;
  readonly itemCount: number;
  readonly carriesCheckpoint: boolean;
  readonly checkpointCount: number;
  readonly payloadLength: number;
  readonly syncedOffset: number;
  readonly previousEnd: number;
}

/** Completes the batch at bytes[0]: header, zeros, copy, trailer. Returns its length. */
export function sealBatch(bytes: Uint8Array, place: SegmentPlace, frame: BatchFrame): number {
  const headerLength = HEADER_SIZE_BYTES + frame.itemCount * ITEM_SIZE_BYTES;
  const payloadEnd = headerLength + frame.payloadLength;
  const length = batchLength(frame.itemCount, frame.payloadLength);
  const payloadPlace = frame.offset + headerLength;
  const payload = bytes.subarray(headerLength, payloadEnd);
  writeU32(bytes, 4, HEADER_MAGIC);
  writeU32(bytes, 8, place.storeTag);
  writeU32(bytes, 12, place.number);
  writeU32(bytes, 16, length);
  writeU32(bytes, 20, frame.itemCount);
  writeU32(bytes, 24, frame.checkpointCount);
  writeU32(bytes, 28, frame.payloadLength);
  writePayloadSums(bytes, 32, payload, place.number, payloadPlace);
  writeU32(bytes, 40, frame.syncedOffset);
  writeU32(bytes, 44, frame.previousEnd);
  writeU32(bytes, 48, frame.carriesCheckpoint ? 1 : 0);
  const header = bytes.subarray(4, headerLength);
  writeU32(bytes, 0, placedChecksum(header, place.number, frame.offset));
  const copyAt = length - TRAILER_SIZE_BYTES - headerLength;
  bytes.fill(0, payloadEnd, copyAt);
  bytes.copyWithin(copyAt, 0, headerLength);
  writeU32(bytes, length - 8, headerLength);
  writeU32(bytes, length - 4, TRAILER_MAGIC);
  return length;
}

/** A batch whose header was found intact in a segment's bytes; its offsets count in those. */
export interface FoundBatch {
  readonly offset: number;
  readonly length: number;
  /** Where its items start: in the header or in its copy. */
  readonly itemsOffset: number;
  readonly itemCount: number;
  readonly carriesCheckpoint: boolean;
  readonly checkpointCount: number;
  readonly payloadOffset: number;
  readonly payloadLength: number;
  readonly payloadIntact: boolean;
  /** Where that is all that is wrong with the payload: which bit of the bytes has flipped. */
  readonly flippedBit: number | undefined;
  readonly syncedOffset: number;
  readonly previousEnd: number;
}

/** Whether everything that the batch held is there, if need be by flipping one bit back. */
export function isWhole(batch: FoundBatch): boolean {
  return batch.payloadIntact || batch.flippedBit !== undefined;
}

/**
 * Visits the items of a batch that are not its checkpoint; the payload of one that has any is
 * bytes[from, to).
 */
export function visitItems(
  bytes: Uint8Array,
  batch: FoundBatch,
  item: Item,
  visit: (item: Item, from: number, to: number) => void,
): void {
  let position = batch.payloadOffset;
  for (let i = batch.checkpointCount; i < batch.itemCount; i++) {
    item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
    const from = position;
    if (item.kind === ITEM.append || item.kind === ITEM.index) position += item.length;
    visit(item, from, position);
  }
}

/** The run of an append whose payload this is. */
export function appendedRun(item: Item, bytes: Uint8Array): EntryRun {
  const { entryKind: kind, term, index: firstIndex, extra: count } = item;
  return { kind, term, firstIndex, count, bytes };
}

/** The batch at `offset` by its first header, or undefined where that is not intact. */
export function readBatch(
  bytes: Uint8Array,
  place: SegmentPlace,
  offset: number,
): FoundBatch | undefined {
  return readHeader(bytes, place, offset, offset);
}

/** The batch that starts at `offset`, by the copy of its header at its end. */
export function readBatchByCopy(
  bytes: Uint8Array,
  place: SegmentPlace,
  offset: number,
): FoundBatch | undefined {
  for (let end = offset + BLOCK_SIZE_BYTES; end <= bytes.length; end += BLOCK_SIZE_BYTES) {
    if (readU32(bytes, end - 4) !== TRAILER_MAGIC) continue;
    const headerAt = end - TRAILER_SIZE_BYTES - readU32(bytes, end - 8);
    if (headerAt < offset) continue;
    const found = readHeader(bytes, place, headerAt, offset);
    if (found !== undefined && found.length === end - offset) return found;
  }
  return undefined;
}

/**
 * How far a trace of a batch in the block at `at` reaches, unchecked: the length that a header
 * says, a block for a trailer, 0 where there is neither. No batch is found but by one of them.
 */
export function traceLength(bytes: Uint8Array, place: SegmentPlace, at: number): number {
  if (isHeaderOf(bytes, place, at)) {
    return Math.max(BLOCK_SIZE_BYTES, readU32(bytes, at + 16));
  }
  const end = at + BLOCK_SIZE_BYTES;
  if (readU32(bytes, end - 4) !== TRAILER_MAGIC) return 0;
  const headerAt = end - TRAILER_SIZE_BYTES - readU32(bytes, end - 8);
  // The copy of a long header begins in an earlier block, which need not be in these bytes.
  const isOther = headerAt >= at && !isHeaderOf(bytes, place, headerAt);
  return isOther ? 0 : BLOCK_SIZE_BYTES;
}

function isHeaderOf(bytes: Uint8Array, place: SegmentPlace, at: number): boolean {
  return (
    readU32(bytes, at + 4) === HEADER_MAGIC &&
    readU32(bytes, at + 8) === place.storeTag &&
    readU32(bytes, at + 12) === place.number
  );
}

function readHeader(
  bytes: Uint8Array,
  place: SegmentPlace,
  headerAt: number,
  offset: number,
): FoundBatch | undefined {
  if (headerAt + HEADER_SIZE_BYTES > bytes.length) return undefined;
  if (!isHeaderOf(bytes, place, headerAt)) return undefined;
  const length = readU32(bytes, headerAt + 16);
  const itemCount = readU32(bytes, headerAt + 20);
  const headerLength = HEADER_SIZE_BYTES + itemCount * ITEM_SIZE_BYTES;
  if (headerLength > length || offset + length > bytes.length) return undefined;
  if (headerAt + headerLength > bytes.length) return undefined;
  const header = bytes.subarray(headerAt + 4, headerAt + headerLength);
  const base = place.base ?? 0;
  const checksum = placedChecksum(header, place.number, base + offset);
  if (checksum !== readU32(bytes, headerAt)) return undefined;
  const payloadOffset = offset + headerLength;
  const payloadLength = readU32(bytes, headerAt + 28);
  const payload = bytes.subarray(payloadOffset, payloadOffset + payloadLength);
  const state = checkPayload(payload, place.number, base + payloadOffset, bytes, headerAt + 32);
  return {
    offset,
    length,
    itemsOffset: headerAt + HEADER_SIZE_BYTES,
    itemCount,
    checkpointCount: readU32(bytes, headerAt + 24),
    payloadOffset,
    payloadLength,
    payloadIntact: state === "intact",
    flippedBit: typeof state === "string" ? undefined : payloadOffset * 8 + state.flippedBit,
    syncedOffset: readU32(bytes, headerAt + 40),
    previousEnd: readU32(bytes, headerAt + 44),
    carriesCheckpoint: readU32(bytes, headerAt + 48) !== 0,
  };
}
