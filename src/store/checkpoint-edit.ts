/** Pinned trees as a store of their own would have them: what its manifest says, and its tables. */
import type { KeyRange } from "../base/key-range.js";
import type { Env } from "../env/env.js";
import { createLog } from "../log/new-log.js";
import { Manifest } from "../lsm/manifest.js";
import type { TableFile } from "../lsm/slice.js";
import type { TableSet } from "../lsm/table-set.js";
import type { EditOperation, VersionEdit } from "../lsm/version-edit.js";
import { writeIdentity } from "./identity.js";
import type { TreeCheckpoint } from "./tree-checkpoint.js";

export interface PinnedTree {
  readonly shardId: number;
  readonly range: KeyRange;
  readonly checkpoint: TreeCheckpoint;
}

/** `tables` has the tables of the trees. */
export function editOf(tables: TableSet, trees: readonly PinnedTree[]): VersionEdit {
  /** Numbers of tables and packs. */
  const added = new Set<number>();
  const edit: EditOperation[] = [];
  for (const { shardId, range, checkpoint } of trees) {
    edit.push({ kind: "createTree", shardId, range, flushed: checkpoint.state });
    for (const { file, slices } of checkpoint.files) {
      const pack = file.home?.packNumber;
      if (pack !== undefined && !added.has(pack)) {
        edit.push({ kind: "addPack", pack: tables.pack(pack) });
        added.add(pack);
      }
      // Two trees may have parts of one table.
      if (!added.has(file.fileNumber)) edit.push({ kind: "addFile", file });
      added.add(file.fileNumber);
      for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    }
  }
  return edit;
}

export function filesIn(edit: VersionEdit): readonly TableFile[] {
  return edit.flatMap((operation) => (operation.kind === "addFile" ? [operation.file] : []));
}

/** What of an edit makes some of its trees. */
export function editOfTrees(edit: VersionEdit, shardIds: ReadonlySet<number>): VersionEdit {
  const used = new Set<number>();
  for (const operation of edit) {
    if (operation.kind !== "addSlice" || !shardIds.has(operation.shardId)) continue;
    used.add(operation.slice.fileNumber);
  }
  return edit.filter((operation) => {
    if (operation.kind === "addFile") return used.has(operation.file.fileNumber);
    return "shardId" in operation && shardIds.has(operation.shardId);
  });
}

/** The same where each table is a file of its own. */
export function withoutPacks(edit: VersionEdit): VersionEdit {
  return edit.flatMap((operation): EditOperation[] => {
    if (operation.kind === "addPack") return [];
    if (operation.kind !== "addFile") return [operation];
    return [{ kind: "addFile", file: { ...operation.file, home: undefined } }];
  });
}

/**
 * Makes a store of a directory that has the tables of the edit, durably. The identity comes last,
 * so that one which was cut short is no store.
 */
export function writeStore(env: Env, directory: string, edit: VersionEdit): void {
  const { disk } = env;
  disk.syncDirectory(`${directory}/tables`);
  const storeId = env.random.uniqueId();
  createLog(disk, `${directory}/log`, storeId);
  Manifest.create(disk, directory, storeId);
  const manifest = Manifest.open(disk, directory);
  manifest.append(edit);
  manifest.close();
  writeIdentity(disk, directory, storeId);
}
