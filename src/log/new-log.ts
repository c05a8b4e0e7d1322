/**
 * The log of a store that was made whole, out of tables: nobody has written to it. It has a first
 * segment all the same, so that a store with trees and no segment has lost its log.
 */
import type { Disk } from "../env/disk.js";
import { BLOCK_SIZE_BYTES } from "./batch-format.js";
import { encodeSegmentHeader, segmentName } from "./segment-format.js";

/** Durable when it returns, apart from the name of the directory. */
export function createLog(disk: Disk, directory: string, storeId: string): void {
  disk.makeDirectory(directory);
  const first = 1;
  const file = disk.open(`${directory}/${segmentName(first)}`, { create: true, dataSync: true });
  file.writeSync(encodeSegmentHeader(first, storeId), 0, BLOCK_SIZE_BYTES, 0);
  file.close();
  disk.syncDirectory(directory);
}
