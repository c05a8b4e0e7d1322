/** Sstables: what goes in comes out, and no flipped bit goes unseen. */
import { describe, expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { hash32 } from "../../src/base/hash.js";
import { hex, utf8, utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { EntrySlot } from "../../src/lsm/entry-slot.js";
import type { FamilyId } from "../../src/lsm/families.js";
import { FAMILY } from "../../src/lsm/families.js";
import { buildFilter, mayContain } from "../../src/lsm/filter.js";
import type { TableFile } from "../../src/lsm/slice.js";
import { APART_VALUE_SIZE_BYTES_MIN } from "../../src/lsm/sstable-format.js";
import { SstableCursor } from "../../src/lsm/sstable-cursor.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { FlakyDisk } from "../support/flaky-disk.js";
import type { Item } from "./tree-model.js";
import { compareItems, itemOf, slotOf } from "./tree-model.js";

const PATH = "/table.sst";
const SALT = 0x1234_5678;

function write(disk: MemoryDisk, families: ReadonlyMap<FamilyId, readonly Item[]>): TableFile {
  const handle = disk.open(PATH, { create: true });
  const writer = new SstableWriter(handle, 7, SALT);
  for (const [family, items] of families) {
    writer.beginFamily(family);
    for (const item of items) writer.add(slotOf(item));
    writer.endFamily();
  }
  const { file } = writer.finish();
  handle.close();
  return file;
}

function open(disk: MemoryDisk, file: TableFile, cacheBytes = 1 << 20): Sstable {
  return new Sstable(new OpenFiles(disk, 1), PATH, file, new BlockCache(cacheBytes));
}

function walk(table: Sstable, family: FamilyId): Item[] {
  const cursor = new SstableCursor(table.section(family), Infinity);
  const items: Item[] = [];
  while (cursor.next()) items.push(itemOf(cursor.slot));
  return items;
}

function get(
  table: Sstable,
  family: FamilyId,
  key: Uint8Array,
  maxVersion: number,
): Item | undefined {
  const slot = new EntrySlot();
  const hash = hash32(key);
  const isFound = table.section(family).get(key, 0, key.length, hash, maxVersion, slot);
  return isFound ? itemOf(slot) : undefined;
}

function manyItems(count: number, seed: number): Item[] {
  const prng = new Prng(seed);
  const items: Item[] = [];
  for (let i = 0; i < count; i++) {
    const key = utf8(`key${String(i).padStart(6, "0")}`);
    const versions = prng.between(1, 3);
    for (let v = versions; v > 0; v--) {
      const length = prng.chance(0.2) ? prng.between(250, 3000) : prng.between(0, 40);
      const value = new Uint8Array(length).fill(prng.u32());
      items.push({ key, version: i * 4 + v, tombstone: prng.chance(0.1), value });
    }
  }
  return items;
}

const itemsArbitrary: fc.Arbitrary<Item[]> = fc
  .uniqueArray(
    fc.record({
      key: fc.uint8Array({ maxLength: 6 }),
      version: fc.oneof(fc.nat(4), fc.constantFrom(2 ** 40, 2 ** 53 - 1)),
      tombstone: fc.boolean(),
      value: fc.oneof(
        fc.uint8Array({ maxLength: 8 }),
        fc.uint8Array({ minLength: 256, maxLength: 300 }),
      ),
    }),
    { minLength: 1, maxLength: 60, comparator: (a, b) => compareItems(a, b) === 0 },
  )
  .map((items) => items.toSorted(compareItems));

function fingerprint(item: Item): string {
  const value = `${item.value.length} of ${item.value[0]}, ${item.value.at(-1)}`;
  return `${utf8Text(item.key)} ${item.version} ${item.tombstone} ${value}`;
}

describe("sstable", () => {
  test.prop([itemsArbitrary, itemsArbitrary], { numRuns: 50 })(
    "gives back what was written",
    (data, leases) => {
      const disk = new MemoryDisk();
      const families = new Map<FamilyId, Item[]>([
        [FAMILY.data, data],
        [FAMILY.lease, leases],
      ]);
      const table = open(disk, write(disk, families));
      for (const [family, items] of families) {
        expect(walk(table, family)).toEqual(items);
        const { info } = table.section(family);
        expect(info.entryCount).toBe(items.length);
        expect(info.keyCount).toBe(new Set(items.map((item) => hex(item.key))).size);
        expect(info.tombstoneCount).toBe(items.filter((item) => item.tombstone).length);
        expect(info.minVersion).toBe(Math.min(...items.map((item) => item.version)));
        expect(info.maxVersion).toBe(Math.max(...items.map((item) => item.version)));
        for (const item of items) expect(get(table, family, item.key, item.version)).toEqual(item);
      }
      table.verify();
    },
  );

  test("finds every version in a file of many blocks, with a cache of a few", () => {
    const disk = new MemoryDisk();
    const items = manyItems(2500, 1);
    const file = write(disk, new Map([[FAMILY.data, items]]));
    const table = open(disk, file, 64 * 1024);
    expect(table.section(FAMILY.data).blockCount).toBeGreaterThan(5);
    expect(walk(table, FAMILY.data).map(fingerprint)).toEqual(items.map(fingerprint));
    for (let i = 0; i < items.length; i += 5) {
      const item = items[i]!;
      expect(fingerprint(get(table, FAMILY.data, item.key, item.version)!)).toBe(fingerprint(item));
    }
    expect(get(table, FAMILY.data, utf8("key000001x"), Infinity)).toBeUndefined();
    expect(get(table, FAMILY.data, utf8("a"), Infinity)).toBeUndefined();
    expect(get(table, FAMILY.data, utf8("z"), Infinity)).toBeUndefined();
    expect(table.cache.bytes).toBeLessThanOrEqual(64 * 1024);
  });

  test("seeks to the first entry at or after a place", () => {
    const disk = new MemoryDisk();
    const items = manyItems(1000, 2);
    const table = open(disk, write(disk, new Map([[FAMILY.data, items]])));
    const cursor = new SstableCursor(table.section(FAMILY.data), Infinity);
    for (let i = 0; i < items.length; i += 7) {
      const { key, version } = items[i]!;
      expect(cursor.seek(key, 0, key.length, version)).toBe(true);
      expect(fingerprint(itemOf(cursor.slot))).toBe(fingerprint(items[i]!));
      expect(cursor.next()).toBe(i + 1 < items.length);
      if (i + 1 < items.length) {
        expect(fingerprint(itemOf(cursor.slot))).toBe(fingerprint(items[i + 1]!));
      }
    }
    expect(cursor.seek(utf8("z"), 0, 1, 0)).toBe(false);
  });

  test("finds out every flipped bit", () => {
    const disk = new MemoryDisk();
    const items = manyItems(3, 3).map((item, at) =>
      at === 0
        ? { ...item, value: new Uint8Array(APART_VALUE_SIZE_BYTES_MIN) }
        : { ...item, value: item.value.slice(0, 3) },
    );
    const file = write(disk, new Map([[FAMILY.meta, items]]));
    for (let bit = 0; bit < file.sizeBytes * 8; bit++) {
      disk.flipBit(PATH, bit);
      const readAll = (): void => {
        const table = open(disk, file);
        walk(table, FAMILY.meta);
        get(table, FAMILY.meta, items[0]!.key, Infinity);
      };
      expect(readAll, `bit ${bit}`).toThrow(CorruptionError);
      disk.flipBit(PATH, bit);
    }
    expect(walk(open(disk, file), FAMILY.meta)).toEqual(items);
  });

  test("reads again what could not be read once, or was wrong once", () => {
    const disk = new FlakyDisk();
    const items = manyItems(100, 6);
    const file = write(disk, new Map([[FAMILY.data, items]]));
    for (let skip = 0; skip < 5; skip++) {
      disk.inject({ code: "io", operation: "read", skip });
      expect(walk(open(disk, file), FAMILY.data)).toEqual(items);
    }
    disk.wrongReads = 1;
    expect(walk(open(disk, file), FAMILY.data)).toEqual(items);
    expect(disk.wrongReads).toBe(0);
  });

  test("calls damaged what the disk does not give twice in a row", () => {
    const disk = new MemoryDisk();
    const items = manyItems(100, 7);
    const file = write(disk, new Map([[FAMILY.data, items]]));
    const table = open(disk, file);
    for (let skip = 0; skip < 5; skip++) {
      disk.inject({ code: "io", operation: "read", skip, times: 2 });
      const read = (): unknown => walk(open(disk, file), FAMILY.data);
      expect(read, `after ${skip}`).toThrow(CorruptionError);
    }
    disk.inject({ code: "io", operation: "read", times: 2 });
    expect(() => walk(table, FAMILY.data)).toThrow(`${PATH} at 0: it cannot be read: io at`);
    expect(walk(table, FAMILY.data)).toEqual(items);
  });

  test("refuses another file, a shorter one and a missing one", () => {
    const disk = new MemoryDisk();
    const items = manyItems(50, 4);
    const file = write(disk, new Map([[FAMILY.data, items]]));
    expect(() => open(disk, { ...file, salt: 1 }).sections()).toThrow(CorruptionError);
    expect(() => open(disk, { ...file, checksum: 1 }).verify()).toThrow(CorruptionError);
    disk.setContent(PATH, disk.content(PATH).slice(0, -1));
    expect(() => open(disk, file).sections()).toThrow(CorruptionError);
    disk.remove(PATH);
    expect(() => open(disk, file).sections()).toThrow(CorruptionError);
  });
});

describe("filter", () => {
  test("passes all keys that were added and few others", () => {
    const count = 20_000;
    const hashes = new Uint32Array(count);
    for (let i = 0; i < count; i++) hashes[i] = hash32(utf8(`present${i}`));
    const words = buildFilter(hashes, count);
    expect(hashes.every((hash) => mayContain(words, hash))).toBe(true);
    let passed = 0;
    for (let i = 0; i < count; i++) if (mayContain(words, hash32(utf8(`absent${i}`)))) passed++;
    expect(passed / count).toBeLessThan(0.025);
  });
});
