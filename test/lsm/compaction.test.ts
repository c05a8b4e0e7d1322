/** Merges whose outcome is more than one table, and levels as one run. */
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { compactTables } from "../../src/lsm/compaction.js";
import { FAMILY } from "../../src/lsm/families.js";
import { Level, LEVEL_BASE, LevelCursor } from "../../src/lsm/level.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import type { WrittenTable } from "../../src/lsm/sstable-writer.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import { tablePath } from "../../src/lsm/table-set.js";
import { sliceOf } from "../../src/lsm/version.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { itemOf, slotOf } from "./tree-model.js";

const DIRECTORY = "/tables";
const KEYS = 200;
const VERSIONS = 5;

function keyOf(n: number): Uint8Array {
  return utf8(`key${String(n).padStart(4, "0")}`);
}

/** A table with some versions of each key. */
function source(disk: MemoryDisk): WrittenTable {
  disk.makeDirectory(DIRECTORY);
  const file = disk.open(tablePath(DIRECTORY, 1), { create: true });
  const writer = new SstableWriter(file, 1, 7);
  writer.beginFamily(FAMILY.data);
  for (let n = 0; n < KEYS; n++) {
    for (let version = VERSIONS; version >= 1; version--) {
      const value = new Uint8Array(300).fill(n);
      writer.add(slotOf({ key: keyOf(n), version, tombstone: false, value }));
    }
  }
  writer.endFamily();
  const table = writer.finish();
  file.close();
  return table;
}

function cut(disk: MemoryDisk, tableBytesMax: number, tablesMax: number): readonly WrittenTable[] {
  const { file } = source(disk);
  const targets = Array.from({ length: tablesMax }, (_, at) => ({
    directory: DIRECTORY,
    fileNumber: 2 + at,
    salt: 9,
  }));
  const plan = {
    family: FAMILY.data,
    inputs: [{ file, clip: undefined }],
    horizon: 0,
    isBottom: false,
  };
  return compactTables(disk, targets, { ...plan, tableBytesMax });
}

describe("a merge into several tables", () => {
  test("the versions of a key stay in one table", () => {
    const tables = cut(new MemoryDisk(), 20_000, 30);
    expect(tables.length).toBeGreaterThan(5);
    const sections = tables.map(({ sections: [section] }) => section!);
    expect(sections.reduce((sum, { keyCount }) => sum + keyCount, 0)).toBe(KEYS);
    for (const { entryCount, keyCount } of sections) expect(entryCount).toBe(keyCount * VERSIONS);
  });

  test("the last of its files takes what is left", () => {
    const tables = cut(new MemoryDisk(), 20_000, 3);
    expect(tables).toHaveLength(3);
    expect(tables[2]!.file.sizeBytes).toBeGreaterThan(100_000);
  });

  test("without room it leaves no file", () => {
    const disk = new MemoryDisk();
    disk.inject({ code: "noSpace", operation: "create", pathPart: "000000004" });
    expect(() => cut(disk, 20_000, 30)).toThrow("noSpace");
    expect(disk.list(DIRECTORY)).toEqual(["000000001.sst"]);
  });
});

describe("a level", () => {
  function levelOf(disk: MemoryDisk): Level {
    const cache = new BlockCache(1024 * 1024);
    const runs = cut(disk, 20_000, 30).map(({ file, sections }) => {
      const table = new Sstable(
        new OpenFiles(disk, 1),
        tablePath(DIRECTORY, file.fileNumber),
        file,
        cache,
      );
      const slice = sliceOf(file.fileNumber, sections[0]!, LEVEL_BASE + 7);
      return { slice, clip: undefined, section: table.section(FAMILY.data) };
    });
    return new Level(runs.toReversed());
  }

  test("is walked as one run, from any key and in both directions", () => {
    const level = levelOf(new MemoryDisk());
    const cursor = new LevelCursor(level, Infinity);
    for (const first of [0, 1, 57, KEYS - 1]) {
      const seen: string[] = [];
      const key = keyOf(first);
      for (let is = cursor.seek(key, 0, key.length, Infinity); is; is = cursor.next()) {
        seen.push(`${utf8Text(itemOf(cursor.slot).key)}@${cursor.slot.version}`);
      }
      expect(seen).toHaveLength((KEYS - first) * VERSIONS);
      expect(seen[0]).toBe(`${utf8Text(key)}@${VERSIONS}`);
      let count = 0;
      for (let is = cursor.seekBefore(key); is; is = cursor.previous()) count++;
      expect(count).toBe(first * VERSIONS);
    }
    let all = 0;
    for (let is = cursor.seekBefore(undefined); is; is = cursor.previous()) all++;
    expect(all).toBe(KEYS * VERSIONS);
  });

  test("knows the only table in which a key may be", () => {
    const level = levelOf(new MemoryDisk());
    expect(level.placeOf(utf8("a"), 0, 1)).toBe(-1);
    expect(level.placeOf(utf8("z"), 0, 1)).toBe(level.runs.length - 1);
    for (let n = 0; n < KEYS; n++) {
      const key = keyOf(n);
      const { slice } = level.runs[level.placeOf(key, 0, key.length)]!;
      expect(utf8Text(slice.range.start) <= utf8Text(key)).toBe(true);
    }
  });
});
