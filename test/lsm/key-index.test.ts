/** The index of key blocks, of one level and of two. */
import { describe, expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { utf8 } from "../../src/base/bytes.js";
import { crc32, placedChecksum } from "../../src/base/checksum.js";
import { ByteReader, writeU32 } from "../../src/base/coding.js";
import { hash32 } from "../../src/base/hash.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { Block } from "../../src/lsm/block-reader.js";
import { EntrySlot } from "../../src/lsm/entry-slot.js";
import type { FamilyId } from "../../src/lsm/families.js";
import { FAMILY } from "../../src/lsm/families.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import type { TableFile } from "../../src/lsm/slice.js";
import { SstableCursor } from "../../src/lsm/sstable-cursor.js";
import {
  decodeFooter,
  FOOTER_SIZE_BYTES,
  handleAt,
  KEY_BLOCK_SIZE_BYTES,
  readSection,
  SSTABLE_FORMAT_VERSION,
} from "../../src/lsm/sstable-format.js";
import type { BlockHandle } from "../../src/lsm/sstable-format.js";
import type { Section } from "../../src/lsm/sstable-reader.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import { surveyTable } from "../../src/lsm/table-survey.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { Item } from "./tree-model.js";
import { compareItems, itemOf, slotOf } from "./tree-model.js";

const PATH = "/table.sst";
const SALT = 77;
/** A few rows of a block, and of a block of the index. */
const BLOCK_BYTES = 200;

interface Written {
  readonly disk: MemoryDisk;
  readonly file: TableFile;
  readonly items: readonly Item[];
}

function write(
  items: readonly Item[],
  blockBytes = BLOCK_BYTES,
  families: readonly FamilyId[] = [FAMILY.data],
): Written {
  const disk = new MemoryDisk();
  const handle = disk.open(PATH, { create: true });
  const writer = new SstableWriter(handle, 1, SALT, blockBytes);
  for (const family of families) {
    writer.beginFamily(family);
    for (const item of items) writer.add(slotOf(item));
    writer.endFamily();
  }
  const { file } = writer.finish();
  handle.close();
  return { disk, file, items };
}

function tableOf({ disk, file }: Written, cacheBytes = 1 << 20): Sstable {
  return new Sstable(new OpenFiles(disk, 1), PATH, file, new BlockCache(cacheBytes));
}

function sectionOf(written: Written, cacheBytes?: number): Section {
  return tableOf(written, cacheBytes).section(FAMILY.data);
}

/** So many keys of so many versions, the smallest of which are 2, 4, 6, …. */
function itemsOf(keyCount: number, versionCount: number): Item[] {
  const items: Item[] = [];
  for (let n = 0; n < keyCount; n++) {
    for (let v = versionCount; v > 0; v--) {
      const key = utf8(`key${String(n).padStart(4, "0")}`);
      items.push({ key, version: 2 * v, tombstone: false, value: new Uint8Array(20).fill(n) });
    }
  }
  return items;
}

/** By ordinal of the block, the place of its first item among all. */
function startsOf(section: Section): readonly number[] {
  const starts: number[] = [];
  let start = 0;
  for (let ordinal = 0; ordinal < section.blockCount; ordinal++) {
    starts.push(start);
    start += section.frame(ordinal).block.rowCount;
  }
  return starts;
}

function shownBy(cursor: SstableCursor, move: () => boolean): Item[] {
  const items: Item[] = [];
  while (move()) items.push(itemOf(cursor.slot));
  cursor.close();
  return items;
}

/** Puts other bytes in a block's place, with the checksum of that place. */
function forge(
  { disk }: Written,
  { offset, sizeBytes }: BlockHandle,
  change: (block: Uint8Array) => void,
): void {
  const content = disk.content(PATH).slice();
  const block = content.subarray(offset, offset + sizeBytes);
  change(block);
  writeU32(content, offset + sizeBytes, placedChecksum(block, SALT, offset));
  disk.setContent(PATH, content);
}

/** Where a part of an index of two levels lies, by what its top says, and where that says it. */
function partHandle(written: Written, part: number): BlockHandle & { readonly valueAt: number } {
  const table = tableOf(written);
  const { keyIndex } = table.section(FAMILY.data).info;
  const bytes = table.readBlock(keyIndex);
  const top = new Block(
    bytes,
    new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2),
    0,
  );
  top.open(bytes.length);
  const valueAt = top.valueStart(part);
  return { ...handleAt(bytes, valueAt), valueAt };
}

/** Checks where a search for this place would begin. */
function checkPlace(
  section: Section,
  items: readonly Item[],
  key: Uint8Array,
  version: number,
): void {
  const starts = startsOf(section);
  const place = { key, version, tombstone: false, value: key };
  const found = items.findIndex((item) => compareItems(item, place) >= 0);
  const at = found < 0 ? items.length : found;
  const block = starts.findLastIndex((start) => start <= Math.min(at, items.length - 1));
  const ordinal = section.ordinalFor(key, 0, key.length, version);
  // The place may be between two blocks: then the search begins in the first of them.
  const isBetween = starts[block] === at && block > 0;
  expect(isBetween ? [block - 1, block] : [block]).toContain(ordinal);
  const isOneVersion = section.info.keyCount === section.info.entryCount;
  const isKey = at < items.length && compareItems({ ...items[at]!, version }, place) === 0;
  if (isOneVersion && isBetween && isKey) expect(ordinal).toBe(block);
}

describe("the index of a table's blocks", () => {
  test.prop([fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 4 }), fc.nat(2)], {
    numRuns: 40,
  })("leads to the block of every place", (keyCount, versionCount, cache) => {
    const written = write(itemsOf(keyCount, versionCount));
    const section = sectionOf(written, cache === 0 ? 0 : 1 << 20);
    const { keyIndex } = section.info;
    expect(keyIndex.isDeep).toBe(keyIndex.blockCount > 16);
    for (let n = 0; n < keyCount; n += 1 + Math.floor(keyCount / 20)) {
      const { key } = written.items[n * versionCount]!;
      for (let version = 0; version <= 2 * versionCount + 1; version++) {
        checkPlace(section, written.items, key, version);
        const slot = new EntrySlot();
        const wanted = version < 2 ? undefined : Math.min(2 * versionCount, version & ~1);
        const isFound = section.get(key, 0, key.length, hash32(key), version, slot);
        expect(isFound ? slot.version : undefined).toBe(wanted);
      }
    }
    checkPlace(section, written.items, utf8("a"), 1);
    checkPlace(section, written.items, utf8("key0003x"), 1);
    checkPlace(section, written.items, utf8("z"), 1);
  });

  test("tells of each block once, and of versions and keys as they are", () => {
    const section = sectionOf(write(itemsOf(300, 3)));
    const parts = section.indexParts();
    expect(parts.length).toBeGreaterThan(10);
    expect(parts.map(({ firstOrdinal }) => firstOrdinal).slice(1)).toEqual(
      parts.map(({ endOrdinal }) => endOrdinal).slice(0, -1),
    );
    expect([parts[0]!.firstOrdinal, parts.at(-1)!.endOrdinal]).toEqual([0, section.blockCount]);
    for (let ordinal = 0; ordinal < section.blockCount; ordinal++) {
      const { block } = section.frame(ordinal);
      const key = block.key(0);
      const versions = Array.from({ length: block.rowCount }, (_, row) => block.version(row));
      expect(section.blockStart(ordinal)).toEqual(key);
      expect(section.blockMinVersion(ordinal)).toBe(Math.min(...versions));
    }
  });

  test("keeps in memory of a large index only its top", () => {
    const { keyIndex } = sectionOf(write(itemsOf(9999, 2), KEY_BLOCK_SIZE_BYTES)).info;
    expect(keyIndex.blockCount).toBeGreaterThan(200);
    expect(keyIndex.sizeBytes).toBeLessThan(1024);
  });

  test("has parts of many blocks, however long the keys are", () => {
    const items = Array.from({ length: 100 }, (_, n) => ({
      key: new Uint8Array(3000).fill(n + 1),
      version: 1,
      tombstone: false,
      value: utf8("value"),
    }));
    const section = sectionOf(write(items));
    expect(section.blockCount).toBe(100);
    expect(section.indexParts().length).toBeLessThan(10);
    const cursor = new SstableCursor(section, Infinity);
    expect(shownBy(cursor, () => cursor.next())).toEqual(items);
  });

  test("is one for each family of a table", () => {
    const families = [FAMILY.data, FAMILY.lease, FAMILY.meta].toSorted((a, b) => a - b);
    const written = write(itemsOf(300, 1), BLOCK_BYTES, families);
    const table = tableOf(written, 64 * 1024);
    for (const family of families) {
      const section = table.section(family);
      expect(section.info.keyIndex.isDeep).toBe(true);
      const cursor = new SstableCursor(section, Infinity);
      expect(shownBy(cursor, () => cursor.next())).toEqual(written.items);
    }
    table.close();
    expect(table.cache.blockCount).toBe(0);
  });

  test("walks old versions past blocks that have none, backwards, too", () => {
    const items = itemsOf(100, 30);
    const section = sectionOf(write(items));
    const isOld = ({ version }: Item): boolean => version <= 4;
    const old = items.filter(isOld);
    const forward = new SstableCursor(section, 4);
    const shown = shownBy(forward, () => forward.next());
    expect(shown.filter(isOld)).toEqual(old);
    // What stands beside them in their blocks, and of the others nothing.
    expect(shown.length).toBeLessThan(items.length / 2);
    const backward = new SstableCursor(section, 4);
    expect(backward.seekBefore(undefined)).toBe(true);
    const last = itemOf(backward.slot);
    const before = shownBy(backward, () => backward.previous());
    expect([last, ...before].toReversed().filter(isOld)).toEqual(old);
  });
});

describe("a damaged index", () => {
  test("costs what one part of it tells of, and says so", () => {
    const written = write(itemsOf(400, 1));
    const parts = sectionOf(written).indexParts();
    const hit = parts[3]!;
    written.disk.flipBit(PATH, 8 * (partHandle(written, 3).offset + 10));
    const section = sectionOf(written);
    const ordinalOf = (key: Uint8Array): number => section.ordinalFor(key, 0, key.length, Infinity);
    expect(ordinalOf(parts[2]!.firstKey)).toBe(parts[2]!.firstOrdinal);
    expect(() => ordinalOf(hit.firstKey)).toThrow(CorruptionError);
    const { findings } = surveyTable(written.disk, PATH);
    expect(findings).toHaveLength(1);
    const [from, to] = [hit.firstKey, parts[4]!.firstKey].map((key) => Buffer.from(key).toString());
    expect(findings[0]!.loss).toEqual({
      kind: "content",
      what: `entries of family data with keys from ${from} to ${to}`,
    });
  });

  test("fails who comes to what it tells of, and nobody before", () => {
    const written = write(itemsOf(400, 1));
    const hit = sectionOf(written).indexParts()[3]!;
    const startOfHit = startsOf(sectionOf(written))[hit.firstOrdinal]!;
    written.disk.flipBit(PATH, 8 * (partHandle(written, 3).offset + 10));
    const cursor = new SstableCursor(sectionOf(written), Infinity);
    for (let n = 0; n < startOfHit; n++) expect(cursor.next()).toBe(true);
    expect(() => cursor.next()).toThrow(CorruptionError);
  });

  test("is one that has other rows than what is above says", () => {
    const written = write(itemsOf(200, 1));
    forge(written, partHandle(written, 3), (block) => writeU32(block, 0, 1));
    const section = sectionOf(written);
    const { firstOrdinal } = section.indexParts()[3]!;
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(() => section.frame(firstOrdinal)).toThrow("a block has 1 rows instead of");
    }
    const small = write(itemsOf(20, 1));
    const { keyIndex } = sectionOf(small).info;
    expect(keyIndex.isDeep).toBe(false);
    forge(small, keyIndex, (block) => writeU32(block, 0, 1));
    expect(() => sectionOf(small).frame(0)).toThrow("a block has 1 rows instead of");
  });

  test("is one whose parts are out of order", () => {
    const written = write(itemsOf(200, 1));
    const { keyIndex } = sectionOf(written).info;
    const ordinalAt = partHandle(written, 1).valueAt + 12;
    forge(written, keyIndex, (block) => writeU32(block, ordinalAt, 0));
    expect(() => sectionOf(written).frame(0)).toThrow("out of order");
  });
});

describe("a table of the format before", () => {
  test("has an index of one level, and is read", () => {
    const written = write(itemsOf(20, 1));
    const { info } = sectionOf(written);
    toFirstFormat(written);
    const section = sectionOf(written);
    expect(section.info).toEqual(info);
    const cursor = new SstableCursor(section, Infinity);
    expect(shownBy(cursor, () => cursor.next())).toEqual(written.items);
    expect(surveyTable(written.disk, PATH).findings).toEqual([]);
  });

  test("is not taken for one of a format to come", () => {
    const written = write(itemsOf(20, 1));
    rewriteFooter(written, (footer) => writeU32(footer, 4, 3));
    expect(() => sectionOf(written)).toThrow("unknown sstable format 3");
  });
});

function rewriteFooter({ disk }: Written, change: (footer: Uint8Array) => void): void {
  const content = disk.content(PATH).slice();
  const footer = content.subarray(content.length - FOOTER_SIZE_BYTES);
  change(footer);
  const end = FOOTER_SIZE_BYTES - 4;
  writeU32(footer, end, crc32(footer.subarray(0, end)));
  disk.setContent(PATH, content);
}

/** The table without what its directory, of one section, says of the index's levels. */
function toFirstFormat(written: Written): void {
  const content = written.disk.content(PATH);
  const footer = content.subarray(content.length - FOOTER_SIZE_BYTES);
  const { directory } = decodeFooter(footer, PATH, 0);
  forge(written, directory, (block) => block.fill(0xff, levelsAt(block)));
  rewriteFooter(written, (bytes) => writeU32(bytes, 4, 1));
}

/** Where in a directory of one section the levels and the count of blocks are. */
function levelsAt(directory: Uint8Array): number {
  const reader = new ByteReader(directory);
  reader.u32();
  readSection(reader, PATH, SSTABLE_FORMAT_VERSION, () => 0);
  return directory.length - reader.remaining - 5;
}

describe("looking at a sound table", () => {
  test.each([
    [48_000, 10],
    [20_000, 60_000],
    [200, 90_000],
  ])("with keys of %i bytes and values of up to %i finds nothing", (keyBytes, valueBytes) => {
    const items = Array.from({ length: 60 }, (_, n) => ({
      key: new Uint8Array(keyBytes).fill(n + 1),
      version: 5,
      tombstone: false,
      value: new Uint8Array(n % 3 === 0 ? valueBytes : valueBytes / 10).fill(n),
    }));
    const { disk } = write(items, KEY_BLOCK_SIZE_BYTES);
    expect(surveyTable(disk, PATH).findings).toEqual([]);
  });
});
