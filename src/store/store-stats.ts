/**
 * What a store says of itself in numbers: why it is slow, why the disk is full. All of it is read
 * or summed up when somebody asks; nothing is kept for it but counts.
 */
import type { JobCounts } from "../env/jobs.js";
import type { Compactor } from "./compactor.js";
import type { Flusher } from "./flusher.js";
import type { StoreCore } from "./store-core.js";

/** What is counted is counted since the store was opened. */
export interface StoreStats {
  readonly memtableBytes: number;
  /** With more in memtables, writes wait. */
  readonly memtablesBytesMax: number;
  /** Bytes of all sstables. */
  readonly sizeBytes: number;
  readonly tableCount: number;
  /** Of sstables that no tree has any more, for who still reads them: cursors, checkpoints. */
  readonly pinnedBytes: number;
  /** Files that nobody reads any more either, and that are still there. */
  readonly removalCount: number;
  readonly manifestBytes: number;
  readonly blockCacheBytes: number;
  /** Of sstables, because they were not in the cache; flushes and merges do not count. */
  readonly blocksRead: number;
  /** Bucket i counts the edits of the manifest that took [2^i, 2^(i+1)) microseconds, synced. */
  readonly commitMicros: readonly number[];
  /** All these together. */
  readonly commitTotalMs: number;
  readonly flushes: number;
  readonly compactions: number;
  /** Into tables. */
  readonly flushBytesWritten: number;
  readonly mergeBytesWritten: number;
  /** Most runs that a read of any tree may have to look at: merges that are due. */
  readonly runsMax: number;
  /** Trees whose merges are so far behind that writes to them should wait. */
  readonly treesBehind: number;
  /** Of the workers, where they count. */
  readonly jobs: JobCounts | undefined;
  readonly full: boolean;
}

export interface StoreParts {
  readonly core: StoreCore;
  readonly flusher: Flusher;
  readonly compactor: Compactor;
}

export function statsOf({ core, flusher, compactor }: StoreParts): StoreStats {
  const { env, tables, manifest, cache, commitTimes, settings } = core;
  return {
    ...ofTrees(core, compactor),
    memtablesBytesMax: settings.memtablesBytesMax,
    sizeBytes: tables.sizeBytes,
    tableCount: tables.count,
    pinnedBytes: pinnedBytes(core),
    removalCount: core.removalCount,
    manifestBytes: manifest.sizeBytes,
    blockCacheBytes: cache.bytes,
    blocksRead: cache.blocksRead,
    commitMicros: commitTimes.counts(),
    commitTotalMs: commitTimes.totalMs,
    flushes: flusher.flushCount,
    compactions: compactor.compactionCount,
    flushBytesWritten: flusher.writtenBytes,
    mergeBytesWritten: compactor.writtenBytes,
    jobs: env.jobs.counts?.(),
    full: core.waitingForRoom > 0,
  };
}

function ofTrees(
  { trees }: StoreCore,
  compactor: Compactor,
): Pick<StoreStats, "memtableBytes" | "runsMax" | "treesBehind"> {
  let memtableBytes = 0;
  let runsMax = 0;
  let treesBehind = 0;
  for (const tree of trees.values()) {
    memtableBytes += tree.memtableBytes();
    runsMax = Math.max(runsMax, tree.version.runsMax);
    if (compactor.isBehind(tree)) treesBehind++;
  }
  return { memtableBytes, runsMax, treesBehind };
}

/** The manifest has let go of these tables, and a version of a tree that somebody holds has not. */
function pinnedBytes({ tables, manifest }: StoreCore): number {
  let bytes = 0;
  for (const { fileNumber, sizeBytes } of tables.files()) {
    if (!manifest.catalog.files.has(fileNumber)) bytes += sizeBytes;
  }
  return bytes;
}
