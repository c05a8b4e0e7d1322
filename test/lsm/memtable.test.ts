/** The memtable's tree against a sorted list. */
import { describe, expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { EMPTY_BYTES } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { Arena, SlabPool } from "../../src/lsm/arena.js";
import { MemtableCursor } from "../../src/lsm/memtable-cursor.js";
import { MemtableTree } from "../../src/lsm/memtable-tree.js";
import type { Item } from "./tree-model.js";
import { compareItems, itemOf } from "./tree-model.js";

function emptyTree(): MemtableTree {
  const pool = new SlabPool();
  return new MemtableTree(new Arena(pool), pool);
}

function insert(tree: MemtableTree, item: Item): boolean {
  const { key, version, tombstone, value } = item;
  return tree.insert(key, 0, key.length, version, tombstone, value, 0, value.length);
}

function walk(tree: MemtableTree): Item[] {
  const cursor = new MemtableCursor(tree);
  const items: Item[] = [];
  while (cursor.next()) items.push(itemOf(cursor.slot));
  return items;
}

/** The model: each (key, version) once, the first insert wins, sorted. */
function sorted(items: readonly Item[]): Item[] {
  const model: Item[] = [];
  for (const item of items) {
    if (!model.some((other) => compareItems(other, item) === 0)) model.push(item);
  }
  return model.toSorted(compareItems);
}

const itemArbitrary: fc.Arbitrary<Item> = fc.record({
  key: fc.oneof(
    fc.uint8Array({ maxLength: 3 }),
    fc.array(fc.constantFrom(0, 1, 0xff), { maxLength: 9 }).map((bytes) => Uint8Array.from(bytes)),
  ),
  version: fc.oneof(fc.nat(5), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1)),
  tombstone: fc.boolean(),
  value: fc.uint8Array({ maxLength: 60 }),
});

describe("memtable tree", () => {
  test.prop([fc.array(itemArbitrary, { maxLength: 300 })])("is a sorted map", (items) => {
    const tree = emptyTree();
    for (const item of items) insert(tree, item);
    const model = sorted(items);
    expect(walk(tree)).toEqual(model);
    expect(tree.entryCount).toBe(model.length);
  });

  test.prop([fc.array(itemArbitrary, { maxLength: 200 }), itemArbitrary])(
    "seeks to the first entry at or after a place",
    (items, target) => {
      const tree = emptyTree();
      for (const item of items) insert(tree, item);
      const cursor = new MemtableCursor(tree);
      const isFound = cursor.seek(target.key, 0, target.key.length, target.version);
      const expected = sorted(items).find((item) => compareItems(item, target) >= 0);
      expect(isFound ? itemOf(cursor.slot) : undefined).toEqual(expected);
    },
  );

  test("keeps order over many splits, in random, rising and falling order", () => {
    const prng = new Prng(7);
    const makers = [
      (): number => prng.u32(),
      (i: number): number => i,
      (i: number): number => 50_000 - i,
    ];
    for (const make of makers) {
      const tree = emptyTree();
      const items: Item[] = [];
      for (let i = 0; i < 20_000; i++) {
        const key = new TextEncoder().encode(`user${String(make(i)).padStart(10, "0")}`);
        const item = { key, version: i, tombstone: i % 7 === 0, value: key.subarray(0, i % 9) };
        items.push(item);
        if (!insert(tree, item)) throw new Error("a new entry was taken for an old one");
      }
      expect(walk(tree).map((item) => item.version)).toEqual(
        items.toSorted(compareItems).map((item) => item.version),
      );
      expect(items.filter((item) => insert(tree, item))).toEqual([]);
    }
  });

  test("a cursor finds its place again after inserts", () => {
    const prng = new Prng(3);
    const tree = emptyTree();
    const keyOf = (n: number): Uint8Array => Uint8Array.of(n >>> 8, n & 0xff);
    for (let n = 0; n < 2000; n += 2) {
      insert(tree, { key: keyOf(n), version: 1, tombstone: false, value: EMPTY_BYTES });
    }
    const cursor = new MemtableCursor(tree);
    let seen = -1;
    let evenCount = 0;
    while (cursor.next()) {
      const { key } = itemOf(cursor.slot);
      const n = key[0]! * 256 + key[1]!;
      expect(n).toBeGreaterThan(seen);
      seen = n;
      if (n % 2 === 0) evenCount++;
      const odd = prng.between(0, 999) * 2 + 1;
      insert(tree, { key: keyOf(odd), version: 1, tombstone: false, value: EMPTY_BYTES });
    }
    expect(evenCount).toBe(1000);
  });

  test("a value may be a part of a larger array", () => {
    const tree = emptyTree();
    const value = Uint8Array.from({ length: 100 }, (_, i) => i);
    tree.insert(Uint8Array.of(1), 0, 1, 9, false, value, 10, 80);
    const expected = [...value.subarray(10, 90)];
    expect([...walk(tree)[0]!.value]).toEqual(expected);
  });
});
