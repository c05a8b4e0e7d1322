/** Copies a table as it was written: every byte is checked before the copy has its name. */
import { crc32 } from "../base/checksum.js";
import { PIECE_SIZE_BYTES, removeQuietly, UNSYNCED_BYTES_MAX } from "../env/disk.js";
import type { Disk, DiskFile } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";

export interface TableCopy {
  readonly from: string;
  /** Where in it the table begins. */
  readonly offset: number;
  readonly to: string;
  readonly draft: string;
  readonly sizeBytes: number;
  readonly checksum: number;
}

/**
 * The content is durable then, the name is not: the directory is the caller's to sync. Throws
 * CorruptionError where the bytes are others, twice in a row; no copy is left.
 */
export function copyTable(disk: Disk, copy: TableCopy): void {
  const source = disk.open(copy.from, { readOnly: true });
  try {
    const draft = disk.open(copy.draft, { create: true });
    let isWhole = false;
    try {
      draft.truncateSync(0);
      isWhole = pour(source, draft, copy) || pour(source, draft, copy);
    } finally {
      draft.close();
      if (!isWhole) removeQuietly(disk, copy.draft);
    }
    if (!isWhole) throw new CorruptionError(copy.from, 0, "the file is not what was written");
    disk.rename(copy.draft, copy.to);
  } finally {
    source.close();
  }
}

/** Whether what was read is what is described; it is durable then. */
function pour(source: DiskFile, target: DiskFile, copy: TableCopy): boolean {
  const { offset, sizeBytes, checksum } = copy;
  const chunk = new Uint8Array(Math.min(PIECE_SIZE_BYTES, sizeBytes));
  let sum = 0;
  for (let at = 0; at < sizeBytes; at += chunk.length) {
    const length = Math.min(chunk.length, sizeBytes - at);
    if (source.readSync(chunk, 0, length, offset + at) !== length) return false;
    sum = crc32(chunk.subarray(0, length), sum);
    target.writeSync(chunk, 0, length, at);
    if ((at + length) % UNSYNCED_BYTES_MAX === 0) target.syncSync();
  }
  if (sum !== checksum) return false;
  target.syncSync();
  return true;
}
