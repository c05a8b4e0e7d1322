/**
 * Backs up a running cluster into a directory: asks the leader of each shard to pin its tables, and
 * fetches those that no backup there has. Each table is whole before it has its name, and the
 * listing comes last: a backup that was cut short is none, and the next one goes on with what it
 * has left.
 *
 * Each keyspace is backed up as it was at one revision. Where it has several shards, that is the
 * newest when the backup begins: each shard has all up to it, and what it has behind it is taken
 * back by a restore.
 */
import { ByteReader } from "../base/coding.js";
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../base/limits.js";
import type { Env } from "../env/env.js";
import type { TableFile } from "../lsm/slice.js";
import { readEdit } from "../lsm/version-edit.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import type { ClusterBackup } from "../node/cluster-backup.js";
import type { BackupReadResponse, BackupShard } from "../protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import type { ClusterMap, ShardDescriptor } from "../protocol/cluster.js";
import { filesIn } from "../store/checkpoint-edit.js";
import { BackupDirectory } from "./backup-directory.js";
import { fetchShards } from "./backup-shards.js";
import type { NodeAnswer } from "./backup-shards.js";
import type { AdminPort } from "./client-port.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

/** A node that flushes 64 shards to a slow disk may take long. */
const OPEN_TIMEOUT_MS = 120_000;
const READ_TIMEOUT_MS = 30_000;
/** Pieces of a table that are on their way at once. */
const READS_AHEAD = 4;

export interface ClusterBackupReport {
  readonly number: number;
  readonly clusterId: string;
  readonly shards: number;
  readonly tables: number;
  readonly sizeBytes: number;
  /** Tables that were not there yet. */
  readonly copiedTables: number;
  readonly copiedBytes: number;
  /** Older backups that are gone. */
  readonly removed: number;
}

/** What of the SDK it takes. */
export type BackupAdmin = Pick<
  AdminPort,
  "confirmedMap" | "map" | "revision" | "backupOpen" | "backupRead" | "backupRelease"
>;

export interface BackupWish {
  readonly env: Pick<Env, "disk" | "clock">;
  readonly admin: BackupAdmin;
  readonly directory: string;
  readonly signal: AbortSignal;
  /** How many backups stay, with the new one; undefined: all. */
  readonly keep?: number | undefined;
  /** A table of so many bytes was fetched. */
  readonly copied: (bytes: number) => void;
}

export async function backupCluster(wish: BackupWish): Promise<ClusterBackupReport> {
  const map = await wish.admin.confirmedMap();
  const directory = await BackupDirectory.open(wish.env, wish.directory, map.clusterId);
  try {
    return await new Backup(wish, map, directory).run();
  } finally {
    directory.close();
  }
}

class Backup {
  readonly #wish: BackupWish;
  readonly #map: ClusterMap;
  readonly #directory: BackupDirectory;
  #copiedTables = 0;
  #copiedBytes = 0;

  constructor(wish: BackupWish, map: ClusterMap, directory: BackupDirectory) {
    this.#wish = wish;
    this.#map = map;
    this.#directory = directory;
  }

  async run(): Promise<ClusterBackupReport> {
    const { admin } = this.#wish;
    const floors = await this.#floors();
    const { leaders } = await admin.map();
    const shards = this.#map.shards.filter(({ shardId }) => shardId !== PLACEMENT_SHARD_ID);
    await fetchShards({
      map: this.#map,
      leaders: new Map(leaders.map(({ shardId, nodeId }) => [shardId, nodeId])),
      shards,
      fetch: (address, some) => this.#fetch(address, some, floors),
    });
    const number = this.#directory.finish({ map: this.#map, floors });
    const { keep } = this.#wish;
    const removed = keep === undefined ? 0 : this.#directory.prune(keep);
    const { tables } = this.#directory;
    return {
      number,
      clusterId: this.#map.clusterId,
      shards: shards.length,
      tables: tables.length,
      sizeBytes: tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      copiedTables: this.#copiedTables,
      copiedBytes: this.#copiedBytes,
      removed,
    };
  }

  /** What is the newest in keyspaces of many shards. */
  #floors(): Promise<ClusterBackup["floors"]> {
    const sequenced = this.#map.keyspaces.filter((keyspace) => !keyspace.dense);
    return Promise.all(
      sequenced.map(async ({ keyspaceId }) => {
        const revision = await this.#wish.admin.revision(keyspaceId);
        return { keyspaceId, revision };
      }),
    );
  }

  async #fetch(
    address: string,
    shards: readonly ShardDescriptor[],
    floors: ClusterBackup["floors"],
  ): Promise<NodeAnswer> {
    const { admin } = this.#wish;
    const wanted = shards.map(({ shardId, keyspaceId }): BackupShard => {
      const floor = floors.find((each) => each.keyspaceId === keyspaceId);
      return { shardId, floorRevision: floor?.revision ?? 0 };
    });
    const opened = await admin.backupOpen(address, { shards: wanted }, OPEN_TIMEOUT_MS);
    const { pin, elsewhere } = opened;
    try {
      const edit = readEdit(new ByteReader(opened.edit));
      requireFloors(edit, wanted);
      for (const file of filesIn(edit)) {
        if (!this.#directory.has(file)) await this.#take(address, pin, file);
      }
      this.#directory.addTrees(edit);
    } finally {
      // Without an answer the pin ends by itself.
      await admin.backupRelease(address, { pin }, READ_TIMEOUT_MS).catch(() => undefined);
    }
    return { elsewhere };
  }

  /** A table that came otherwise than it was written is asked for once more. */
  async #take(address: string, pin: number, file: TableFile): Promise<void> {
    const isThere =
      (await this.#pour(address, pin, file)) || (await this.#pour(address, pin, file));
    if (!isThere) {
      throw new CliError(EXIT.failed, `a table of the node at ${address} is damaged`, {
        because: "what it sends is not what was written",
        next: "flotctl alarm list; the node repairs it from other replicas, then try again",
      });
    }
    this.#directory.taken(file);
    this.#copiedTables++;
    this.#copiedBytes += file.sizeBytes;
    this.#wish.copied(file.sizeBytes);
  }

  async #pour(address: string, pin: number, file: TableFile): Promise<boolean> {
    const { fileNumber, sizeBytes } = file;
    const intake = this.#directory.intake(file);
    const ahead: Promise<BackupReadResponse>[] = [];
    let asked = 0;
    try {
      for (let at = 0; at < sizeBytes; at += SNAPSHOT_CHUNK_SIZE_BYTES) {
        this.#requireWanted();
        for (
          ;
          asked < sizeBytes && ahead.length < READS_AHEAD;
          asked += SNAPSHOT_CHUNK_SIZE_BYTES
        ) {
          const read = { pin, fileNumber, offset: asked };
          ahead.push(this.#wish.admin.backupRead(address, read, READ_TIMEOUT_MS));
        }
        const { bytes } = await ahead.shift()!;
        if (bytes.length !== Math.min(SNAPSHOT_CHUNK_SIZE_BYTES, sizeBytes - at)) break;
        intake.add(bytes);
      }
    } catch (error) {
      intake.abandon();
      throw error;
    } finally {
      for (const read of ahead) read.catch(() => undefined);
    }
    return intake.finish();
  }

  #requireWanted(): void {
    if (!this.#wish.signal.aborted) return;
    throw new CliError(EXIT.interrupted, "interrupted: there is no new backup", {
      next: "run it again: it goes on with the tables that are there",
    });
  }
}

/** Without what a shard had at the revision of its keyspace, a restore cannot go back to it. */
function requireFloors(edit: VersionEdit, wanted: readonly BackupShard[]): void {
  for (const operation of edit) {
    if (operation.kind !== "createTree") continue;
    const floor = wanted.find(({ shardId }) => shardId === operation.shardId)?.floorRevision ?? 0;
    if (floor === 0 || operation.flushed.compactedRevision <= floor) continue;
    throw new CliError(
      EXIT.failed,
      "there is no new backup: its revision was compacted meanwhile",
      {
        next: "run it again: it goes on with the tables that are there",
      },
    );
  }
}
