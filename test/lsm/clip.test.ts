/** Slices that show a part of a table: how they are read, named and kept apart in the catalog. */
import { describe, expect, test } from "vitest";
import { compareBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import type { KeyRange } from "../../src/base/key-range.js";
import { rangeContains, subtractRange } from "../../src/base/key-range.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { Catalog } from "../../src/lsm/catalog.js";
import { cursorOf } from "../../src/lsm/clipped-cursor.js";
import type { RunCursor } from "../../src/lsm/entry-slot.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Slice } from "../../src/lsm/slice.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import { clipOf } from "../../src/lsm/slice.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import type { Section } from "../../src/lsm/sstable-reader.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import type { EditOperation } from "../../src/lsm/version-edit.js";
import { readEdit, writeEdit } from "../../src/lsm/version-edit.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { Item } from "./tree-model.js";
import { itemOf, slotOf, stateAt } from "./tree-model.js";

const ITEMS: readonly Item[] = Array.from({ length: 60 }, (_, at) => ({
  key: utf8(`k${String(10 + 2 * Math.floor(at / 2)).padStart(3, "0")}`),
  version: 2 - (at % 2),
  tombstone: false,
  value: new Uint8Array(20),
}));

function range(start: string, end?: string): KeyRange {
  return { start: utf8(start), end: end === undefined ? undefined : utf8(end) };
}

const CLIPS = [
  range(""),
  range("k020", "k040"),
  range("k021", "k021a"),
  range("k0", "k1"),
  range("k068"),
  range("z"),
];

/** In blocks of a few entries. */
function section(): Section {
  const disk = new MemoryDisk();
  const handle = disk.open("/table", { create: true });
  const writer = new SstableWriter(handle, 1, 7, 64);
  writer.beginFamily(FAMILY.data);
  for (const item of ITEMS) writer.add(slotOf(item));
  writer.endFamily();
  const { file } = writer.finish();
  handle.close();
  return new Sstable(new OpenFiles(disk, 1), "/table", file, new BlockCache(10_000)).section(
    FAMILY.data,
  );
}

function name({ key, version }: Item): string {
  return `${utf8Text(key)}@${version}`;
}

function walk(cursor: RunCursor, isFound: boolean, step: "next" | "previous"): string[] {
  const seen: string[] = [];
  for (let is = isFound; is; is = cursor[step]()) seen.push(name(itemOf(cursor.slot)));
  return seen;
}

describe("a clipped cursor", () => {
  test("walks what is in the clip, from anywhere and both ways", () => {
    const whole = section();
    for (const clip of CLIPS) {
      const inside = ITEMS.filter(({ key }) => rangeContains(clip, key));
      const fresh = cursorOf(whole, clip, Infinity);
      expect(walk(fresh, fresh.next(), "next")).toEqual(inside.map(name));
      const cursor = cursorOf(whole, clip, Infinity);
      for (const from of ["", "k0", "k020", "k021", "k039", "k040", "k068", "k069", "z"]) {
        const key = utf8(from);
        const after = inside.filter((item) => compareBytes(item.key, key) >= 0).map(name);
        expect(walk(cursor, cursor.seek(key, 0, key.length, Infinity), "next")).toEqual(after);
        const before = inside.filter((item) => compareBytes(item.key, key) < 0).map(name);
        const back = walk(cursor, cursor.seekBefore(key), "previous");
        expect(back.toReversed()).toEqual(before);
      }
      const all = walk(cursor, cursor.seekBefore(undefined), "previous");
      expect(all.toReversed()).toEqual(inside.map(name));
    }
  });

  test("is the cursor itself where nothing is clipped", () => {
    const cursor = cursorOf(section(), undefined, Infinity);
    expect(walk(cursor, cursor.next(), "next")).toEqual(ITEMS.map(name));
  });
});

describe("parts of a table", () => {
  const WHOLE = range("a", "z");
  const file = { fileNumber: 1, sizeBytes: 100, checksum: 1, salt: 1 };

  function part(of: KeyRange): EditOperation {
    const slice: Slice = {
      fileNumber: 1,
      family: FAMILY.data,
      level: 0,
      range: of,
      filterRange: WHOLE,
      minVersion: 1,
      maxVersion: 2,
      entryCount: 1,
      keyCount: 1,
      tombstoneCount: 0,
      sizeBytes: 40,
    };
    return { kind: "addSlice", shardId: 1, slice };
  }

  function catalogWith(...parts: readonly EditOperation[]): Catalog {
    const catalog = new Catalog();
    const tree = { kind: "createTree", shardId: 1, range: range(""), flushed: stateAt(0) } as const;
    catalog.apply([tree, { kind: "addFile", file }, ...parts]);
    return catalog;
  }

  test("do not overlap, and have no keys that the table has not", () => {
    expect(() => catalogWith(part(range("a", "d")), part(range("c", "z")))).toThrow("exists");
    expect(() => catalogWith(part(range("a")))).toThrow("bounds");
    expect(() => catalogWith(part(range("A", "z")))).toThrow("bounds");
  });

  test("are named by where they begin, and the table goes with the last", () => {
    const catalog = catalogWith(part(range("a", "d")), part(range("d", "f")));
    expect(catalog.shownBytes(1)).toBe(80);
    for (const start of ["d", "a"]) {
      expect(catalog.files.has(1)).toBe(true);
      const slice = { fileNumber: 1, family: FAMILY.data, range: range(start) };
      const edit: EditOperation[] = [{ kind: "removeSlice", shardId: 1, slice }];
      const writer = new ByteWriter();
      writeEdit(writer, edit);
      catalog.apply(readEdit(new ByteReader(writer.view())));
    }
    expect(catalog.files.has(1)).toBe(false);
    expect(catalog.shownBytes(1)).toBe(0);
  });

  test("were not told apart by earlier manifests, where each was all", () => {
    const writer = new ByteWriter();
    writer.u32(1);
    writer.u8(7);
    writer.u53(1);
    writer.u53(1);
    writer.u8(FAMILY.data);
    const catalog = catalogWith(part(WHOLE));
    catalog.apply(readEdit(new ByteReader(writer.view())));
    expect(catalog.files.size).toBe(0);
  });

  test("are clips only where they are not all", () => {
    const slices = [part(range("a", "z")), part(range("a", "y"))].map(
      (operation) => operation.kind === "addSlice" && operation.slice,
    );
    expect(slices.map((slice) => slice && clipOf(slice))).toEqual([undefined, range("a", "y")]);
  });

  test("are what a range has beside another", () => {
    const beside = (whole: KeyRange, taken: KeyRange): KeyRange[] => [
      ...subtractRange(whole, taken),
    ];
    expect(beside(range("b", "f"), range("c", "d"))).toEqual([range("b", "c"), range("d", "f")]);
    expect(beside(range("b"), range("a", "d"))).toEqual([range("d")]);
    expect(beside(range("b", "f"), range("d"))).toEqual([range("b", "d")]);
    expect(beside(range("b", "f"), range("a"))).toEqual([]);
    expect(beside(range("b", "f"), range("g", "h"))).toEqual([range("b", "f")]);
  });
});
