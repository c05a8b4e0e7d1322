/**
 * The jobs of a store and the one function that runs them, in a worker or inline. A failure is
 * part of the result, because an error does not cross threads as what it was.
 */
import { must } from "../base/assert.js";
import { crc32 } from "../base/checksum.js";
import { DecodeError } from "../base/coding.js";
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { checkSegment } from "../log/segment-check.js";
import type { SegmentCheck } from "../log/segment-check.js";
import type { CompactionPlan } from "../lsm/compaction.js";
import { compactTables, flushMemtable } from "../lsm/compaction.js";
import type { MemtableImage } from "../lsm/memtable.js";
import type { JobFailure } from "./job-failure.js";
import type { PackJob, PackJobResult } from "./pack-job.js";
import { rottenTables, runPackJob } from "./pack-job.js";
import { readTwice } from "../lsm/read-twice.js";
import type { TableFile } from "../lsm/slice.js";
import type { SectionInfo } from "../lsm/sstable-format.js";
import type { TableTarget, WrittenTable } from "../lsm/sstable-writer.js";
import { surveyTable } from "../lsm/table-survey.js";
import { copyTable } from "./table-copy.js";
import type { TableCopy } from "./table-copy.js";

export type StoreJob = FileJob | PackJob;

/** Jobs on files of a single table each. */
export type FileJob =
  | {
      readonly kind: "flush";
      readonly target: TableTarget;
      readonly image: MemtableImage;
      readonly horizon: number;
    }
  | {
      readonly kind: "compact";
      readonly targets: readonly TableTarget[];
      readonly plan: CompactionPlan;
    }
  | CopyJob
  /** Deleting a large file holds up whoever does it for milliseconds. */
  | { readonly kind: "remove"; readonly path: string };

/** Copies a table whose bytes must be those described; written as `draft`, then renamed. */
export interface CopyJob extends TableCopy {
  readonly kind: "copyTable";
}

/** Jobs that only look. */
export type CheckJob =
  /** Adds bytes [offset, offset + length) of a file to the checksum of those before. */
  | {
      readonly kind: "checkTable";
      readonly path: string;
      readonly offset: number;
      readonly length: number;
      readonly checksum: number;
    }
  /** Compares tables of one pack with their checksums. */
  | {
      readonly kind: "checkPacked";
      readonly path: string;
      readonly tables: readonly TableFile[];
    }
  /** Checks a part of a segment, of about so many bytes. */
  | {
      readonly kind: "checkSegment";
      readonly segment: SegmentCheck;
      readonly from: number;
      readonly sizeBytes: number;
    }
  /** Looks at all of a table that was built elsewhere, and makes it durable. */
  | { readonly kind: "examineTable"; readonly path: string };

/** A job as a worker gets it: with what the store's pace shares, if a store wants it done. */
export type Paced<Job> = Job & { readonly pace?: SharedArrayBuffer | undefined };

export type FileJobResult =
  /** No tables where nothing was left, and for other jobs; at most one for a flush. */
  { readonly kind: "written"; readonly tables: readonly WrittenTable[] } | JobFailure;

export type StoreJobResult = FileJobResult | PackJobResult;

/** A table that is sound, with the number 0 as long as it has none. */
export interface ExaminedTable {
  readonly kind: "examined";
  readonly file: TableFile;
  readonly sections: readonly SectionInfo[];
}

export type CheckResult =
  | { readonly kind: "checked"; readonly checksum: number }
  | { readonly kind: "checkedSegment"; readonly next: number }
  /** Numbers of tables that are not what was written, twice in a row. */
  | { readonly kind: "checkedPacked"; readonly rotten: readonly number[] }
  | ExaminedTable
  | JobFailure;

export function runStoreJob(disk: Disk, job: StoreJob | CheckJob): StoreJobResult | CheckResult {
  try {
    return runKind(disk, job);
  } catch (error) {
    if (error instanceof DiskError) {
      if (error.code === "noSpace") return { kind: "noSpace" };
      return { kind: "failed", message: error.message };
    }
    if (error instanceof CorruptionError) {
      return { kind: "corrupt", path: error.path, offset: error.offset, message: error.detail };
    }
    if (error instanceof DecodeError) {
      return { kind: "corrupt", path: pathOf(job), offset: 0, message: error.message };
    }
    throw error;
  }
}

function runKind(disk: Disk, job: StoreJob | CheckJob): StoreJobResult | CheckResult {
  switch (job.kind) {
    case "flush":
      return { kind: "written", tables: flushed(disk, job) };
    case "compact":
      return { kind: "written", tables: compactTables(disk, job.targets, job.plan) };
    case "copyTable":
      copyTable(disk, job);
      return { kind: "written", tables: [] };
    case "pack":
      return runPackJob(disk, job);
    case "remove":
      disk.remove(job.path);
      return { kind: "written", tables: [] };
    case "checkTable":
      return {
        kind: "checked",
        checksum: readTwice(job.path, job.offset, () => checksumOf(disk, job)),
      };
    case "checkPacked":
      return { kind: "checkedPacked", rotten: rottenTables(disk, job.path, job.tables) };
    case "checkSegment":
      return { kind: "checkedSegment", next: checkedSegment(disk, job) };
    case "examineTable":
      return examined(disk, job.path);
  }
}

function checkedSegment(
  disk: Disk,
  job: Extract<CheckJob, { readonly kind: "checkSegment" }>,
): number {
  const { segment, from, sizeBytes } = job;
  return readTwice(segment.path, from, () => checkSegment(disk, segment, from, sizeBytes));
}

function flushed(disk: Disk, job: Extract<StoreJob, { readonly kind: "flush" }>): WrittenTable[] {
  const table = flushMemtable(disk, job.target, job.image, job.horizon);
  return table === undefined ? [] : [table];
}

function examined(disk: Disk, path: string): ExaminedTable {
  const handle = disk.open(path, {});
  try {
    handle.syncSync();
  } finally {
    handle.close();
  }
  const { file, sections, findings } = surveyTable(disk, path);
  const [finding] = findings;
  if (finding !== undefined) throw new CorruptionError(path, finding.offset, finding.what);
  return { kind: "examined", file: must(file), sections };
}

function checksumOf(disk: Disk, job: Extract<CheckJob, { readonly kind: "checkTable" }>): number {
  const { path, offset, length, checksum } = job;
  const file = disk.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(length);
    if (file.readSync(bytes, 0, length, offset) !== length) {
      throw new CorruptionError(path, offset, "the file is shorter than it was");
    }
    return crc32(bytes, checksum);
  } finally {
    file.close();
  }
}

/** Where a job works, as far as it is known without its error. */
function pathOf(job: StoreJob | CheckJob): string {
  if (job.kind === "checkSegment") return job.segment.path;
  if (job.kind === "compact") return job.targets[0]!.directory;
  if (job.kind === "copyTable") return job.from;
  if (job.kind === "pack") return job.target.directory;
  return "path" in job ? job.path : job.target.directory;
}
