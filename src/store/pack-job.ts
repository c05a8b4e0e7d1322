/**
 * Writes small tables of many trees into one pack: one file, one sync. Each member stands for
 * itself: an input that is damaged ends the member that reads it, and the others go on.
 */
import { DecodeError } from "../base/coding.js";
import { crc32 } from "../base/checksum.js";
import type { Disk } from "../env/disk.js";
import { removeQuietly } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { CompactionPlan } from "../lsm/compaction.js";
import { INPUTS_OPEN_MAX, packMemtable, packMerge } from "../lsm/compaction.js";
import type { MemtableImage } from "../lsm/memtable.js";
import { OpenFiles, TableReader } from "../lsm/open-files.js";
import { PackWriter } from "../lsm/pack-writer.js";
import { readTwice } from "../lsm/read-twice.js";
import type { Pack, TableFile } from "../lsm/slice.js";
import type { TableTarget, WrittenTable } from "../lsm/sstable-writer.js";
import { packPath, pathOfTable } from "../lsm/table-set.js";

export interface PackTarget {
  readonly directory: string;
  readonly packNumber: number;
}

/** What becomes one table of the pack. */
export type PackMember =
  | {
      readonly kind: "memtable";
      readonly target: TableTarget;
      readonly image: MemtableImage;
      readonly horizon: number;
    }
  | { readonly kind: "merge"; readonly target: TableTarget; readonly plan: CompactionPlan }
  /** A table as it is, out of another pack or a file of its own. */
  | { readonly kind: "copy"; readonly target: TableTarget; readonly file: TableFile };

export type PackedMember =
  | { readonly kind: "table"; readonly table: WrittenTable }
  /** The filter left nothing of it. */
  | { readonly kind: "nothing" }
  | {
      readonly kind: "corrupt";
      readonly path: string;
      readonly offset: number;
      readonly message: string;
    };

export interface PackJob {
  readonly kind: "pack";
  readonly target: PackTarget;
  readonly members: readonly PackMember[];
}

export interface PackJobResult {
  readonly kind: "packed";
  /** Undefined where no member has left a table: there is no file then. */
  readonly pack: Pack | undefined;
  /** In the order of the members. */
  readonly members: readonly PackedMember[];
}

export const ROTTEN = "a table is not what was written";

export function runPackJob(disk: Disk, { target, members }: PackJob): PackJobResult {
  const path = packPath(target.directory, target.packNumber);
  const inputs = new OpenFiles(disk, INPUTS_OPEN_MAX);
  const file = disk.open(path, { create: true });
  let pack: Pack | undefined = undefined;
  try {
    const writer = new PackWriter(file, target.packNumber);
    const packed = members.map((member) => runMember(writer, inputs, member));
    pack = writer.finish();
    if (pack !== undefined) disk.syncDirectory(target.directory);
    return { kind: "packed", pack, members: packed };
  } finally {
    inputs.closeAll();
    file.close();
    if (pack === undefined) removeQuietly(disk, path);
  }
}

function runMember(writer: PackWriter, inputs: OpenFiles, member: PackMember): PackedMember {
  try {
    const table = write(writer, inputs, member);
    return table === undefined ? { kind: "nothing" } : { kind: "table", table };
  } catch (error) {
    if (error instanceof CorruptionError) {
      return { kind: "corrupt", path: error.path, offset: error.offset, message: error.detail };
    }
    if (error instanceof DecodeError) {
      return { kind: "corrupt", path: member.target.directory, offset: 0, message: error.message };
    }
    throw error;
  }
}

function write(
  writer: PackWriter,
  inputs: OpenFiles,
  member: PackMember,
): WrittenTable | undefined {
  const { target } = member;
  switch (member.kind) {
    case "memtable":
      return packMemtable(writer, target, member.image, member.horizon);
    case "merge":
      return packMerge(writer, inputs, target, member.plan);
    case "copy": {
      const { file } = member;
      const bytes = tableBytes(inputs, pathOfTable(target.directory, file), file);
      const copy = writer.copy({ ...file, fileNumber: target.fileNumber }, bytes);
      return { file: copy, sections: [] };
    }
  }
}

/** Those of the tables in a file that are not what was written. */
export function rottenTables(
  disk: Disk,
  path: string,
  tables: readonly TableFile[],
): readonly number[] {
  const files = new OpenFiles(disk, 1);
  try {
    const rotten = tables.filter((file) => isRotten(files, path, file));
    return rotten.map(({ fileNumber }) => fileNumber);
  } finally {
    files.closeAll();
  }
}

function isRotten(files: OpenFiles, path: string, file: TableFile): boolean {
  try {
    tableBytes(files, path, file);
    return false;
  } catch (error) {
    if (error instanceof CorruptionError) return true;
    throw error;
  }
}

function tableBytes(files: OpenFiles, path: string, file: TableFile): Uint8Array {
  const start = file.home?.offset ?? 0;
  return readTwice(path, start, () => {
    const bytes = new Uint8Array(file.sizeBytes);
    const count = new TableReader(files, path, file).readSync(bytes, 0, bytes.length, 0);
    if (count !== bytes.length || crc32(bytes) !== file.checksum) {
      throw new CorruptionError(path, start, ROTTEN);
    }
    return bytes;
  });
}
