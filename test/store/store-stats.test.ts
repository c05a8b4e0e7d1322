/** What a store says of itself in numbers, each of which has a reason to move. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import type { StoreJob } from "../../src/store/jobs.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import type { Store } from "../../src/store/store.js";
import { eventually } from "../support/eventually.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, applyEntry, difference, fill, flushedAt, openStore } from "./store-bench.js";

/** Tiers from which on a tree is behind: twice three times the fan-in. */
const BEHIND = 24;
const NO_MERGES: StoreOptions = { compaction: { enabled: false } };

function tableBytes(disk: MemoryDisk): number {
  const names = disk.list("/store/tables").map((name) => `/store/tables/${name}`);
  return names.reduce((sum, path) => sum + disk.content(path).length, 0);
}

describe("numbers of a store", () => {
  test("begin with nothing, but for a manifest and limits", async () => {
    const { store } = await openStore(new MemoryDisk(), { memtablesBytesMax: 5000 });
    expect(store.stats()).toMatchObject({
      memtableBytes: 0,
      memtablesBytesMax: 5000,
      sizeBytes: 0,
      tableCount: 0,
      pinnedBytes: 0,
      removalCount: 0,
      blocksRead: 0,
      flushes: 0,
      flushBytesWritten: 0,
      mergeBytesWritten: 0,
      runsMax: 0,
      treesBehind: 0,
      full: false,
    });
    expect(store.stats().manifestBytes).toBeGreaterThan(0);
    expect(store.stats().jobs).toBeUndefined();
    await store.close();
  });

  test("tell what is in memory, what was flushed, and in how many runs it lies", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, NO_MERGES);
    await fill(store, 40, 10);
    const flushed = store.stats();
    expect(flushed).toMatchObject({ flushes: 4, runsMax: 4, tableCount: 4, memtableBytes: 0 });
    expect([flushed.sizeBytes, flushed.flushBytesWritten]).toEqual([
      tableBytes(disk),
      tableBytes(disk),
    ]);
    applyEntry(must(store.tree(1)), 41);
    expect(store.stats().memtableBytes).toBeGreaterThan(0);
    await store.close();
  });

  test("tell what merges have written, and what is only kept for a reader", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const tree = store.createTree(1, ALL, stateAt(0));
    await flushEach(store, 1, 3);
    const checkpoint = await store.checkpointTree(1);
    const held = store.stats().sizeBytes;
    await flushEach(store, 4, 12);
    await store.idle();
    const merged = store.stats();
    expect(merged.compactions).toBeGreaterThan(0);
    expect(merged.mergeBytesWritten).toBeGreaterThan(0);
    expect([merged.pinnedBytes, merged.runsMax]).toEqual([held, tree.version.runsMax]);
    checkpoint.release();
    expect(store.stats()).toMatchObject({ pinnedBytes: 0, removalCount: 3 });
    await store.idle();
    expect(store.stats().removalCount).toBe(0);
    expect(store.stats().sizeBytes).toBe(tableBytes(disk));
    await store.close();
  });

  test("count blocks that are not in the cache, and no others", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { ...NO_MERGES, blockCacheBytes: 1024 * 1024 });
    await fill(store, 40, 40);
    const tree = must(store.tree(1));
    expect(store.stats().blocksRead).toBe(0);
    expect(difference(tree, 40)).toBeUndefined();
    const { blocksRead, blockCacheBytes } = store.stats();
    expect(blocksRead).toBeGreaterThan(0);
    expect(blockCacheBytes).toBeGreaterThan(0);
    expect(difference(tree, 40)).toBeUndefined();
    expect(store.stats().blocksRead).toBe(blocksRead);
    await store.close();
  });

  test("tell of trees whose merges are behind, until they are done", async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const { store } = await openStore(new MemoryDisk(), {}, (job) =>
      isMerge(job) ? gate : Promise.resolve(),
    );
    const tree = store.createTree(1, ALL, stateAt(0));
    await flushEach(store, 1, BEHIND - 1);
    expect([store.stats().treesBehind, store.lags(tree)]).toEqual([0, false]);
    await flushEach(store, BEHIND, BEHIND);
    expect([store.stats().treesBehind, store.lags(tree)]).toEqual([1, true]);
    expect(store.stats().runsMax).toBe(BEHIND);
    go();
    await store.idle();
    expect([store.stats().treesBehind, store.lags(tree)]).toEqual([0, false]);
    await store.close();
  });

  test("tell that memtables take more than they may", async () => {
    const { store } = await openStore(new MemoryDisk(), { memtablesBytesMax: 16 * 1024 });
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let index = 1; store.stats().memtableBytes <= 16 * 1024; index++) applyEntry(tree, index);
    await eventually(() => store.isMemoryFull, 2000);
    await store.flushNow(tree, flushedAt(500));
    expect(store.isMemoryFull).toBe(false);
    await store.close();
  });
});

function isMerge(job: StoreJob): boolean {
  return job.kind === "compact" || (job.kind === "pack" && job.members[0]?.kind === "merge");
}

async function flushEach(store: Store, first: number, last: number): Promise<void> {
  const tree = must(store.tree(1));
  for (let index = first; index <= last; index++) {
    applyEntry(tree, index);
    await store.flushNow(tree, flushedAt(index));
  }
}
