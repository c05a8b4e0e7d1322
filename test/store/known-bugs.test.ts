/**
 * Bugs that other engines had, as scenarios, where no other test tells their story already. The
 * table of all of them is in test/lsm/README.md.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { Prng } from "../../src/base/prng.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Store } from "../../src/store/store.js";
import type { TreeCheckpoint } from "../../src/store/tree-checkpoint.js";
import type { TreeInstall } from "../../src/store/tree-install.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { Machine } from "../../jepsen-style/storage/machine.js";
import { Owner } from "../../jepsen-style/storage/owner.js";
import { collect, stateAt } from "../lsm/tree-model.js";
import {
  ALL,
  DIRECTORY,
  applyEntry,
  difference,
  flushedAt,
  openStore,
  replay,
  write,
} from "./store-bench.js";

/** Writes entries [from, to] of shard 1 and flushes behind the last. */
async function fill(store: Store, from: number, to: number): Promise<void> {
  const tree = store.tree(1) ?? store.createTree(1, ALL, stateAt(0));
  for (let index = from; index <= to; index++) void write(store, tree, index);
  await store.flushNow(tree, flushedAt(to));
}

function tablesOf(disk: MemoryDisk): string[] {
  return disk.list(`${DIRECTORY}/tables`).map((name) => `${DIRECTORY}/tables/${name}`);
}

function copyChunks(from: TreeCheckpoint, to: TreeInstall): void {
  for (const [fileIndex, { file }] of from.files.entries()) {
    to.writeChunk(fileIndex, 0, from.readChunk(fileIndex, 0, file.sizeBytes));
  }
}

const CALM = { compaction: { enabled: false } };

describe("bugs that other engines had", () => {
  test("an error in a table's first block skips the table (RocksDB)", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { ...CALM, blockCacheBytes: 0 });
    await fill(store, 1, 30);
    await fill(store, 31, 60);
    const tree = must(store.tree(1));
    const scan = (): unknown => {
      const cursor = tree.cursor(FAMILY.data, ALL, Infinity, "newest");
      const items = collect(cursor);
      cursor.close();
      return items;
    };
    expect(difference(tree, 60)).toBeUndefined();
    disk.inject({ code: "io", operation: "read", pathPart: "000000001.sst", times: 2 });
    expect(scan).toThrow(CorruptionError);
    disk.flipBit(tablesOf(disk)[0]!, 5);
    expect(scan).toThrow(CorruptionError);
    await store.close();
    const again = await openStore(disk, { compaction: { fanIn: 2 } });
    const damaged: number[] = [];
    again.store.observe({
      flushed: () => undefined,
      flushWanted: () => undefined,
      trimWanted: () => false,
      treeDamaged: (shardId) => damaged.push(shardId),
      treeSound: () => undefined,
    });
    await again.store.idle();
    expect(damaged).toEqual([1]);
    await again.store.close();
  });

  test("a flush that failed is tried again behind a later one (RocksDB)", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const tree = store.createTree(1, ALL, stateAt(0));
    const seen: number[] = [];
    store.observe({
      flushed: (_shardId, state) => seen.push(state.index),
      flushWanted: () => undefined,
      trimWanted: () => false,
      treeDamaged: () => undefined,
      treeSound: () => undefined,
    });
    disk.inject({ code: "noSpace", operation: "create", pathPart: "tables", times: 2 });
    for (let index = 1; index <= 30; index++) {
      await write(store, tree, index);
      if (index % 10 === 0) void store.flushNow(tree, flushedAt(index));
    }
    await store.flushNow(tree, flushedAt(30));
    expect(seen).toEqual([10, 20, 30]);
    expect(difference(tree, 30)).toBeUndefined();
    await store.close();
  });

  test("a range that was deleted comes back (RocksDB's range tombstones)", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 1, 40);
    first.store.dropTree(1);
    first.store.log.clean(1);
    const tree = first.store.createTree(1, ALL, stateAt(0));
    expect(tree.get(FAMILY.meta, new TextEncoder().encode("applied"), 0, 7, Infinity)).toBe(
      undefined,
    );
    await fill(first.store, 1, 12);
    await first.store.idle();
    const survivor = disk.crash(new Prng(1), "loseAll");
    await first.store.close();
    const second = await openStore(survivor);
    expect(replay(second, 1)).toBe(12);
    expect(difference(must(second.store.tree(1)), 12)).toBeUndefined();
    await second.store.close();
  });

  test("a snapshot over old data, then collected at the bottom, loses rows (TiKV)", async () => {
    const from = (await openStore(new MemoryDisk(), CALM)).store;
    await fill(from, 1, 70);
    const checkpoint = await from.checkpointTree(1);
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { compaction: { fanIn: 2 } });
    await fill(store, 1, 20);
    await fill(store, 21, 33);
    for (let round = 0; round < 2; round++) {
      const install = store.beginInstall(1, ALL);
      copyChunks(checkpoint, install);
      install.finish(checkpoint.state, checkpoint.files);
      store.log.reset(1, 1, 70, 1);
    }
    for (let index = 71; index <= 99; index++) {
      await write(store, must(store.tree(1)), index);
      if (index % 7 === 0) await store.flushNow(must(store.tree(1)), flushedAt(index));
    }
    await store.idle();
    expect(store.stats().compactions).toBeGreaterThan(0);
    expect(difference(must(store.tree(1)), 99)).toBeUndefined();
    checkpoint.release();
    await store.close();
    await from.close();
  });

  test("a merge takes versions from a reader that is under way (SurrealKV)", async () => {
    const { store } = await openStore(new MemoryDisk(), { compaction: { fanIn: 2 } });
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let index = 1; index <= 25; index++) void write(store, tree, index);
    await store.flushNow(tree, stateAt(25));
    const cursor = tree.cursor(FAMILY.data, ALL, 25, "all");
    for (let index = 26; index <= 60; index++) void write(store, tree, index);
    await store.flushNow(tree, stateAt(60, { compactedRevision: 60 }));
    await store.idle();
    expect(store.stats().compactions).toBeGreaterThan(0);
    expect(collect(cursor)).toHaveLength(25);
    cursor.close();
    await store.close();
  });

  test("a checkpoint lacks what waits for its flush (Pebble)", async () => {
    const { store } = await openStore(new MemoryDisk());
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let index = 1; index <= 20; index++) {
      void write(store, tree, index);
      if (index % 10 === 0) tree.freeze(flushedAt(index));
    }
    applyEntry(tree, 21);
    const checkpoint = await store.checkpointTree(1);
    expect(checkpoint.state).toEqual(flushedAt(20));
    const { store: other } = await openStore(new MemoryDisk());
    const install = other.beginInstall(1, ALL);
    copyChunks(checkpoint, install);
    install.finish(checkpoint.state, checkpoint.files);
    expect(difference(must(other.tree(1)), 20)).toBeUndefined();
    checkpoint.release();
    await store.close();
    await other.close();
  });

  test.each(["flush", "merge"])("a snapshot arrives during a %s (etcd)", async (job) => {
    const machine = new Machine(new MemoryDisk({ completion: "manual" }), 1);
    const options = {
      compaction: { fanIn: 2, enabled: job === "merge" },
      logOptions: { segmentSizeBytes: 64 * 1024 },
    };
    const owner = must(await Owner.open(machine, options, new Map()));
    owner.create(1);
    const put = (): void => owner.change(1, { kind: "put", key: "k", size: 20 });
    put();
    await machine.wait(owner.flush(1));
    await owner.settle();
    const checkpoint = await owner.store.checkpointTree(1);
    const install = owner.store.beginInstall(1, ALL);
    copyChunks(checkpoint, install);
    install.prepare(checkpoint.files);
    put();
    void owner.flush(1);
    // The flush is done, and the merge that follows it waits for its turn.
    if (job === "merge") await machine.until(() => owner.store.stats().flushes === 2);
    const before = checkpoint.state;
    install.finish(before, checkpoint.files);
    owner.store.log.reset(1, 1, before.index, before.term);
    checkpoint.release();
    // The job that began before the snapshot ends behind it: its outcome is void.
    await owner.settle();
    expect(owner.tree(1).flushed).toEqual(before);
    expect(owner.tree(1).version.slices.map((slice) => slice.maxVersion)).toEqual([1, 1, 1]);
    await owner.close();
  });
});
