/** When nothing is being written to a tree, and what waits for that. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { must } from "../../src/base/assert.js";
import { EMPTY_BYTES, utf8 } from "../../src/base/bytes.js";
import { SlabPool } from "../../src/lsm/arena.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { FAMILY } from "../../src/lsm/families.js";
import { TableSet } from "../../src/lsm/table-set.js";
import { Tree } from "../../src/lsm/tree.js";
import { QuietTrees } from "../../src/store/quiet-trees.js";
import { stateAt } from "../lsm/tree-model.js";
import { FakeTimers } from "../support/fake-timers.js";
import { openStore, write } from "./store-bench.js";

const VALUE = utf8("a value");

function newTree(): Tree {
  const tables = new TableSet(new MemoryDisk(), "/tables", new BlockCache(0), () => undefined);
  const range = { start: EMPTY_BYTES, end: undefined };
  return new Tree(1, { range, flushed: stateAt(0), slices: [], tables, pool: new SlabPool() });
}

function put(tree: Tree, version: number): void {
  const key = utf8(`key ${version}`.repeat(100));
  tree.insert(FAMILY.data, key, 0, key.length, version, false, VALUE, 0, VALUE.length);
}

describe("a quiet tree", () => {
  test("is one to which nothing was written for a while, and is told once", () => {
    const timers = new FakeTimers();
    const told: Tree[] = [];
    const quiet = new QuietTrees(timers, (trees) => told.push(...trees));
    const tree = newTree();
    expect(quiet.isQuiet(tree)).toBe(true);
    quiet.stir(tree);
    for (let version = 1; version < 10; version++) {
      put(tree, version);
      timers.advance(1000);
      expect([quiet.isQuiet(tree), told]).toEqual([false, []]);
    }
    timers.advance(2000);
    expect(quiet.isQuiet(tree)).toBe(true);
    expect(told).toEqual([tree]);
    expect(timers.waiting).toBe(0);
    timers.advance(10_000);
    expect(told).toHaveLength(1);
  });

  test("is so at once where somebody knows it", () => {
    const timers = new FakeTimers();
    const told: Tree[] = [];
    const quiet = new QuietTrees(timers, (trees) => told.push(...trees));
    const [one, other] = [newTree(), newTree()];
    quiet.stir(one);
    quiet.stir(other);
    quiet.forget(other);
    quiet.rest();
    expect(told).toEqual([one]);
    expect(timers.waiting).toBe(0);
  });
});

describe("a store", () => {
  test("merges what lies twice once nobody writes, and not at every flush", async () => {
    const { store } = await openStore(new MemoryDisk(), { compaction: { fanIn: 8 } });
    const tree = must(
      store.tree(1) ?? store.createTree(1, { start: EMPTY_BYTES, end: undefined }, stateAt(0)),
    );
    for (let index = 1; index <= 4; index++) {
      await write(store, tree, index);
      await store.flushNow(tree, stateAt(index, { compactedRevision: index }));
    }
    expect(store.stats().compactions).toBe(0);
    await store.idle();
    expect(store.stats().compactions).toBeGreaterThan(0);
    await store.close();
  });
});
