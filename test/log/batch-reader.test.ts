/** Batches read back: each part of the log once, and no more memory than a few parts. */
import { expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { BatchReader } from "../../src/log/batch-reader.js";
import { SEGMENT_START, storeTagOf } from "../../src/log/segment-format.js";
import { commitNow, DIRECTORY, entries, openLog, settle, STORE_ID } from "./support.js";

const MIB = 1024 * 1024;
const LARGE = { segmentSizeBytes: 16 * MIB, firstSegmentSizeBytes: 16 * MIB };
const BATCHES = 3000;

/** A log whose first segment has many batches of one block, and a reader of it. */
function readerOfBlocks(): BatchReader {
  const disk = new MemoryDisk({ completion: "manual" });
  const opened = openLog(disk, LARGE);
  for (let index = 1; index <= BATCHES; index++) {
    opened.log.append(1, 1, entries(1, index, 1, 1, 3000));
    commitNow(opened);
  }
  settle(opened);
  return new BatchReader(disk, DIRECTORY, storeTagOf(STORE_ID));
}

function read(reader: BatchReader, block: number): number {
  const batch = reader.read(1, SEGMENT_START + block * 4096);
  expect(batch?.sizeBytes).toBe(4096);
  return batch!.appendsOf(1).length;
}

test("neighbours come with one read, and are kept for whoever asks next", () => {
  const reader = readerOfBlocks();
  for (let round = 0; round < 10; round++) {
    for (let block = 1; block < 1000; block++) expect(read(reader, block)).toBe(1);
  }
  expect(reader.loadedBytes).toBeLessThanOrEqual(4 * MIB);
});

test("what is asked for here and there does not stay in memory", () => {
  const reader = readerOfBlocks();
  for (let i = 0; i < BATCHES; i++) read(reader, 1 + ((i * 1001) % (BATCHES - 1)));
  expect(reader.loadedBytes).toBeGreaterThan(40 * MIB);
  expect(reader.keptBytes).toBeLessThanOrEqual(4 * MIB);
});
