/** What an owner may choose about a store, and what a store tells its owner. */
import type { FlushedState } from "../lsm/entry.js";
import { KEY_BLOCK_SIZE_BYTES } from "../lsm/sstable-format.js";
import type { LevelOptions } from "../lsm/level-picker.js";
import type { SharedLogOptions } from "../log/log-types.js";

export interface StoreOptions {
  /** A tree whose active memtable is larger than this is flushed. */
  readonly memtableBytesMax?: number | undefined;
  /** When all memtables together pass half of this, the largest trees are flushed. */
  readonly memtablesBytesMax?: number | undefined;
  readonly blockCacheBytes?: number | undefined;
  /** About the size of the blocks of new tables: small ones suit reads of single keys. */
  readonly blockSizeBytes?: number | undefined;
  /** Files of tables that are open at once. */
  readonly openFilesMax?: number | undefined;
  /** Smaller tables share files with those of other trees, where several are written at once. */
  readonly sharedTableBytesMax?: number | undefined;
  /** A manifest that is larger than this, and than twice what it says, is written anew. */
  readonly manifestBytesMax?: number | undefined;
  /** With more segments of the log than this, the shard that keeps the oldest is to let go. */
  readonly logSegmentsMax?: number | undefined;
  /** With a larger log than this, it is trimmed even while replicas are caught up from it. */
  readonly logBytesHeldMax?: number | undefined;
  readonly logOptions?: Partial<SharedLogOptions> | undefined;
  readonly compaction?: CompactionOptions | undefined;
  /** How much is read in the background to look for rot; 0: nothing. */
  readonly scrubBytesPerSecond?: number | undefined;
  /**
   * Called once when a write or sync failed, or the manifest can no longer be written: the content
   * of the disk is unknown and the owner must stop the node.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

export interface CompactionOptions {
  readonly enabled?: boolean | undefined;
  /**
   * "tiered" writes less and reads more, "leveled" the other way round and takes less space; "auto"
   * begins with the one and goes over to the other when a tree has grown.
   */
  readonly style?: "auto" | "tiered" | "leveled" | undefined;
  /** Runs of similar size that are merged into one. */
  readonly fanIn?: number | undefined;
  /** Below this size runs count as equally large. */
  readonly similarBytes?: number | undefined;
  /** From this size of a family on "auto" means "leveled". */
  readonly leveledFromBytes?: number | undefined;
  /** What is gathered before it goes into the levels. */
  readonly levelBaseBytes?: number | undefined;
  /** How many times as large as the one above a level is. */
  readonly levelFanOut?: number | undefined;
  /** Size of the tables in levels. */
  readonly tableBytesMax?: number | undefined;
  /** Jobs of compaction that may run at once. */
  readonly jobsMax?: number | undefined;
}

/** What the owner of the trees wants to hear; set with Store.observe once the owner exists. */
export interface StoreObserver {
  /** Up to `state.index` this shard is durable in its tree: its log may be trimmed to there. */
  flushed(shardId: number, state: FlushedState): void;
  /**
   * This tree should be flushed soon, because it keeps the oldest segment of the log or holds much
   * of the memory: call maybeFlush, even if nothing was applied.
   */
  flushWanted(shardId: number): void;
  /**
   * The log is too large, and this shard, flushed up to there, keeps the oldest segment by its
   * entries up to `upToIndex`: trim it, and where `evenHeld`, whoever may still need them. Returns
   * whether the log was told so.
   */
  trimWanted(shardId: number, upToIndex: number, evenHeld: boolean): boolean;
  /** A file of this tree is damaged: the replica must stop serving and be refilled. */
  treeDamaged(shardId: number, error: Error): void;
  /**
   * A merge of this tree is through, or cannot be done now: who waits because it was behind may
   * look again.
   */
  debtChanged?(shardId: number): void;
  /** A flush has begun to wait for room on the disk; whoever waits for the flush should not. */
  becameFull?(): void;
  /** All files of this tree, which was named to `recheck`, are what was written. */
  treeSound(shardId: number): void;
}

/** The options with every default filled in. */
export interface StoreSettings {
  readonly memtableBytesMax: number;
  readonly memtablesBytesMax: number;
  readonly blockCacheBytes: number;
  readonly blockSizeBytes: number;
  readonly openFilesMax: number | undefined;
  readonly sharedTableBytesMax: number;
  readonly logSegmentsMax: number;
  readonly logBytesHeldMax: number;
  readonly compactionEnabled: boolean;
  readonly compactionOptions: LevelOptions;
  readonly compactionJobsMax: number;
  readonly tableBytesMax: number;
  readonly scrubBytesPerSecond: number;
  readonly onFailure: (error: Error) => void;
}

const MIB = 1024 * 1024;

export function settingsOf(options: StoreOptions): StoreSettings {
  const compaction = options.compaction ?? {};
  return {
    memtableBytesMax: options.memtableBytesMax ?? 16 * MIB,
    memtablesBytesMax: options.memtablesBytesMax ?? 128 * MIB,
    blockCacheBytes: options.blockCacheBytes ?? 64 * MIB,
    blockSizeBytes: options.blockSizeBytes ?? KEY_BLOCK_SIZE_BYTES,
    openFilesMax: options.openFilesMax,
    sharedTableBytesMax: options.sharedTableBytesMax ?? MIB,
    logSegmentsMax: options.logSegmentsMax ?? 4,
    logBytesHeldMax: options.logBytesHeldMax ?? 512 * MIB,
    compactionEnabled: compaction.enabled ?? true,
    compactionOptions: levelOptionsOf(compaction),
    compactionJobsMax: compaction.jobsMax ?? 1,
    tableBytesMax: compaction.tableBytesMax ?? 16 * MIB,
    scrubBytesPerSecond: options.scrubBytesPerSecond ?? 4 * MIB,
    onFailure: options.onFailure ?? rethrow,
  };
}

function levelOptionsOf(compaction: CompactionOptions): LevelOptions {
  const fanIn = compaction.fanIn ?? 4;
  return {
    style: compaction.style ?? "auto",
    fanIn,
    runsMax: fanIn * 3,
    similarBytes: compaction.similarBytes ?? MIB / 16,
    leveledFromBytes: compaction.leveledFromBytes ?? 64 * MIB,
    levelBaseBytes: compaction.levelBaseBytes ?? 32 * MIB,
    levelFanOut: compaction.levelFanOut ?? 8,
  };
}

/** Without an owner who wants to know, a failed disk must not pass unseen. */
function rethrow(error: Error): never {
  throw error;
}
