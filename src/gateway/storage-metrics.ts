/**
 * What a node says to Prometheus of its store, under names of our own: etcd has none for most of
 * it. They answer why it is slow and why the disk is full; README.md of `node/` says which does.
 */
import type { StorageStatus } from "../protocol/storage-status.js";
import type { LabelledMetric } from "./metrics.js";

interface StorageMetric extends Omit<LabelledMetric, "values"> {
  /** undefined: nobody counts it, and there is no such metric. */
  readonly value: (storage: StorageStatus) => number | undefined | LabelledMetric["values"];
}

const WHY_SLOW: readonly StorageMetric[] = [
  {
    name: "flotilla_writes_held_up",
    help: "Whether writes wait or are refused at this node now, by each reason there may be.",
    kind: "gauge",
    value: ({ obstacles }) =>
      Object.entries(obstacles).map(([reason, holds]) => [`reason="${reason}"`, Number(holds)]),
  },
  {
    name: "flotilla_memtable_bytes",
    help: "Bytes of memtables, which are what was written and is not in tables yet.",
    kind: "gauge",
    value: ({ memtableBytes }) => memtableBytes,
  },
  {
    name: "flotilla_memtable_budget_bytes",
    help: "What memtables may take together: with more in them, writes wait.",
    kind: "gauge",
    value: ({ memtableBytesMax }) => memtableBytesMax,
  },
  {
    name: "flotilla_log_entries_cached_bytes",
    help: "Bytes of entries of the log that are in memory, too.",
    kind: "gauge",
    value: ({ logCachedBytes }) => logCachedBytes,
  },
  {
    name: "flotilla_read_runs_max",
    help: "Most runs of tables that a read may have to look at, of all shards.",
    kind: "gauge",
    value: ({ runsMax }) => runsMax,
  },
  {
    name: "flotilla_trees_behind",
    help: "Shards with so much to be merged that writes to them wait where they are led.",
    kind: "gauge",
    value: ({ treesBehind }) => treesBehind,
  },
  {
    name: "flotilla_flushes_total",
    help: "Memtables that were written to tables.",
    kind: "counter",
    value: ({ flushes }) => flushes,
  },
  {
    name: "flotilla_merges_total",
    help: "Merges of tables.",
    kind: "counter",
    value: ({ merges }) => merges,
  },
  {
    name: "flotilla_flush_written_bytes_total",
    help: "Bytes of tables that flushes have written.",
    kind: "counter",
    value: ({ flushBytesWritten }) => flushBytesWritten,
  },
  {
    name: "flotilla_merge_written_bytes_total",
    help: "Bytes of tables that merges have written.",
    kind: "counter",
    value: ({ mergeBytesWritten }) => mergeBytesWritten,
  },
  {
    name: "flotilla_log_written_bytes_total",
    help: "Bytes that were written to the log.",
    kind: "counter",
    value: ({ logBytesWritten }) => logBytesWritten,
  },
  {
    name: "flotilla_table_blocks_read_total",
    help: "Blocks of tables that reads did not find in the cache.",
    kind: "counter",
    value: ({ blocksRead }) => blocksRead,
  },
  {
    name: "flotilla_block_cache_bytes",
    help: "Memory of the cache of blocks.",
    kind: "gauge",
    value: ({ blockCacheBytes }) => blockCacheBytes,
  },
  {
    name: "flotilla_jobs",
    help: "Flushes, merges, checks and deletions of files, that run or wait for a worker.",
    kind: "gauge",
    value: ({ jobsRunning, jobsWaiting }) => {
      if (jobsRunning === undefined || jobsWaiting === undefined) return undefined;
      return [
        ['state="running"', jobsRunning],
        ['state="waiting"', jobsWaiting],
      ];
    },
  },
];

const WHY_FULL: readonly StorageMetric[] = [
  {
    name: "flotilla_disk_free_bytes",
    help: "What is free on the disk of the data directory.",
    kind: "gauge",
    value: ({ diskFreeBytes }) => diskFreeBytes,
  },
  {
    name: "flotilla_disk_reserved_bytes",
    help: "What is kept back of it: where no more is free, writes are refused.",
    kind: "gauge",
    value: ({ diskReservedBytes }) => diskReservedBytes,
  },
  {
    name: "flotilla_table_bytes",
    help: "Bytes of all tables.",
    kind: "gauge",
    value: ({ tableBytes }) => tableBytes,
  },
  {
    name: "flotilla_table_used_bytes",
    help: "About what of these would be left after all merges.",
    kind: "gauge",
    value: ({ tableUsedBytes }) => tableUsedBytes,
  },
  {
    name: "flotilla_table_pinned_bytes",
    help: "What of these is kept only for reads, snapshots and backups that are under way.",
    kind: "gauge",
    value: ({ tablePinnedBytes }) => tablePinnedBytes,
  },
  {
    name: "flotilla_tables",
    help: "Tables, of which small ones share files.",
    kind: "gauge",
    value: ({ tables }) => tables,
  },
  {
    name: "flotilla_log_bytes",
    help: "Bytes of the log's segments, which all shards share.",
    kind: "gauge",
    value: ({ logBytes }) => logBytes,
  },
  {
    name: "flotilla_log_segments",
    help: "Segments of the log, the one included that is prepared to be next.",
    kind: "gauge",
    value: ({ logSegments }) => logSegments,
  },
  {
    name: "flotilla_log_oldest_segment_kept",
    help: "1 for a shard that keeps the oldest segment of the log, and why.",
    kind: "gauge",
    value: ({ logKept }) => {
      if (logKept === undefined) return undefined;
      return [[`shard="${logKept.shardId}",reason="${logKept.reason}"`, 1]];
    },
  },
  {
    name: "flotilla_manifest_bytes",
    help: "Bytes of the manifest, which names the tables.",
    kind: "gauge",
    value: ({ manifestBytes }) => manifestBytes,
  },
  {
    name: "flotilla_files_to_delete",
    help: "Files of tables that nobody needs any more and that are not deleted yet.",
    kind: "gauge",
    value: ({ filesToDelete }) => filesToDelete,
  },
];

/** Nothing of a node that does not say. */
export function storageMetrics(storage: StorageStatus | undefined): readonly LabelledMetric[] {
  if (storage === undefined) return [];
  return [...WHY_SLOW, ...WHY_FULL].map(({ value, ...metric }): LabelledMetric => {
    const read = value(storage) ?? [];
    return { ...metric, values: typeof read === "number" ? [["", read]] : read };
  });
}
