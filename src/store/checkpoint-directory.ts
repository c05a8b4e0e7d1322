/** Writes pinned trees as a store of its own: hard links to their tables, and no log. */
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { pathOfTable } from "../lsm/table-set.js";
import type { TableSet } from "../lsm/table-set.js";
import { editOf, filesIn, writeStore } from "./checkpoint-edit.js";
import type { PinnedTree } from "./checkpoint-edit.js";

/**
 * `tables` has the tables of the trees. Throws DiskError "exists", before anything is
 * changed, unless `directory` is empty or not there yet: what is in it may be a store.
 */
export function writeCheckpoint(
  env: Env,
  tables: TableSet,
  directory: string,
  trees: readonly PinnedTree[],
): void {
  const { disk } = env;
  requireEmpty(disk, directory);
  const copies = `${directory}/tables`;
  disk.makeDirectory(copies);
  const edit = editOf(tables, trees);
  const linked = new Set<string>();
  for (const file of filesIn(edit)) {
    const to = pathOfTable(copies, file);
    // Many tables may lie in one pack.
    if (!linked.has(to)) disk.link(pathOfTable(tables.directory, file), to);
    linked.add(to);
  }
  writeStore(env, directory, edit);
}

export function requireEmpty(disk: Disk, directory: string): void {
  if (disk.exists(directory) && disk.list(directory).length > 0) {
    throw new DiskError("exists", directory);
  }
}
