/**
 * A directory of backups while one is made: held by nobody else, of one cluster, and filled with
 * tables that come from nodes. Tables get new numbers, for each node counts its own.
 */
import { DiskError } from "../env/disk.js";
import type { Disk, DirectoryLock } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { TableFile } from "../lsm/slice.js";
import type { EditOperation, VersionEdit } from "../lsm/version-edit.js";
import { CorruptionError } from "../log/corruption-error.js";
import { encodeClusterBackup, storeIdOfCluster } from "../node/cluster-backup.js";
import type { ClusterBackup } from "../node/cluster-backup.js";
import {
  backupNumbers,
  backupTableName,
  backupTables,
  readListing,
} from "../store/backup-listing.js";
import { beginBackup, endBackup, removeBackups } from "../store/backup.js";
import { TableIntake } from "../store/table-intake.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

type BackupEnv = Pick<Env, "disk" | "clock">;

export class BackupDirectory {
  readonly #env: BackupEnv;
  readonly #path: string;
  readonly #lock: DirectoryLock;
  readonly #present: Set<string>;
  /** By name: the tables of this backup under their new numbers. */
  readonly #tables: Map<string, TableFile> = new Map();
  readonly #edit: EditOperation[] = [];

  private constructor(env: BackupEnv, path: string, lock: DirectoryLock) {
    this.#env = env;
    this.#path = path;
    this.#lock = lock;
    this.#present = new Set(env.disk.list(backupTables(path)));
  }

  /** Refused where somebody else makes a backup there, or those in it are of something else. */
  static async open(env: BackupEnv, path: string, clusterId: string): Promise<BackupDirectory> {
    const { disk } = env;
    requireSame(disk, path, clusterId);
    disk.makeDirectory(path);
    const lock = await lockOf(disk, path);
    try {
      beginBackup(disk, path);
      return new BackupDirectory(env, path, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Whether an earlier backup, finished or not, has the table. */
  has(file: TableFile): boolean {
    return this.#present.has(backupTableName(file));
  }

  intake(file: TableFile): TableIntake {
    return new TableIntake(this.#env.disk, this.#path, file);
  }

  /** The table is there now. */
  taken(file: TableFile): void {
    this.#present.add(backupTableName(file));
  }

  /** Trees of one node, whose tables are all there. */
  addTrees(edit: VersionEdit): void {
    const numbers = new Map<number, number>();
    for (const operation of edit) {
      if (operation.kind === "addFile") {
        numbers.set(operation.file.fileNumber, this.#addTable(operation.file));
      } else if (operation.kind === "addSlice") {
        const fileNumber = numbers.get(operation.slice.fileNumber) ?? 0;
        this.#edit.push({ ...operation, slice: { ...operation.slice, fileNumber } });
      } else {
        this.#edit.push(operation);
      }
    }
  }

  get tables(): readonly TableFile[] {
    return [...this.#tables.values()];
  }

  /** From now on there is a backup; gives its number. */
  finish(cluster: ClusterBackup): number {
    return endBackup(this.#env, this.#path, {
      storeId: storeIdOfCluster(cluster.map.clusterId),
      cluster: encodeClusterBackup(cluster),
      edit: this.#edit,
    });
  }

  /**
   * Leaves the newest `keep` backups, with their tables; gives how many are gone. Refused, with
   * nothing removed, where one that stays cannot say what it needs.
   */
  prune(keep: number): number {
    const { disk } = this.#env;
    const old = backupNumbers(disk, this.#path).slice(0, -keep);
    try {
      if (old.length > 0) removeBackups(disk, this.#path, old);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw new CliError(EXIT.failed, "the backup is made; no older one was removed", {
        because: error.message,
        next: `flotilla check ${this.#path}`,
      });
    }
    return old.length;
  }

  close(): void {
    this.#lock.release();
  }

  #addTable(file: TableFile): number {
    const name = backupTableName(file);
    const known = this.#tables.get(name);
    if (known !== undefined) return known.fileNumber;
    const renumbered = { ...file, fileNumber: this.#tables.size + 1 };
    this.#tables.set(name, renumbered);
    this.#edit.push({ kind: "addFile", file: renumbered });
    return renumbered.fileNumber;
  }
}

function requireSame(disk: Disk, path: string, clusterId: string): void {
  const newest = backupNumbers(disk, path).at(-1);
  if (newest !== undefined) {
    const { storeId } = readListing(disk, path, newest);
    if (storeId === storeIdOfCluster(clusterId)) return;
    throw new CliError(EXIT.failed, `the backups in ${path} are of another cluster or store`, {
      because: `this is cluster ${clusterId}; a restored cluster is another one than it was`,
      next: "give a directory of its own, or check --endpoints",
    });
  }
  const names = disk.exists(path) ? disk.list(path) : [];
  const isOther = names.some((name) => name !== "tables" && !name.startsWith("backup-"));
  if (!isOther) return;
  throw new CliError(EXIT.failed, `${path} holds something else than backups`, {
    next: "give a directory that is empty or not there, or one of backups",
  });
}

async function lockOf(disk: Disk, path: string): Promise<DirectoryLock> {
  try {
    return await disk.lock(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "exists")) throw error;
    throw new CliError(EXIT.failed, `another backup into ${path} is under way`, {
      next: "wait for it to end",
    });
  }
}
