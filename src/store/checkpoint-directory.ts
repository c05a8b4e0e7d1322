/**
 * Writes pinned trees as a store of its own: hard links to their tables, a new manifest, a new
 * identity, no log. The identity comes last, so that a copy which was cut short is no store.
 */
import type { KeyRange } from "../base/key-range.js";
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { Manifest } from "../lsm/manifest.js";
import type { TableFile } from "../lsm/slice.js";
import { pathOfTable } from "../lsm/table-set.js";
import type { TableSet } from "../lsm/table-set.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { writeIdentity } from "./identity.js";
import type { TreeCheckpoint } from "./tree-checkpoint.js";

export interface PinnedTree {
  readonly shardId: number;
  readonly range: KeyRange;
  readonly checkpoint: TreeCheckpoint;
}

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
  const linker = new Linker(disk, tables, copies);
  const edit: EditOperation[] = [];
  for (const { shardId, range, checkpoint } of trees) {
    edit.push({ kind: "createTree", shardId, range, flushed: checkpoint.state });
    for (const { file, slices } of checkpoint.files) {
      edit.push(...linker.take(file));
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

/** Links the files of tables, each once. */
class Linker {
  readonly #disk: Disk;
  readonly #tables: TableSet;
  readonly #copies: string;
  /** Numbers of tables and packs. */
  readonly #taken: Set<number> = new Set();

  constructor(disk: Disk, tables: TableSet, copies: string) {
    this.#disk = disk;
    this.#tables = tables;
    this.#copies = copies;
  }

  /** The table's file is there: what makes it known. */
  take(file: TableFile): EditOperation[] {
    const { fileNumber, home } = file;
    if (this.#taken.has(fileNumber)) return [];
    this.#taken.add(fileNumber);
    const edit: EditOperation[] = [{ kind: "addFile", file }];
    if (home !== undefined) {
      if (this.#taken.has(home.packNumber)) return edit;
      this.#taken.add(home.packNumber);
      edit.unshift({ kind: "addPack", pack: this.#tables.pack(home.packNumber) });
    }
    const from = pathOfTable(this.#tables.directory, file);
    this.#disk.link(from, pathOfTable(this.#copies, file));
    return edit;
  }
}

function requireEmpty(disk: Disk, directory: string): void {
  if (disk.exists(directory) && disk.list(directory).length > 0) {
    throw new DiskError("exists", directory);
  }
}
