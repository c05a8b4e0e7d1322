/**
 * Writes pinned trees as a store of its own: hard links to their tables, a new manifest, a new
 * identity, no log. The identity comes last, so that a copy which was cut short is no store.
 */
import type { KeyRange } from "../base/key-range.js";
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { Manifest } from "../lsm/manifest.js";
import { tablePath } from "../lsm/table-set.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { writeIdentity } from "./identity.js";
import type { TreeCheckpoint } from "./tree-checkpoint.js";

export interface PinnedTree {
  readonly shardId: number;
  readonly range: KeyRange;
  readonly checkpoint: TreeCheckpoint;
}

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
  const linked = new Set<number>();
  const edit: EditOperation[] = [];
  for (const { shardId, range, checkpoint } of trees) {
    edit.push({ kind: "createTree", shardId, range, flushed: checkpoint.state });
    for (const { file, slices } of checkpoint.files) {
      const { fileNumber } = file;
      if (!linked.has(fileNumber)) {
        linked.add(fileNumber);
        disk.link(tablePath(tables, fileNumber), tablePath(copies, fileNumber));
        edit.push({ kind: "addFile", file });
      }
      for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    }
  }
  disk.syncDirectory(copies);
  const storeId = env.random.uniqueId();
  Manifest.create(disk, directory, storeId);
  const manifest = Manifest.open(disk, directory);
  manifest.append(edit);
  manifest.close();
  writeIdentity(disk, directory, storeId);
}

function requireEmpty(disk: Disk, directory: string): void {
  if (disk.exists(directory) && disk.list(directory).length > 0) {
    throw new DiskError("exists", directory);
  }
}
