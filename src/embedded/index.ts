/** The package's door to a store of one's own: a directory on the real disk, without a cluster. */
import type { Env } from "../env/env.js";
import { createNodeEnv } from "../env/node/node-env.js";
import type { BackupSummary } from "../store/backup.js";
import { Backups } from "./backups.js";
import { EmbeddedStore } from "./embedded-store.js";
import type { EmbeddedOptions } from "./embedded-types.js";

/** One flush and one merge may run at the same time. */
const WORKERS_MAX = 2;

/**
 * Opens the store in a directory, or makes one there. Rejects with KvError: "unavailable" where
 * another process has it open, "corrupt" where files are damaged.
 */
export async function openStore(
  directory: string,
  options: EmbeddedOptions = {},
): Promise<EmbeddedStore> {
  return EmbeddedStore.open(nodeEnv(), directory, options);
}

/**
 * Makes a store in `directory`, which is empty or not there, of a backup that `store.backup` made:
 * the newest, unless its number is given. Rejects with KvError: "corrupt" where files are damaged.
 */
export function restoreStore(backups: string, directory: string, number?: number): Promise<void> {
  return withBackups(backups, (found) => found.restore(directory, number));
}

/** The backups in a directory, oldest first. */
export function listBackups(backups: string): Promise<readonly BackupSummary[]> {
  return withBackups(backups, (found) => found.list());
}

/** Reads all of a backup, of the newest without a number: what is damaged of it. */
export function checkBackup(backups: string, number?: number): Promise<readonly string[]> {
  return withBackups(backups, (found) => found.check(number));
}

/** Removes a backup, and the files that no other needs. */
export function removeBackup(backups: string, number: number): Promise<void> {
  return withBackups(backups, (found) => found.remove(number));
}

async function withBackups<T>(
  directory: string,
  use: (backups: Backups) => T | Promise<T>,
): Promise<T> {
  const env = nodeEnv();
  try {
    return await use(new Backups(env, directory));
  } finally {
    await env.jobs.close();
  }
}

function nodeEnv(): Env {
  const worker = new URL("../store/worker.js", import.meta.url);
  return createNodeEnv({
    tracer: { level: "error" },
    jobs: { worker, workersMax: WORKERS_MAX },
  });
}

export type { BackupReport, BackupSummary } from "../store/backup.js";
export { EmbeddedStore } from "./embedded-store.js";
export type {
  BytesLike,
  EmbeddedOptions,
  EmbeddedStats,
  KeyAndValue,
  RangeOptions,
  Reader,
  ScanOptions,
  StoreCursor,
  WriteOptions,
} from "./embedded-types.js";
export type { EntryView } from "../lsm/entry.js";
export { Snapshot } from "./snapshot.js";
export { WriteBatch } from "./write-batch.js";
export { KvError } from "../protocol/errors.js";
export type { ErrorCode, Outcome } from "../protocol/errors.js";
