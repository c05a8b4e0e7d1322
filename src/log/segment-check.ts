/**
 * Checks a sealed segment of a running log: every batch that was made durable must still be there,
 * entries included. It changes nothing; what is found is for the owner to act upon, who has the
 * entries in memory as long as the node runs.
 */
import type { Disk } from "../env/disk.js";
import { BLOCK_SIZE_BYTES } from "./batch-format.js";
import { CorruptionError } from "./corruption-error.js";
import { walkSegment } from "./segment-reader.js";

/** A segment that nothing is written to any more. Plain data: a worker is told of it. */
export interface SegmentCheck {
  readonly number: number;
  readonly path: string;
  readonly storeTag: number;
  /** Where its batches end. */
  readonly endOffset: number;
}

/** Throws CorruptionError at the first batch that is not what was written, were it one bit. */
export function checkSegment(disk: Disk, segment: SegmentCheck): void {
  const { path, endOffset } = segment;
  const fail = (offset: number): never => {
    throw new CorruptionError(path, offset, "a batch of the log fails its checksum");
  };
  const bytes = new Uint8Array(endOffset);
  const file = disk.open(path, { readOnly: true });
  try {
    const count = file.readSync(bytes, 0, endOffset, 0);
    if (count !== endOffset) fail(count - (count % BLOCK_SIZE_BYTES));
  } finally {
    file.close();
  }
  walkSegment(bytes, segment, endOffset, {
    batch: (batch) => {
      if (!batch.payloadIntact) fail(batch.offset);
    },
    lost: fail,
  });
}
