/**
 * What a node does for a backup of the cluster, which a client makes: it flushes and pins trees of
 * shards that it leads, and hands out their tables piece by piece. A pin that nobody reads from
 * ends by itself, so that a client which is gone keeps no file. It never decides what is backed up.
 */
import { ByteWriter } from "../base/coding.js";
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../base/limits.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { writeEdit } from "../lsm/version-edit.js";
import type {
  BackupOpenRequest,
  BackupOpenResponse,
  BackupReadRequest,
  BackupReadResponse,
  BackupReleaseRequest,
  BackupShard,
} from "../protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ReplicaHost } from "../shard/replica-host.js";
import type { Replica } from "../shard/replica.js";
import type { BackupPin } from "../store/backup-pin.js";
import type { Store } from "../store/store.js";
import { confirmedTo } from "./internal-requests.js";

/** Each freezes a memtable, and too many at once would be a pause. */
export const BACKUP_SHARDS_MAX = 64;
const PINS_MAX = 16;
const IDLE_MS = 60_000;

interface Held {
  readonly pin: BackupPin;
  timer: Timer;
}

export class BackupSource {
  readonly #env: Env;
  readonly #store: Store;
  readonly #host: ReplicaHost;
  readonly #held: Map<number, Held> = new Map();
  #next = 1;

  constructor(env: Env, parts: { readonly store: Store; readonly host: ReplicaHost }) {
    this.#env = env;
    this.#store = parts.store;
    this.#host = parts.host;
  }

  async open({ shards }: BackupOpenRequest): Promise<BackupOpenResponse> {
    checkShards(shards);
    if (this.#held.size >= PINS_MAX) {
      throw notApplied("overloaded", `a node serves ${PINS_MAX} backups at once`);
    }
    const here: number[] = [];
    const elsewhere: { readonly shardId: number; readonly leaderNodeId: number }[] = [];
    await Promise.all(
      shards.map(async (shard) => {
        const { shardId } = shard;
        if (await this.#flushed(shard)) here.push(shardId);
        else
          elsewhere.push({ shardId, leaderNodeId: this.#host.replica(shardId)?.leaderNodeId ?? 0 });
      }),
    );
    const pin = await this.#store.pinForBackup(here.sort((a, b) => a - b));
    const id = this.#next++;
    this.#held.set(id, { pin, timer: this.#expiry(id) });
    const edit = new ByteWriter(4096);
    writeEdit(edit, pin.edit);
    return { pin: id, edit: edit.copy(), elsewhere };
  }

  read({ pin, fileNumber, offset }: BackupReadRequest): Promise<BackupReadResponse> {
    const held = this.#held.get(pin);
    if (held === undefined) {
      return Promise.reject(notApplied("unavailable", "this backup was let go of: begin it again"));
    }
    held.timer.cancel();
    held.timer = this.#expiry(pin);
    return chunkOf(held.pin, fileNumber, offset);
  }

  release({ pin }: BackupReleaseRequest): object {
    const held = this.#held.get(pin);
    this.#held.delete(pin);
    held?.timer.cancel();
    held?.pin.release();
    return {};
  }

  close(): void {
    for (const pin of this.#held.keys()) this.release({ pin });
  }

  #expiry(pin: number): Timer {
    return this.#env.timers.after(IDLE_MS, () => this.release({ pin }));
  }

  /** Whether this node leads the shard and its tables now have what was asked for. */
  async #flushed({ shardId, floorRevision }: BackupShard): Promise<boolean> {
    const replica = this.#host.replica(shardId);
    if (replica === undefined || !replica.leads) return false;
    try {
      await confirmedTo(replica, floorRevision);
    } catch (error) {
      if (KvError.from(error).code === "notLeader") return false;
      throw error;
    }
    if (!this.#isWhole(replica)) return false;
    const state = replica.flushedState();
    if (state.index > replica.tree.flushed.index) await this.#store.flushNow(replica.tree, state);
    if (this.#store.full) throw notApplied("noSpace", "the disk of this node is full");
    return this.#isWhole(replica);
  }

  #isWhole({ raft, shardId, tree }: Replica): boolean {
    return !raft.isStateLost && this.#store.tree(shardId) === tree;
  }
}

function chunkOf(pin: BackupPin, fileNumber: number, offset: number): Promise<BackupReadResponse> {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    return Promise.reject(notApplied("malformed", "an offset is a whole number, 0 or more"));
  }
  try {
    const bytes = pin.readChunk(fileNumber, offset, SNAPSHOT_CHUNK_SIZE_BYTES);
    if (bytes !== undefined) return Promise.resolve({ bytes });
    return Promise.reject(notApplied("invalidArgument", `there is no table ${fileNumber}`));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return Promise.reject(notApplied("unavailable", `a table cannot be read: ${error.message}`));
  }
}

/** The request came as a plain object from a client: nothing about its fields is certain. */
function checkShards(shards: readonly BackupShard[]): void {
  const isSound =
    Array.isArray(shards) &&
    shards.length > 0 &&
    shards.length <= BACKUP_SHARDS_MAX &&
    shards.every(
      ({ shardId, floorRevision }) =>
        Number.isSafeInteger(shardId) &&
        shardId !== PLACEMENT_SHARD_ID &&
        Number.isSafeInteger(floorRevision) &&
        floorRevision >= 0,
    );
  if (isSound) return;
  const text = `a backup asks for 1 to ${BACKUP_SHARDS_MAX} shards at once, none of them ${PLACEMENT_SHARD_ID}`;
  throw notApplied("malformed", text);
}
