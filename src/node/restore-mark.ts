/**
 * Whether a data directory is only half restored. The mark is durable before anything else of the
 * restore is, and goes last; a node does not start on a directory that has it.
 */
import type { Disk } from "../env/disk.js";
import { notApplied } from "../protocol/errors.js";

const FILE = "restore-unfinished";

export function isRestoreUnfinished(disk: Disk, directory: string): boolean {
  return disk.exists(directory) && disk.list(directory).includes(FILE);
}

export function noteRestore(disk: Disk, directory: string): void {
  disk.open(`${directory}/${FILE}`, { create: true }).close();
  disk.syncDirectory(directory);
}

export function endRestore(disk: Disk, directory: string): void {
  disk.remove(`${directory}/${FILE}`);
  disk.syncDirectory(directory);
}

/** Removes what a restore that was cut short has left, but for the mark. */
export function clearRestore(disk: Disk, directory: string): void {
  const store = `${directory}/store`;
  for (const place of [`${store}/tables`, `${store}/log`, store]) {
    if (!disk.exists(place)) continue;
    for (const name of disk.list(place)) {
      if (place !== store || !["tables", "log"].includes(name)) disk.remove(`${place}/${name}`);
    }
    disk.syncDirectory(place);
  }
  for (const name of disk.list(directory)) {
    if (name !== "store" && name !== FILE) disk.remove(`${directory}/${name}`);
  }
  disk.syncDirectory(directory);
}

/** Throws KvError where a restore into this directory has not come to its end. */
export function requireRestored(disk: Disk, directory: string): void {
  if (!isRestoreUnfinished(disk, directory)) return;
  const text = `a restore into ${directory} was cut short: run it again, and start the node then`;
  throw notApplied("invalidArgument", text);
}
