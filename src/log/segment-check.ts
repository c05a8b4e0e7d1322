/**
 * Checks a sealed segment of a running log: every batch that was made durable must still be there,
 * entries included. It changes nothing; what is found is for the owner to act upon, who has
 * applied the entries or still has them, as long as the node runs.
 */
import type { Disk, DiskFile } from "../env/disk.js";
import { BLOCK_SIZE_BYTES } from "./batch-format.js";
import type { FoundBatch, SegmentPlace } from "./batch-format.js";
import { CorruptionError } from "./corruption-error.js";
import { passIntact, walkSegment } from "./segment-reader.js";

/** A segment that nothing is written to any more. Plain data: a worker is told of it. */
export interface SegmentCheck {
  readonly number: number;
  readonly path: string;
  readonly storeTag: number;
  /** Where its batches end. */
  readonly endOffset: number;
}

/**
 * Checks the batches from `from` on, SEGMENT_START at first, of about `sizeBytes`; returns where
 * the next step begins, at last `endOffset`. Throws CorruptionError at the first batch that is not
 * what was written, were it one bit.
 */
export function checkSegment(
  disk: Disk,
  segment: SegmentCheck,
  from: number,
  sizeBytes: number,
): number {
  const file = disk.open(segment.path, { readOnly: true });
  try {
    for (let length = sizeBytes; ; length *= 2) {
      const end = Math.min(from + length, segment.endOffset);
      const passed = checkPart(file, segment, from, end);
      if (passed > from) return passed;
    }
  } finally {
    file.close();
  }
}

/** Returns how far all is sound; what is left of the part may be cut off by its end. */
function checkPart(file: DiskFile, segment: SegmentCheck, from: number, end: number): number {
  const bytes = readPart(file, segment, from, end);
  const place = { ...segment, base: from };
  const passed = from + passIntact(bytes, place);
  if (end < segment.endOffset) return passed;
  if (passed < end) judge(bytes, place, segment.path);
  return end;
}

function readPart(file: DiskFile, { path }: SegmentCheck, from: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - from);
  const count = file.readSync(bytes, 0, bytes.length, from);
  if (count !== bytes.length) throw rotten(path, from + count - (count % BLOCK_SIZE_BYTES));
  return bytes;
}

/** Not all is intact up to the end of the segment: that may be as it should be. */
function judge(
  bytes: Uint8Array,
  place: SegmentPlace & { readonly base: number },
  path: string,
): void {
  const fail = (offset: number): never => {
    throw rotten(path, place.base + offset);
  };
  const visitor = {
    batch: (batch: FoundBatch): void => {
      if (!batch.payloadIntact) fail(batch.offset);
    },
    lost: fail,
  };
  walkSegment(bytes, place, bytes.length, visitor, 0);
}

function rotten(path: string, offset: number): CorruptionError {
  return new CorruptionError(path, offset, "a batch of the log fails its checksum");
}
