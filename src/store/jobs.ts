/**
 * The jobs of a store and the one function that runs them, in a worker or inline. A failure is
 * part of the result, because an error does not cross threads as what it was.
 */
import { DecodeError } from "../base/coding.js";
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { CompactionPlan, TableTarget } from "../lsm/compaction.js";
import { compactTables, flushMemtable } from "../lsm/compaction.js";
import type { MemtableImage } from "../lsm/memtable.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";

export type StoreJob =
  | {
      readonly kind: "flush";
      readonly target: TableTarget;
      readonly image: MemtableImage;
      readonly horizon: number;
    }
  | { readonly kind: "compact"; readonly target: TableTarget; readonly plan: CompactionPlan }
  /** Deleting a large file holds up whoever does it for milliseconds. */
  | { readonly kind: "remove"; readonly path: string };

export type StoreJobResult =
  /** Without a table where nothing was left, and for other jobs. */
  | { readonly kind: "written"; readonly table: WrittenTable | undefined }
  | { readonly kind: "noSpace" }
  | {
      readonly kind: "corrupt";
      readonly path: string;
      readonly offset: number;
      readonly message: string;
    }
  | { readonly kind: "failed"; readonly message: string };

export function runStoreJob(disk: Disk, job: StoreJob): StoreJobResult {
  try {
    return { kind: "written", table: runKind(disk, job) };
  } catch (error) {
    if (error instanceof DiskError) {
      if (error.code === "noSpace") return { kind: "noSpace" };
      return { kind: "failed", message: error.message };
    }
    if (error instanceof CorruptionError) {
      return { kind: "corrupt", path: error.path, offset: error.offset, message: error.message };
    }
    if (error instanceof DecodeError) {
      return { kind: "corrupt", path: pathOf(job), offset: 0, message: error.message };
    }
    throw error;
  }
}

function runKind(disk: Disk, job: StoreJob): WrittenTable | undefined {
  switch (job.kind) {
    case "flush":
      return flushMemtable(disk, job.target, job.image, job.horizon);
    case "compact":
      return compactTables(disk, job.target, job.plan);
    case "remove":
      disk.remove(job.path);
      return undefined;
  }
}

/** Where a job works, as far as it is known without its error. */
function pathOf(job: StoreJob): string {
  return job.kind === "remove" ? job.path : job.target.directory;
}
