/** What an owner may choose about a store, and what a store tells its owner. */
import type { FlushedState } from "../lsm/entry.js";
import type { SharedLogOptions } from "../log/shared-log.js";

export interface StoreOptions {
  /** A tree whose active memtable is larger than this is flushed. */
  readonly memtableBytesMax?: number | undefined;
  /** When all memtables together pass half of this, the largest trees are flushed. */
  readonly memtablesBytesMax?: number | undefined;
  readonly blockCacheBytes?: number | undefined;
  readonly logOptions?: Partial<SharedLogOptions> | undefined;
  readonly compaction?: CompactionOptions | undefined;
  /**
   * Called once when a write or sync failed, or the manifest can no longer be written: the content
   * of the disk is unknown and the owner must stop the node.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

export interface CompactionOptions {
  readonly enabled?: boolean | undefined;
  /** Runs of similar size that are merged into one. */
  readonly fanIn?: number | undefined;
  /** Jobs of compaction that may run at once. */
  readonly jobsMax?: number | undefined;
}

/** What the owner of the trees wants to hear; set with Store.observe once the owner exists. */
export interface StoreObserver {
  /** Everything up to `state.index` of this shard is durable in its tree: the log may be trimmed. */
  flushed(shardId: number, state: FlushedState): void;
  /** A file of this tree is damaged: the replica must stop serving and be refilled. */
  treeDamaged(shardId: number, error: Error): void;
}
