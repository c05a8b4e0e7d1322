/**
 * Walks the batches of one segment and tells a torn end from corruption. Writes never overlap: a
 * batch says below which offset all bytes were durable before it was begun. So whatever is bad
 * below such a promise, or below the end that the next segment states, was durable and has rotted;
 * bad bytes that nothing later speaks for are a write that was cut short. A batch of whose payload
 * one bit has flipped is neither: it is passed as whole, and says which bit. The walk never changes
 * anything.
 */
import { finish } from "../base/steps.js";
import type { Steps } from "../base/steps.js";
import { BLOCK_SIZE_BYTES, isWhole, readBatch, readBatchByCopy } from "./batch-format.js";
import type { FoundBatch, SegmentPlace } from "./batch-format.js";
import { SEGMENT_START } from "./segment-format.js";

/** To check and to copy so much takes about a millisecond. */
const STEP_SIZE_BYTES = 1024 * 1024;

export interface SegmentVisitor {
  /** A batch whose header is intact; `payloadIntact` and `flippedBit` say what its entries are. */
  batch(batch: FoundBatch): void;
  /** Bytes in [from, end) held batches of which nothing is left. */
  lost(from: number, end: number): void;
}

/**
 * Visits the batches of a segment in order, from `start` on; returns where they end. `statedEnd` is
 * what the next segment says about that, undefined where there is no next one.
 */
export function walkSegment(
  bytes: Uint8Array,
  place: SegmentPlace,
  statedEnd: number | undefined,
  visitor: SegmentVisitor,
  start: number = SEGMENT_START,
): number {
  return finish(walkingSegment(bytes, place, statedEnd, visitor, start));
}

/** The same in steps of about a mebibyte, if no batch is larger. */
export function* walkingSegment(
  bytes: Uint8Array,
  place: SegmentPlace,
  statedEnd: number | undefined,
  visitor: SegmentVisitor,
  start: number = SEGMENT_START,
): Steps<number> {
  const limit = statedEnd ?? bytes.length;
  let offset = start;
  let stepEnd = offset + STEP_SIZE_BYTES;
  while (offset < limit) {
    if (offset >= stepEnd) {
      yield;
      stepEnd = offset + STEP_SIZE_BYTES;
    }
    const batch = readBatch(bytes, place, offset) ?? readBatchByCopy(bytes, place, offset);
    if (batch !== undefined && isWhole(batch)) {
      visitor.batch(batch);
      offset += batch.length;
      continue;
    }
    const next = nextBatch(bytes, place, offset + (batch?.length ?? BLOCK_SIZE_BYTES), limit);
    if (next === undefined && statedEnd === undefined) return offset;
    offset = passBad(offset, batch, next, { place, limit, visitor });
  }
  return offset;
}

interface Walk {
  readonly place: SegmentPlace;
  readonly limit: number;
  readonly visitor: SegmentVisitor;
}

/** Goes past what is bad at `offset` although something later speaks of it. */
function passBad(
  offset: number,
  batch: FoundBatch | undefined,
  next: FoundBatch | undefined,
  { place, limit, visitor }: Walk,
): number {
  const inSegment = (place.base ?? 0) + offset;
  // A start went on in this segment: what may have lain here was written again in `next`.
  if (next !== undefined && next.syncedOffset <= inSegment) return next.offset;
  if (batch !== undefined) {
    visitor.batch(batch);
    return offset + batch.length;
  }
  const end = next?.offset ?? limit;
  visitor.lost(offset, end);
  return end;
}

/** Passes batches that are what was written, to the bit, from the first byte; returns their end. */
export function passIntact(bytes: Uint8Array, place: SegmentPlace): number {
  let offset = 0;
  for (;;) {
    const batch = readBatch(bytes, place, offset);
    if (batch?.payloadIntact !== true) return offset;
    offset += batch.length;
  }
}

/** Whether any batch of the segment is left: if not, it was never more than prepared. */
export function holdsBatches(bytes: Uint8Array, place: SegmentPlace): boolean {
  const first =
    readBatch(bytes, place, SEGMENT_START) ?? readBatchByCopy(bytes, place, SEGMENT_START);
  if (first !== undefined && isWhole(first)) return true;
  return nextBatch(bytes, place, SEGMENT_START + BLOCK_SIZE_BYTES, bytes.length) !== undefined;
}

/** The first batch with an intact header that starts at or after `from`. */
function nextBatch(
  bytes: Uint8Array,
  place: SegmentPlace,
  from: number,
  limit: number,
): FoundBatch | undefined {
  for (let offset = from; offset < limit; offset += BLOCK_SIZE_BYTES) {
    const batch = readBatch(bytes, place, offset);
    if (batch !== undefined) return batch;
  }
  return undefined;
}
