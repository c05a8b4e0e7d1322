/**
 * Makes, checks, restores and removes backups (backup-listing.ts says what one is). A backup is a
 * copy of all tables of pinned trees, without those that an earlier backup in the same directory
 * has: it may lie on another disk, and shares nothing with the store. Every byte is checked as it
 * is copied, on the way out and on the way back.
 *
 * It needs the only hand in its directory, and never changes a table that is there. What was cut
 * short is a draft, or a table that no listing names; the next backup takes up or removes both.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { JobRunner } from "../env/jobs.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { TableFile } from "../lsm/slice.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import { pathOfTable, tablePath } from "../lsm/table-set.js";
import type { TableSet } from "../lsm/table-set.js";
import {
  DRAFT_SUFFIX,
  backupNumbers,
  backupTableName,
  backupTablePath,
  backupTables,
  listingPath,
  readListing,
  writeListing,
} from "./backup-listing.js";
import type { BackupListing } from "./backup-listing.js";
import { requireEmpty } from "./checkpoint-directory.js";
import { editOf, filesIn, withoutPacks, writeStore } from "./checkpoint-edit.js";
import type { PinnedTree } from "./checkpoint-edit.js";
import { isStore } from "./identity.js";
import { corruptionOf, errorOf } from "./job-failure.js";
import type { JobFailure } from "./job-failure.js";
import type { CheckJob, CheckResult, CopyJob, FileJobResult } from "./jobs.js";

export interface BackupReport {
  readonly number: number;
  /** Tables that were not there yet. */
  readonly copiedTables: number;
  readonly copiedBytes: number;
  /** Tables that an earlier backup has. */
  readonly sharedTables: number;
}

/** A backup as a list of them shows it. */
export interface BackupSummary {
  readonly number: number;
  readonly madeAtMs: number;
  readonly storeId: string;
  readonly tables: number;
  readonly sizeBytes: number;
}

/** What a backup is made of. */
export interface BackupSource {
  readonly storeId: string;
  /** Has the tables of the trees. */
  readonly tables: TableSet;
  readonly trees: readonly PinnedTree[];
}

/** What is read of a table at once. */
const STEP_SIZE_BYTES = 1024 * 1024;

/**
 * Throws CorruptionError where a table of the store is not what was written: nothing is made of it
 * then. DiskError "noSpace" on a full disk.
 */
export async function makeBackup(
  env: Env,
  directory: string,
  { storeId, tables, trees }: BackupSource,
): Promise<BackupReport> {
  const { disk, jobs } = env;
  beginBackup(disk, directory);
  const edit = editOf(tables, trees);
  const present = new Set(disk.list(backupTables(directory)));
  const files = filesIn(edit);
  const missing = files.filter((file) => !present.has(backupTableName(file)));
  for (const file of missing) {
    const to = backupTablePath(directory, file);
    await copy(jobs, file, pathOfTable(tables.directory, file), to);
  }
  const number = endBackup(env, directory, {
    storeId,
    cluster: EMPTY_BYTES,
    edit: withoutPacks(edit),
  });
  return {
    number,
    copiedTables: missing.length,
    copiedBytes: missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    sharedTables: files.length - missing.length,
  };
}

/**
 * Makes a directory one of backups, and removes what was cut short there. Throws DiskError "exists"
 * where it is a store: its tables would count as those of backups, and go with them.
 */
export function beginBackup(disk: Disk, directory: string): void {
  if (isStore(disk, directory)) throw new DiskError("exists", directory);
  disk.makeDirectory(backupTables(directory));
  for (const place of [directory, backupTables(directory)]) {
    for (const name of disk.list(place)) {
      if (name.endsWith(DRAFT_SUFFIX)) disk.remove(`${place}/${name}`);
    }
  }
}

/** All tables are there under their names: from now on there is a backup. Gives its number. */
export function endBackup(
  { disk, clock }: Pick<Env, "disk" | "clock">,
  directory: string,
  made: Pick<BackupListing, "storeId" | "cluster" | "edit">,
): number {
  disk.syncDirectory(backupTables(directory));
  const number = 1 + (backupNumbers(disk, directory).at(-1) ?? 0);
  writeListing(disk, directory, { ...made, number, madeAtMs: clock.wallMs() });
  return number;
}

/** The backups in a directory, oldest first. Throws CorruptionError where a listing is damaged. */
export function listBackups(disk: Disk, directory: string): readonly BackupSummary[] {
  return backupNumbers(disk, directory).map((each) => {
    const { number, madeAtMs, storeId, edit } = readListing(disk, directory, each);
    const files = filesIn(edit);
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { number, madeAtMs, storeId, tables: files.length, sizeBytes };
  });
}

/** Reads all of a backup; what is damaged or missing of its tables. */
export async function checkBackup(
  env: Pick<Env, "disk" | "jobs">,
  directory: string,
  number: number,
): Promise<readonly CorruptionError[]> {
  const { edit } = readListing(env.disk, directory, number);
  const damaged: CorruptionError[] = [];
  for (const file of filesIn(edit)) {
    const found = await damageOf(env, backupTablePath(directory, file), file);
    if (found !== undefined) damaged.push(found);
  }
  return damaged;
}

/**
 * Makes a store of a backup, in a directory that is empty or not there: with an identity of its
 * own, which comes last, once all tables are there and were checked. Throws CorruptionError where
 * they are not what was written, DiskError "exists" where the directory is not empty.
 */
export async function restoreBackup(
  env: Env,
  directory: string,
  number: number,
  target: string,
): Promise<void> {
  requireEmpty(env.disk, target);
  const { edit } = readListing(env.disk, directory, number);
  await storeOf(env, target, { directory, edit });
}

/** Trees whose tables lie in a directory of backups. */
export interface BackedUpTrees {
  readonly directory: string;
  readonly edit: VersionEdit;
  /** A table was copied. */
  readonly copied?: ((file: TableFile) => void) | undefined;
}

/** Makes a store of backed up trees; see restoreBackup. */
export async function storeOf(env: Env, target: string, trees: BackedUpTrees): Promise<void> {
  const { disk, jobs } = env;
  const { directory, edit, copied } = trees;
  const tables = `${target}/tables`;
  disk.makeDirectory(tables);
  for (const file of filesIn(edit)) {
    const from = backupTablePath(directory, file);
    await copy(jobs, file, from, tablePath(tables, file.fileNumber));
    copied?.(file);
  }
  writeStore(env, target, edit);
}

/** Removes these backups, and the tables that no other has. */
export function removeBackups(disk: Disk, directory: string, numbers: readonly number[]): void {
  const others = backupNumbers(disk, directory).filter((each) => !numbers.includes(each));
  // All of them are read before anything goes: what one cannot say it needs would be lost.
  const needed = new Set(
    others.flatMap((each) => filesIn(readListing(disk, directory, each).edit)).map(backupTableName),
  );
  for (const number of numbers) disk.remove(listingPath(directory, number));
  disk.syncDirectory(directory);
  for (const name of disk.list(backupTables(directory))) {
    if (!needed.has(name)) disk.remove(`${backupTables(directory)}/${name}`);
  }
  disk.syncDirectory(backupTables(directory));
}

/** A table is there under its name once it is whole and durable. */
async function copy(jobs: JobRunner, file: TableFile, from: string, to: string): Promise<void> {
  const { sizeBytes, checksum, home } = file;
  const draft = `${to}${DRAFT_SUFFIX}`;
  const offset = home?.offset ?? 0;
  const job: CopyJob = { kind: "copyTable", from, offset, to, draft, sizeBytes, checksum };
  const result = (await jobs.run(job)) as FileJobResult;
  if (result.kind !== "written") throw errorOf(result, to);
}

/** What is wrong with a table of a backup, where anything is. */
export async function damageOf(
  { disk, jobs }: Pick<Env, "disk" | "jobs">,
  path: string,
  { sizeBytes, checksum }: TableFile,
): Promise<CorruptionError | undefined> {
  if (!disk.exists(path)) return new CorruptionError(path, 0, "the file is not there");
  let sum = 0;
  for (let offset = 0; offset < sizeBytes; offset += STEP_SIZE_BYTES) {
    const length = Math.min(STEP_SIZE_BYTES, sizeBytes - offset);
    const job: CheckJob = { kind: "checkTable", path, offset, length, checksum: sum };
    const result = (await jobs.run(job)) as CheckResult;
    if (result.kind === "checked") sum = result.checksum;
    else if (result.kind === "corrupt") return corruptionOf(result);
    else if (isFailure(result)) throw errorOf(result, path);
  }
  if (sum === checksum) return undefined;
  return new CorruptionError(path, 0, "the file is not what was written");
}

function isFailure(result: CheckResult): result is JobFailure {
  return result.kind === "noSpace" || result.kind === "failed" || result.kind === "corrupt";
}
