/** The text that Prometheus reads of a store, to the line. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { CallCounts } from "../../src/gateway/call-counts.js";
import { pageAt } from "../../src/gateway/health.js";
import type { StorageStatus } from "../../src/protocol/storage-status.js";
import { FakeBackend } from "./fake-backend.js";

const STORAGE: StorageStatus = {
  obstacles: {
    diskFull: false,
    diskStalls: false,
    memory: true,
    log: false,
    merges: true,
    inFlight: false,
    alarm: false,
  },
  memtableBytes: 101,
  memtableBytesMax: 102,
  logCachedBytes: 103,
  runsMax: 104,
  treesBehind: 105,
  flushes: 106,
  merges: 107,
  flushBytesWritten: 108,
  mergeBytesWritten: 109,
  logBytesWritten: 110,
  blocksRead: 111,
  blockCacheBytes: 112,
  jobsRunning: 113,
  jobsWaiting: 114,
  diskFreeBytes: 115,
  diskReservedBytes: 116,
  tableBytes: 117,
  tableUsedBytes: 118,
  tablePinnedBytes: 119,
  tables: 120,
  logBytes: 121,
  logSegments: 122,
  logKept: { shardId: 9, reason: "follower" },
  manifestBytes: 123,
  filesToDelete: 124,
};

async function textOf(storage: StorageStatus | undefined): Promise<string> {
  const backend = new FakeBackend();
  backend.storage = storage;
  const page = must(pageAt("/metrics"));
  const { body } = await page.serve({ backend, calls: new CallCounts() }, new URLSearchParams());
  return body;
}

/** The numbers under names of our own. */
async function linesOf(storage: StorageStatus | undefined): Promise<readonly string[]> {
  const text = await textOf(storage);
  return text.split("\n").filter((line) => line.startsWith("flotilla_"));
}

describe("metrics of the store", () => {
  test("are all there", async () => {
    expect(await linesOf(STORAGE)).toEqual([
      "flotilla_event_loop_busy_seconds_total 1.25",
      'flotilla_writes_held_up{reason="diskFull"} 0',
      'flotilla_writes_held_up{reason="diskStalls"} 0',
      'flotilla_writes_held_up{reason="memory"} 1',
      'flotilla_writes_held_up{reason="log"} 0',
      'flotilla_writes_held_up{reason="merges"} 1',
      'flotilla_writes_held_up{reason="inFlight"} 0',
      'flotilla_writes_held_up{reason="alarm"} 0',
      "flotilla_memtable_bytes 101",
      "flotilla_memtable_budget_bytes 102",
      "flotilla_log_entries_cached_bytes 103",
      "flotilla_read_runs_max 104",
      "flotilla_trees_behind 105",
      "flotilla_flushes_total 106",
      "flotilla_merges_total 107",
      "flotilla_flush_written_bytes_total 108",
      "flotilla_merge_written_bytes_total 109",
      "flotilla_log_written_bytes_total 110",
      "flotilla_table_blocks_read_total 111",
      "flotilla_block_cache_bytes 112",
      'flotilla_jobs{state="running"} 113',
      'flotilla_jobs{state="waiting"} 114',
      "flotilla_disk_free_bytes 115",
      "flotilla_disk_reserved_bytes 116",
      "flotilla_table_bytes 117",
      "flotilla_table_used_bytes 118",
      "flotilla_table_pinned_bytes 119",
      "flotilla_tables 120",
      "flotilla_log_bytes 121",
      "flotilla_log_segments 122",
      'flotilla_log_oldest_segment_kept{shard="9",reason="follower"} 1',
      "flotilla_manifest_bytes 123",
      "flotilla_files_to_delete 124",
    ]);
  });

  test("have help and a kind, which their names fit", async () => {
    const text = await textOf(STORAGE);
    const kinds = [...text.matchAll(/^# TYPE (flotilla_\w+) (\w+)$/gm)];
    expect(kinds).toHaveLength(26);
    for (const [, name, kind] of kinds) {
      expect(text).toMatch(new RegExp(`^# HELP ${name} .{10,}\n# TYPE ${name} ${kind}\n`, "m"));
      expect([name, kind]).toEqual([name, name?.endsWith("_total") ? "counter" : "gauge"]);
    }
  });

  test("are not there where nobody counts them", async () => {
    expect(await linesOf(undefined)).toEqual(["flotilla_event_loop_busy_seconds_total 1.25"]);
    const { jobsRunning: _, logKept: __, ...rest } = STORAGE;
    const text = await textOf(rest);
    expect(text).not.toContain("flotilla_jobs");
    expect(text).not.toContain("flotilla_log_oldest_segment_kept");
    expect(text).toContain("flotilla_files_to_delete 124\n");
  });
});
