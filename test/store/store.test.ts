/** The store as its owner uses it: open, flush, drop, checkpoint, install, and what goes wrong. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { FAMILY } from "../../src/lsm/families.js";
import { writeIdentity } from "../../src/store/identity.js";
import { decodeCheckpointFiles, encodeCheckpointFiles } from "../../src/store/tree-checkpoint.js";
import type { Store } from "../../src/store/store.js";
import type { TreeInstall } from "../../src/store/tree-install.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { eventually } from "../support/eventually.js";
import { stateAt } from "../lsm/tree-model.js";
import {
  ALL,
  DIRECTORY,
  applyEntry,
  damageOf,
  difference,
  fill,
  flushedAt,
  openStore,
  replay,
  tables,
  write,
} from "./store-bench.js";

describe("store", () => {
  test("formats once, counts runs, keeps its id", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    expect(first.store.run).toBe(1);
    await first.store.close();
    const second = await openStore(disk);
    expect(second.store.run).toBe(2);
    expect(second.store.storeId).toBe(first.store.storeId);
    await second.store.close();
  });

  test("a second process is kept out", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await expect(openStore(disk)).rejects.toThrow("exists");
    await store.close();
    await (await openStore(disk)).store.close();
  });

  test("an opening that fails has let go of all files when the lock is free", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 20, 5);
    await first.store.close();
    disk.setContent(`${DIRECTORY}/tables/000000900.sst`, new Uint8Array(100));
    disk.inject({ code: "io", operation: "remove", pathPart: ".sst" });
    await expect(openStore(disk)).rejects.toThrow(DiskError);
    const operations = disk.operations;
    // The log of the failed opening would make its next segment, or note that it is idle.
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(disk.operations).toBe(operations);
    await (await openStore(disk)).store.close();
  });

  test("leaves a directory alone that has the identity of another store", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 20, 5);
    await first.store.close();
    writeIdentity(disk, DIRECTORY, "f".repeat(32));
    const files = [disk.list(DIRECTORY), disk.list(`${DIRECTORY}/log`), tables(disk)];
    await expect(openStore(disk)).rejects.toThrow("the manifest belongs to another store");
    const left = [disk.list(DIRECTORY), disk.list(`${DIRECTORY}/log`), tables(disk)];
    expect(left).toEqual(files);
  });

  test("refuses a directory that lost its identity or its manifest", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 20, 5);
    await store.close();
    const marker = disk.list(DIRECTORY).find((name) => name.startsWith("current-"))!;
    disk.remove(`${DIRECTORY}/${marker}`);
    await expect(openStore(disk)).rejects.toThrow(CorruptionError);
    disk.remove(`${DIRECTORY}/identity`);
    await expect(openStore(disk)).rejects.toThrow(CorruptionError);
  });

  test("any bit of its identity may rot: the manifest knows it too", async () => {
    const disk = new MemoryDisk();
    await (await openStore(disk)).store.close();
    const path = `${DIRECTORY}/identity`;
    const whole = disk.content(path);
    for (let bit = 0; bit < whole.length * 8; bit += 7) {
      disk.flipBit(path, bit);
      await (await openStore(disk)).store.close();
      expect(disk.content(path)).toEqual(whole);
    }
  });

  test("what was flushed and what is in the log make up the tree again", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 157, 10);
    expect(first.store.stats().compactions).toBeGreaterThan(0);
    expect(difference(must(first.store.tree(1)), 157)).toBeUndefined();
    await first.store.close();
    const second = await openStore(disk);
    const tree = must(second.store.tree(1));
    expect(tree.flushed).toEqual(flushedAt(150));
    expect(replay(second, 1)).toBe(157);
    expect(difference(tree, 157)).toBeUndefined();
    await second.store.close();
  });

  test("replay over what is already there changes nothing", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 40, 100);
    const tree = must(store.tree(1));
    const before = tree.stats().entryCount;
    for (let index = 1; index <= 40; index++) applyEntry(tree, index);
    expect(tree.stats().entryCount).toBe(before);
    await store.close();
  });

  test("deletes files that nothing refers to, and never uses their numbers again", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 20, 20);
    await first.store.close();
    const stray = `${DIRECTORY}/tables/000000900.sst`;
    disk.setContent(stray, new Uint8Array(100));
    const second = await openStore(disk);
    expect(disk.exists(stray)).toBe(false);
    const tree = must(second.store.tree(1));
    void write(second.store, tree, 21);
    await second.store.flushNow(tree, flushedAt(21));
    expect(tables(disk).at(-1)).toBe("000000901.sst");
    await second.store.close();
  });

  test("a missing table damages its tree and no other", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 20, 20);
    first.store.createTree(2, ALL, stateAt(0));
    await first.store.close();
    for (const name of tables(disk)) disk.remove(`${DIRECTORY}/tables/${name}`);
    const second = await openStore(disk);
    expect([...second.damaged.keys()]).toEqual([1]);
    expect(() => difference(must(second.store.tree(1)), 20)).toThrow(CorruptionError);
    await second.store.close();
  });

  test("dropping a tree is durable and frees its files", async () => {
    const disk = new MemoryDisk();
    const first = await openStore(disk);
    await fill(first.store, 30, 10);
    first.store.dropTree(1);
    await first.store.idle();
    expect(tables(disk)).toEqual([]);
    const survivor = disk.crash(new Prng(1), "loseAll");
    await first.store.close();
    const second = await openStore(survivor);
    expect([...second.store.trees()]).toEqual([]);
    await second.store.close();
  });

  test("a memtable over its size is flushed, and the log is trimmed after it", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { memtableBytesMax: 32 * 1024 });
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let index = 1; index <= 600; index++) {
      await write(store, tree, index);
      store.maybeFlush(tree, () => flushedAt(index));
    }
    await store.idle();
    const { flushes, commitMicros } = store.stats();
    expect(flushes).toBeGreaterThan(1);
    // Each flush is one edit of the manifest, and so is the tree.
    expect(commitMicros.reduce((sum, count) => sum + count)).toBeGreaterThan(flushes);
    expect(tree.memtableBytes()).toBeLessThan(128 * 1024);
    expect(difference(tree, 600)).toBeUndefined();
    await store.close();
  });

  test("an idle tree's flushed index moves on without a file", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const tree = store.createTree(1, ALL, stateAt(0));
    await store.flushNow(tree, stateAt(9));
    expect(tree.flushed).toEqual(stateAt(9));
    expect(tables(disk)).toEqual([]);
    await store.close();
    const second = await openStore(disk);
    expect(must(second.store.tree(1)).flushed).toEqual(stateAt(9));
    await second.store.close();
  });

  test("compacting revisions gives back space although nothing is written", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 110, 200);
    const tree = must(store.tree(1));
    await store.flushNow(tree, stateAt(110));
    const before = tree.stats().entryCount;
    await store.flushNow(tree, stateAt(111, { compactedRevision: 111 }));
    await store.idle();
    // 23 keys, of which tombstones go as well, and the one meta key.
    expect(tree.stats().entryCount).toBeLessThan(25);
    expect(before).toBeGreaterThan(200);
    await store.close();
  });

  test("a full disk keeps the memtable, and the flush succeeds when there is room", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let index = 1; index <= 50; index++) await write(store, tree, index);
    disk.quotaBytes = 0;
    const flushed = store.flushNow(tree, flushedAt(50));
    await until(() => store.full);
    expect(store.hasRoom(1)).toBe(false);
    expect(difference(tree, 50)).toBeUndefined();
    expect(tree.flushed.index).toBe(0);
    disk.quotaBytes = Infinity;
    await flushed;
    expect(store.full).toBe(false);
    expect(tree.flushed).toEqual(flushedAt(50));
    expect(difference(tree, 50)).toBeUndefined();
    await store.close();
  });

  test.each(["sync", "write"] as const)("a failed %s ends the store once", async (operation) => {
    const disk = new MemoryDisk();
    const failures: Error[] = [];
    const { store } = await openStore(disk, { onFailure: (error) => failures.push(error) });
    const tree = store.createTree(1, ALL, stateAt(0));
    await write(store, tree, 1);
    disk.inject({ code: "io", operation, pathPart: "tables", times: Infinity });
    await store.flushNow(tree, stateAt(1));
    expect(failures).toHaveLength(1);
    expect(tree.flushed.index).toBe(0);
    await write(store, tree, 2);
    await store.flushNow(tree, stateAt(2));
    expect(failures).toHaveLength(1);
    await store.close();
  });

  test("after a failure an edit is refused as a failure", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { onFailure: () => undefined });
    const install = store.beginInstall(2, ALL);
    install.prepare([]);
    disk.inject({ code: "io", operation: "write", pathPart: "manifest" });
    expect(() => store.createTree(1, ALL, stateAt(0))).toThrow(DiskError);
    expect(() => store.createTree(1, ALL, stateAt(0))).toThrow(DiskError);
    expect(() => install.finish(stateAt(0), [])).toThrow(DiskError);
    await store.close();
  });

  test("a cursor that meets damage lets go of the file", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { blockCacheBytes: 0 });
    await fill(store, 20, 20);
    const path = `${DIRECTORY}/tables/${tables(disk)[0]}`;
    const tree = must(store.tree(1));
    const cursor = tree.cursor(FAMILY.data, ALL, 100, "newest");
    disk.flipBit(path, 100);
    expect(() => cursor.next()).toThrow(CorruptionError);
    store.dropTree(1);
    await store.idle();
    expect(disk.exists(path)).toBe(false);
    await store.close();
  });

  test("rot in a table that nobody reads is found", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { scrubBytesPerSecond: 1024 ** 3 });
    const damaged = damageOf(store);
    store.createTree(2, ALL, stateAt(0));
    await fill(store, 20, 20);
    disk.flipBit(`${DIRECTORY}/tables/${tables(disk)[0]}`, 2000);
    await eventually(() => damaged.includes(1));
    expect(damaged).not.toContain(2);
    await store.close();
  });

  test("a table that is gone is found", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { scrubBytesPerSecond: 1024 ** 3 });
    const damaged = damageOf(store);
    await fill(store, 20, 20);
    disk.remove(`${DIRECTORY}/tables/${tables(disk)[0]}`);
    await eventually(() => damaged.includes(1));
    expect(damaged).not.toContain(2);
    await store.close();
  });

  test("a rotten segment of the log is let go of once the trees are flushed", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { scrubBytesPerSecond: 1024 ** 3 });
    const tree = store.createTree(1, ALL, stateAt(0));
    let last = 0;
    store.observe({
      flushed: (shardId, state) => store.log.trim(shardId, state.index),
      flushWanted: () => store.maybeFlush(tree, () => flushedAt(last)),
      trimWanted: () => false,
      treeDamaged: () => undefined,
      treeSound: () => undefined,
    });
    // Enough of them that it is not one of those that are kept to be used again.
    while (store.log.stats().segments < 6) await write(store, tree, ++last);
    const segment = `${DIRECTORY}/log/0000000001.log`;
    // In the payload of a batch in the middle of the segment.
    disk.flipBit(segment, 8 * (4096 * 8 + 100));
    await eventually(() => tree.flushed.index > 0 && !disk.exists(segment));
    await store.close();
    const { recovered } = await openStore(disk);
    expect(recovered.get(1)!.health.kind).toBe("intact");
  });

  test("damage met by a compaction is reported", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { compaction: { fanIn: 3 } });
    const damaged = damageOf(store);
    await fill(store, 20, 10);
    disk.flipBit(`${DIRECTORY}/tables/${tables(disk)[0]}`, 2000);
    const tree = must(store.tree(1));
    for (let index = 21; index <= 30; index++) await write(store, tree, index);
    await store.flushNow(tree, flushedAt(30));
    await store.idle();
    expect(damaged).toEqual([1]);
    await store.close();
  });
});

describe("checkpoint and install", () => {
  async function source(disk: MemoryDisk): Promise<Store> {
    const { store } = await openStore(disk, { compaction: { enabled: false } });
    await fill(store, 60, 13);
    const tree = must(store.tree(1));
    await store.flushNow(tree, flushedAt(60));
    return store;
  }

  /** Sends every chunk of a snapshot, changed by `damage`, in the order of `prng`. */
  async function send(from: Store, install: TreeInstall, prng: Prng): Promise<Uint8Array> {
    const checkpoint = await from.checkpointTree(1);
    const chunks: (() => void)[] = [];
    for (const [fileIndex, { file }] of checkpoint.files.entries()) {
      for (let offset = 0; offset < file.sizeBytes; offset += 1000) {
        const bytes = checkpoint.readChunk(fileIndex, offset, 1000);
        chunks.push(() => install.writeChunk(fileIndex, offset, bytes));
      }
    }
    while (chunks.length > 0) chunks.splice(prng.between(0, chunks.length - 1), 1)[0]!();
    const description = encodeCheckpointFiles(checkpoint.files);
    expect(decodeCheckpointFiles(description)).toEqual(checkpoint.files);
    checkpoint.release();
    return description;
  }

  const inOrder = { between: () => 0 } as unknown as Prng;

  test.each([
    ["in order", inOrder],
    ["in any order", new Prng(5)],
  ])("a tree arrives whole, chunks %s", async (_name, prng) => {
    const from = await source(new MemoryDisk());
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const install = store.beginInstall(1, ALL);
    const files = decodeCheckpointFiles(await send(from, install, prng));
    const tree = install.finish(flushedAt(60), files);
    expect(store.tree(1)).toBe(tree);
    expect(difference(tree, 60)).toBeUndefined();
    await store.close();
    const again = await openStore(disk.crash(new Prng(2), "loseAll"));
    expect(difference(must(again.store.tree(1)), 60)).toBeUndefined();
    await again.store.close();
    await from.close();
  });

  test("an install replaces what was there, in memory and on disk", async () => {
    const from = await source(new MemoryDisk());
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 17, 5);
    const old = must(store.tree(1));
    const before = tables(disk);
    const install = store.beginInstall(1, ALL);
    const files = decodeCheckpointFiles(await send(from, install, inOrder));
    const tree = install.finish(flushedAt(60), files);
    expect(tree).toBe(old);
    await store.idle();
    expect(difference(tree, 60)).toBeUndefined();
    expect(tables(disk).filter((name) => before.includes(name))).toEqual([]);
    await store.close();
    await from.close();
  });

  test("a damaged file is refused and nothing changes", async () => {
    const from = await source(new MemoryDisk());
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 17, 5);
    const before = tables(disk);
    const install = store.beginInstall(1, ALL);
    const files = decodeCheckpointFiles(await send(from, install, inOrder));
    install.writeChunk(0, 100, Uint8Array.of(1, 2, 3));
    expect(() => install.finish(flushedAt(60), files)).toThrow(CorruptionError);
    await store.idle();
    expect(tables(disk)).toEqual(before);
    expect(difference(must(store.tree(1)), 17)).toBeUndefined();
    await store.close();
    await from.close();
  });

  test("tells how much of a file has come without a gap", async () => {
    const { store } = await openStore(new MemoryDisk());
    const install = store.beginInstall(1, ALL);
    const chunk = new Uint8Array(1000);
    expect(install.receivedBytes(0)).toBe(0);
    for (const offset of [0, 1000, 3000]) install.writeChunk(0, offset, chunk);
    expect(install.receivedBytes(0)).toBe(2000);
    install.writeChunk(0, 2000, chunk);
    expect(install.receivedBytes(0)).toBe(3000);
    install.abort();
    await store.close();
  });

  test("an abort leaves no file", async () => {
    const from = await source(new MemoryDisk());
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const install = store.beginInstall(1, ALL);
    await send(from, install, inOrder);
    expect(tables(disk).length).toBeGreaterThan(0);
    install.abort();
    await store.idle();
    expect(tables(disk)).toEqual([]);
    expect(store.tree(1)).toBeUndefined();
    await store.close();
    await from.close();
  });

  test("the files of a checkpoint stay until it is released", async () => {
    const disk = new MemoryDisk();
    const store = await source(disk);
    const checkpoint = await store.checkpointTree(1);
    const held = tables(disk);
    store.dropTree(1);
    await store.idle();
    expect(tables(disk)).toEqual(held);
    expect(checkpoint.readChunk(0, 0, 10)).toHaveLength(10);
    checkpoint.release();
    checkpoint.release();
    await store.idle();
    expect(tables(disk)).toEqual([]);
    await store.close();
  });

  test("a checkpoint is made while writes and flushes go on", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    await fill(store, 20, 10);
    const tree = must(store.tree(1));
    let index = 20;
    // With each flush that comes through, the next memtable is frozen already.
    const freeze = (): void => {
      if (index >= 300) return;
      index++;
      void write(store, tree, index);
      void store.flushNow(tree, flushedAt(index));
    };
    store.observe({
      flushed: freeze,
      flushWanted: () => undefined,
      trimWanted: () => false,
      treeDamaged: () => undefined,
      treeSound: () => undefined,
    });
    freeze();
    freeze();
    const wanted = index;
    const checkpoint = await store.checkpointTree(1);
    expect(checkpoint.state.index).toBeGreaterThanOrEqual(wanted);
    expect(index).toBeLessThan(wanted + 10);
    checkpoint.release();
    await store.close();
  });

  test("a checkpoint of a tree that goes meanwhile is refused in words", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { onFailure: () => undefined });
    const tree = store.createTree(1, ALL, stateAt(0));
    void write(store, tree, 1);
    disk.inject({ code: "io", operation: "sync", pathPart: "tables" });
    void store.flushNow(tree, flushedAt(1));
    await expect(store.checkpointTree(1)).rejects.toThrow(/^there is no tree/);
    await expect(store.checkpointTree(2)).rejects.toThrow(/^there is no tree/);
    await store.close();
  });

  test("a cursor opened before an install goes on", async () => {
    const from = await source(new MemoryDisk());
    const { store } = await openStore(new MemoryDisk());
    await fill(store, 17, 5);
    const tree = must(store.tree(1));
    const cursor = tree.cursor(FAMILY.revisionIndex, ALL, Infinity, "all");
    cursor.next();
    const install = store.beginInstall(1, ALL);
    install.finish(flushedAt(60), decodeCheckpointFiles(await send(from, install, inOrder)));
    let count = 1;
    while (cursor.next()) count++;
    cursor.close();
    expect(count).toBe(17);
    await store.close();
    await from.close();
  });
});

/** Lets the event loop turn until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
