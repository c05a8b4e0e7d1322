/** Small text files that are replaced whole: written aside, synced, renamed, directory synced. */
import { utf8, utf8Text } from "../base/bytes.js";
import type { Disk } from "../env/disk.js";

export function readTextFile(disk: Disk, path: string): string {
  const file = disk.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(file.sizeBytes());
    const length = file.readSync(bytes, 0, bytes.length, 0);
    return utf8Text(bytes.subarray(0, length));
  } finally {
    file.close();
  }
}

export function writeTextFile(disk: Disk, directory: string, name: string, text: string): void {
  const aside = `${directory}/${name}.new`;
  const bytes = utf8(text);
  const file = disk.open(aside, { create: true });
  try {
    file.truncateSync(0);
    file.writeSync(bytes, 0, bytes.length, 0);
    file.syncSync();
  } finally {
    file.close();
  }
  disk.rename(aside, `${directory}/${name}`);
  disk.syncDirectory(directory);
}
