/** Trees that are split, and that lose a range, by edits of the manifest alone. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { FAMILY } from "../../src/lsm/families.js";
import { clipOf } from "../../src/lsm/slice.js";
import { checkStore } from "../../src/store/store-check.js";
import type { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { collect } from "../lsm/tree-model.js";
import {
  EXCISE_AT,
  LEFT,
  RIGHT,
  SPLIT_AT,
  applyAt,
  differenceAt,
  fillTo,
  modelAt,
  replayAt,
  writeAt,
} from "./cut-bench.js";
import { ALL, DIRECTORY, damageOf, flushedAt, openStore, tables } from "./store-bench.js";

const CALM = { compaction: { enabled: false } } as const;
/** Every level has tables of a few entries. */
const LEVELED = {
  compaction: { style: "leveled", fanIn: 2, levelBaseBytes: 512, tableBytesMax: 512 },
} as const;

function clippedCount(store: Store, shardId: number): number {
  return must(store.tree(shardId)).version.slices.filter((slice) => clipOf(slice) !== undefined)
    .length;
}

describe("a tree that is split", () => {
  test("is two, each with its keys, and no table is written", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    await fillTo(store, SPLIT_AT - 1, 5);
    await store.flushNow(must(store.tree(1)), flushedAt(SPLIT_AT - 1));
    const before = tables(disk);
    const cursor = must(store.tree(1)).cursor(FAMILY.data, ALL, Infinity, "newest");
    await writeAt(store, 1, SPLIT_AT);
    expect(tables(disk)).toEqual(before);
    expect(clippedCount(store, 1)).toBeGreaterThan(0);
    for (const shardId of [1, 2]) {
      expect(differenceAt(must(store.tree(shardId)), SPLIT_AT)).toBeUndefined();
    }
    const whole = modelAt(0, SPLIT_AT - 1).scan(FAMILY.data, ALL, Infinity, "newest");
    expect(collect(cursor)).toHaveLength(whole.length);
    cursor.close();
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
    const again = await openStore(disk, CALM);
    for (const shardId of [1, 2]) {
      expect(await replayAt(again, shardId)).toBe(SPLIT_AT);
      expect(differenceAt(must(again.store.tree(shardId)), SPLIT_AT)).toBeUndefined();
    }
    await again.store.close();
  });

  test.each([
    ["tiers", {}],
    ["tiers that are merged at once", { compaction: { fanIn: 2 } }],
    ["levels", LEVELED],
  ] as const)("and then written on, in %s", async (_style, options) => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, options);
    await fillTo(store, 60, 4);
    await store.idle();
    for (const shardId of [1, 2]) {
      expect(differenceAt(must(store.tree(shardId)), 60)).toBeUndefined();
    }
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
  });

  test("shares what has no keys of shards", async () => {
    const { store } = await openStore(new MemoryDisk(), CALM);
    await fillTo(store, SPLIT_AT, 5);
    const meta = utf8("applied");
    for (const shardId of [1, 2]) {
      const view = must(store.tree(shardId)).get(FAMILY.meta, meta, 0, meta.length, Infinity);
      expect(view?.version).toBe(SPLIT_AT - 1);
    }
    await store.close();
  });

  test("may be gone itself, and become many", async () => {
    const { store } = await openStore(new MemoryDisk(), CALM);
    await fillTo(store, 15, 4);
    const bounds = ["", "key1", "key13", "key2", "key3", "key9"].map(utf8);
    const parts = bounds.map((start, at) => ({
      shardId: 10 + at,
      range: { start, end: bounds[at + 1] },
      flushed: flushedAt(16),
    }));
    const made = await store.splitTree({ shardId: 1, before: flushedAt(15), parts });
    expect(store.tree(1)).toBeUndefined();
    const seen = made.flatMap((tree) => {
      const cursor = tree.cursor(FAMILY.data, ALL, Infinity, "newest");
      const keys = collect(cursor).map(({ key }) => utf8Text(key));
      cursor.close();
      return keys;
    });
    const whole = modelAt(0, 15).scan(FAMILY.data, ALL, Infinity, "newest");
    expect(seen).toEqual(whole.map(({ key }) => utf8Text(key)));
    for (const { shardId } of made) store.dropTree(shardId);
    await store.idle();
    expect(store.stats().tableCount).toBe(0);
    await store.close();
  });

  test("keeps a file until no tree shows any of it", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    await fillTo(store, SPLIT_AT, 100);
    expect(tables(disk)).toHaveLength(1);
    store.dropTree(1);
    await store.idle();
    expect(tables(disk)).toHaveLength(1);
    expect(differenceAt(must(store.tree(2)), SPLIT_AT)).toBeUndefined();
    store.dropTree(2);
    await store.idle();
    expect(tables(disk)).toEqual([]);
    await store.close();
  });

  test("writes its part anew when the other part is gone", async () => {
    const { store } = await openStore(new MemoryDisk());
    const tree = store.createTree(1, ALL, flushedAt(0));
    const value = new Uint8Array(100);
    for (let i = 100; i < 400; i++) {
      const key = utf8(`key${i}`);
      tree.insert(FAMILY.data, key, 0, key.length, i, false, value, 0, value.length);
    }
    const range = { start: utf8("key130"), end: undefined };
    const parts = [
      { shardId: 1, range: { start: ALL.start, end: range.start }, flushed: flushedAt(400) },
      { shardId: 2, range, flushed: flushedAt(400) },
    ];
    await store.splitTree({ shardId: 1, before: flushedAt(399), parts });
    await store.idle();
    expect([1, 2].map((shardId) => clippedCount(store, shardId))).toEqual([1, 1]);
    const wholeBytes = store.stats().sizeBytes;
    await store.exciseRange({
      shardId: 2,
      before: flushedAt(400),
      range,
      after: flushedAt(401),
    });
    await store.idle();
    expect([1, 2].map((shardId) => clippedCount(store, shardId))).toEqual([0, 0]);
    expect(store.stats().sizeBytes).toBeLessThan(wholeBytes / 4);
    const cursor = tree.cursor(FAMILY.data, ALL, Infinity, "newest");
    expect(collect(cursor)).toHaveLength(30);
    cursor.close();
    await store.close();
  });

  test("goes out in files of its own, and as a directory with what is shared", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    await fillTo(store, SPLIT_AT, 7);
    await store.checkpointTo("/copy");
    expect(clippedCount(store, 2)).toBeGreaterThan(0);
    const checkpoint = await store.checkpointTree(2);
    expect(clippedCount(store, 2)).toBe(0);
    const others = new Set(must(store.tree(1)).version.slices.map(({ fileNumber }) => fileNumber));
    expect(checkpoint.files.filter(({ file }) => others.has(file.fileNumber))).toEqual([]);
    const install = store.beginInstall(3, RIGHT);
    for (const [at, { file }] of checkpoint.files.entries()) {
      install.writeChunk(at, 0, checkpoint.readChunk(at, 0, file.sizeBytes));
    }
    const installed = install.finish(flushedAt(SPLIT_AT), checkpoint.files);
    checkpoint.release();
    const model = modelAt(2, SPLIT_AT).scan(FAMILY.data, ALL, Infinity, "newest");
    const cursor = installed.cursor(FAMILY.data, ALL, Infinity, "newest");
    expect(collect(cursor)).toEqual(model);
    cursor.close();
    await store.close();
    expect(checkStore(disk, "/copy").findings.filter(({ isDamage }) => isDamage)).toEqual([]);
  });

  test("is refused where a file cannot be looked into, and stays as it was", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { ...CALM, blockCacheBytes: 0 });
    await fillTo(store, SPLIT_AT - 1, 100);
    await store.flushNow(must(store.tree(1)), flushedAt(SPLIT_AT - 1));
    const damaged = damageOf(store);
    for (let byte = 8; byte < 400; byte += 8)
      disk.flipBit(`${DIRECTORY}/tables/${tables(disk)[0]!}`, byte);
    await expect(writeAt(store, 1, SPLIT_AT)).rejects.toMatchObject({ name: "CorruptionError" });
    expect(damaged).toEqual([1]);
    expect(store.tree(2)).toBeUndefined();
    await store.close();
  });

  test("is refused without room, and done when there is some", async () => {
    const disk = new MemoryDisk({ quotaBytes: 64 * 1024 * 1024 });
    const { store } = await openStore(disk, CALM);
    await fillTo(store, SPLIT_AT - 1, 6);
    await store.flushNow(must(store.tree(1)), flushedAt(SPLIT_AT - 1));
    disk.quotaBytes -= disk.freeBytes(DIRECTORY);
    const refused = await refusal(store);
    expect(refused).toMatchObject({ code: "noSpace" });
    expect(store.tree(2)).toBeUndefined();
    disk.quotaBytes = Infinity;
    await applyAt(store, 1, SPLIT_AT);
    for (const shardId of [1, 2]) {
      expect(differenceAt(must(store.tree(shardId)), SPLIT_AT)).toBeUndefined();
    }
    await store.close();
  });

  test("takes the store down where the manifest cannot be written", async () => {
    const disk = new MemoryDisk();
    const failures: Error[] = [];
    const { store } = await openStore(disk, {
      ...CALM,
      onFailure: (error) => failures.push(error),
    });
    await fillTo(store, SPLIT_AT - 1, 6);
    await store.flushNow(must(store.tree(1)), flushedAt(SPLIT_AT - 1));
    disk.inject({ code: "io", operation: "write", pathPart: "manifest" });
    await expect(writeAt(store, 1, SPLIT_AT)).rejects.toMatchObject({ code: "io" });
    expect(failures).toHaveLength(1);
    await store.close();
  });
});

/** Fills up what the manifest has reserved, with trees, until it is refused. */
async function refusal(store: Store): Promise<unknown> {
  try {
    for (let shardId = 1000; shardId < 20_000; shardId++) {
      store.createTree(shardId, { start: LEFT.end!, end: undefined }, flushedAt(0));
    }
    return undefined;
  } catch {
    // Full to the last tree; a split needs more than that.
  }
  return writeAt(store, 1, SPLIT_AT).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("a tree that loses a range", () => {
  test("has the rest, in slices that are cut in two", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    await fillTo(store, EXCISE_AT, 100);
    expect(differenceAt(must(store.tree(1)), EXCISE_AT)).toBeUndefined();
    const { slices } = must(store.tree(1)).version;
    const parts = slices.filter(({ family }) => family === FAMILY.data);
    expect(new Set(parts.map(({ fileNumber }) => fileNumber)).size).toBeLessThan(parts.length);
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
    const again = await openStore(disk, CALM);
    expect(await replayAt(again, 1)).toBe(EXCISE_AT);
    expect(differenceAt(must(again.store.tree(1)), EXCISE_AT)).toBeUndefined();
    await again.store.close();
  });

  test("of all its keys lets go of its tables", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    await fillTo(store, 15, 4);
    const tree = must(store.tree(1));
    await store.exciseRange({
      shardId: 1,
      before: flushedAt(15),
      range: ALL,
      after: flushedAt(16),
    });
    expect(tree.version.runs[FAMILY.data]).toEqual([]);
    expect(tree.flushed.index).toBe(16);
    expect(tree.version.runs[FAMILY.meta]).not.toEqual([]);
    await store.close();
  });

  test("is not written over by a merge that was under way", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { compaction: { fanIn: 2 } });
    await fillTo(store, 60, 2);
    // Merges run after every flush: one of them was cut across, or all of them are done.
    await store.idle();
    for (const shardId of [1, 2]) {
      expect(differenceAt(must(store.tree(shardId)), 60)).toBeUndefined();
    }
    await store.close();
  });
});
