/** Writes pinned trees as a store of its own: hard links to their tables, and no log. */
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { tablePath } from "../lsm/table-set.js";
import { editOf, filesIn, writeStore } from "./checkpoint-edit.js";
import type { PinnedTree } from "./checkpoint-edit.js";

/**
 * `tables` is where the tables of the trees are now. Throws DiskError "exists", before anything is
 * changed, unless `directory` is empty or not there yet: what is in it may be a store.
 */
export function writeCheckpoint(
  env: Env,
  tables: string,
  directory: string,
  trees: readonly PinnedTree[],
): void {
  const { disk } = env;
  requireEmpty(disk, directory);
  const copies = `${directory}/tables`;
  disk.makeDirectory(copies);
  const edit = editOf(trees);
  for (const { fileNumber } of filesIn(edit)) {
    disk.link(tablePath(tables, fileNumber), tablePath(copies, fileNumber));
  }
  writeStore(env, directory, edit);
}

export function requireEmpty(disk: Disk, directory: string): void {
  if (disk.exists(directory) && disk.list(directory).length > 0) {
    throw new DiskError("exists", directory);
  }
}
