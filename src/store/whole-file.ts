/** Reads a file as it is, whole: of a store that nobody has open, or of a backup. */
import type { Disk } from "../env/disk.js";

export function readWhole(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(file.sizeBytes());
    return bytes.subarray(0, file.readSync(bytes, 0, bytes.length, 0));
  } finally {
    file.close();
  }
}
