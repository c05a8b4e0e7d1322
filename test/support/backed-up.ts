/**
 * A cluster to back up whose one node is a store on the in-memory disk: three shards, of which two
 * are one keyspace. What an entry writes follows from its index (test/store/store-bench.ts).
 */
import { ByteWriter } from "../../src/base/coding.js";
import type { BackupAdmin } from "../../src/cli/cluster-backup.js";
import { backupCluster } from "../../src/cli/cluster-backup.js";
import type { ClusterBackupReport } from "../../src/cli/cluster-backup.js";
import { writeEdit } from "../../src/lsm/version-edit.js";
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../../src/base/limits.js";
import type { ClusterMap } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import { must } from "../../src/base/assert.js";
import type { BackupPin } from "../../src/store/backup-pin.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, flushedAt, openStore, write } from "../store/store-bench.js";
import { clusterMap } from "./cluster-maps.js";
import { testEnv } from "./test-env.js";
import type { TestEnv } from "./test-env.js";

export const BACKUPS = "/backups";

export const BACKED_UP: ClusterMap = clusterMap([
  { name: "default", kind: "range", cuts: [] },
  { name: "files", kind: "hash", cuts: 2 },
]);

/** Every env draws ids of its own. */
let envs = 0;

export function envOn(disk: MemoryDisk): TestEnv {
  const job = (each: unknown): unknown => runStoreJob(disk, each as StoreJob | CheckJob);
  return testEnv({ disk, time: "real", job, seed: 1000 + ++envs });
}

export class BackedUp implements BackupAdmin {
  readonly #store: Store;
  readonly #pins: Map<number, BackupPin> = new Map();
  #next = 1;
  /** Of all shards. */
  index = 0;

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(): Promise<BackedUp> {
    const { store } = await openStore(new MemoryDisk());
    for (const { shardId } of BACKED_UP.shards) store.createTree(shardId, ALL, stateAt(0));
    return new BackedUp(store);
  }

  /** Writes `count` entries to each shard, which are then in tables. */
  async fill(count: number): Promise<void> {
    for (const tree of this.#store.trees()) {
      for (let i = 1; i <= count; i++) await write(this.#store, tree, this.index + i);
      await this.#store.flushNow(tree, flushedAt(this.index + count));
    }
    this.index += count;
  }

  backUp(
    disk: MemoryDisk,
    { admin = this, keep }: { readonly admin?: BackupAdmin; readonly keep?: number } = {},
  ): Promise<ClusterBackupReport> {
    return backupCluster({
      env: envOn(disk),
      admin,
      directory: BACKUPS,
      signal: new AbortController().signal,
      keep,
      copied: () => undefined,
    });
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  readonly confirmedMap: BackupAdmin["confirmedMap"] = () => Promise.resolve(BACKED_UP);

  readonly map: BackupAdmin["map"] = () => {
    const leaders = BACKED_UP.shards.map(({ shardId }) => ({ shardId, nodeId: 1, term: 1 }));
    return Promise.resolve({ clusterMap: BACKED_UP, leaders });
  };

  readonly revision: BackupAdmin["revision"] = () => Promise.resolve(this.index);

  readonly backupOpen: BackupAdmin["backupOpen"] = async (_endpoint, { shards }) => {
    const pin = await this.#store.pinForBackup(shards.map(({ shardId }) => shardId));
    this.#pins.set(this.#next, pin);
    const edit = new ByteWriter();
    writeEdit(edit, pin.edit);
    return { pin: this.#next++, edit: edit.copy(), elsewhere: [] };
  };

  readonly backupRead: BackupAdmin["backupRead"] = (_endpoint, { pin, fileNumber, offset }) => {
    const held = this.#pins.get(pin);
    const bytes = held?.readChunk(fileNumber, offset, SNAPSHOT_CHUNK_SIZE_BYTES);
    if (bytes !== undefined) return Promise.resolve({ bytes });
    return Promise.reject(notApplied("unavailable", "no such table"));
  };

  readonly backupRelease: BackupAdmin["backupRelease"] = (_endpoint, { pin }) => {
    must(this.#pins.get(pin)).release();
    this.#pins.delete(pin);
    return Promise.resolve();
  };

  /** This one, but for what a test does otherwise. */
  but(changes: Partial<BackupAdmin>): BackupAdmin {
    const { confirmedMap, map, revision, backupOpen, backupRead, backupRelease } = this;
    return { confirmedMap, map, revision, backupOpen, backupRead, backupRelease, ...changes };
  }

  /** Pins that nobody has let go of. */
  get pinned(): number {
    return this.#pins.size;
  }
}
