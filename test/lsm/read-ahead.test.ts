/**
 * What is read of a table, and how often. Walks that read ahead pass over no fault and leave
 * nothing out.
 */
import { describe, expect, test } from "vitest";
import { assert } from "../../src/base/assert.js";
import { compareBytes, hex, utf8 } from "../../src/base/bytes.js";
import { hash32 } from "../../src/base/hash.js";
import { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import type { DiskFile, OpenOptions } from "../../src/env/disk.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { EntrySlot } from "../../src/lsm/entry-slot.js";
import { FAMILY } from "../../src/lsm/families.js";
import { MergingCursor } from "../../src/lsm/merging-cursor.js";
import { FOOTER_SIZE_BYTES } from "../../src/lsm/sstable-format.js";
import { SstableCursor } from "../../src/lsm/sstable-cursor.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ForwardingFile } from "../support/forwarding-disk.js";
import type { Item } from "./tree-model.js";
import { collect, itemOf, slotOf } from "./tree-model.js";

const PATH = "/table.sst";
const SALT = 9;
const BLOCK_BYTES = 512;
const ALL = { start: new Uint8Array(0), end: undefined };

interface Read {
  /** What it was read to; undefined for what no read has. */
  readonly buffer?: ArrayBufferLike;
  readonly length: number;
  readonly position: number;
}

/** Keeps the reads of its files, and fails those that touch a byte which is called bad. */
class WatchedDisk extends MemoryDisk {
  readonly reads: Read[] = [];
  /** No read gets these. */
  badBytes: Read | undefined = undefined;

  override open(path: string, options: OpenOptions): DiskFile {
    return new WatchedFile(super.open(path, options), this);
  }
}

class WatchedFile extends ForwardingFile {
  readonly #disk: WatchedDisk;

  constructor(inner: DiskFile, disk: WatchedDisk) {
    super(inner);
    this.#disk = disk;
  }

  override readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    const { reads, badBytes } = this.#disk;
    reads.push({ buffer: target.buffer, length, position });
    if (badBytes !== undefined && isTouched(badBytes, position, length)) {
      throw new DiskError("io", this.path);
    }
    return super.readSync(target, offset, length, position);
  }
}

function isTouched(bad: Read, position: number, length: number): boolean {
  return position < bad.position + bad.length && bad.position < position + length;
}

/** A table of these items, and where its blocks are. */
class Table {
  readonly disk: WatchedDisk = new WatchedDisk();
  readonly items: readonly Item[];
  readonly blocks: readonly Read[];
  readonly sizeBytes: number;
  /** By ordinal of the block, the first item in it. */
  readonly starts: readonly number[];
  readonly #open: (cacheBytes: number) => Sstable;

  constructor(items: readonly Item[]) {
    this.items = items;
    const handle = this.disk.open(PATH, { create: true });
    const writer = new SstableWriter(handle, 1, SALT, BLOCK_BYTES);
    writer.beginFamily(FAMILY.data);
    for (const item of items) writer.add(slotOf(item));
    writer.endFamily();
    const { file } = writer.finish();
    handle.close();
    this.sizeBytes = file.sizeBytes;
    this.#open = (cacheBytes) =>
      new Sstable(new OpenFiles(this.disk, 1), PATH, file, new BlockCache(cacheBytes));
    const section = this.open().section(FAMILY.data);
    const blocks: Read[] = [];
    const starts: number[] = [];
    let start = 0;
    for (let ordinal = 0; ordinal < section.blockCount; ordinal++) {
      const { block } = section.frame(ordinal);
      blocks.push(this.disk.reads.at(-1)!);
      starts.push(start);
      start += block.rowCount;
    }
    this.blocks = blocks;
    this.starts = starts;
  }

  open(cacheBytes = 0): Sstable {
    return this.#open(cacheBytes);
  }

  cursor(cacheBytes = 0): SstableCursor {
    return new SstableCursor(this.open(cacheBytes).section(FAMILY.data), Infinity);
  }
}

/** Whether a read is of key blocks: all lie before everything else. */
function isOfBlocks({ blocks }: Table, { position }: Read): boolean {
  return position <= blocks.at(-1)!.position;
}

/** Reads of the index: those behind the blocks that are not of the footer. */
function indexReads(table: Table): number {
  const { sizeBytes } = table;
  return table.disk.reads.filter(
    (read) =>
      !isOfBlocks(table, read) && read.position + read.length < sizeBytes - FOOTER_SIZE_BYTES,
  ).length;
}

function itemsOf(keyCount: number, versionCount: number): Item[] {
  const items: Item[] = [];
  for (let n = 0; n < keyCount; n++) {
    for (let v = versionCount; v > 0; v--) {
      const key = utf8(`key${String(n).padStart(5, "0")}`);
      const value = new Uint8Array(50 + (n % 13)).fill(n + v);
      items.push({ key, version: n * versionCount + v, tombstone: n % 7 === 3, value });
    }
  }
  return items;
}

/** One line for an item: these are compared a hundred times faster than the items are. */
function lineOf({ key, version, tombstone, value }: Item): string {
  return `${hex(key)} ${version} ${tombstone} ${hex(value)}`;
}

/** What a walk over all gives before it fails, and how. */
function walk(cursor: SstableCursor): { lines: string[]; error: unknown } {
  const lines: string[] = [];
  try {
    while (cursor.next()) lines.push(lineOf(itemOf(cursor.slot)));
    return { lines, error: undefined };
  } catch (error) {
    return { lines, error };
  }
}

describe("a fault in one of many blocks", () => {
  const table = new Table(itemsOf(300, 1));
  const lines = table.items.map(lineOf);

  function expectStopAt(ordinal: number, detail: string): void {
    const { lines: given, error } = walk(table.cursor());
    expect(given).toEqual(lines.slice(0, table.starts[ordinal]));
    expect(error).toBeInstanceOf(CorruptionError);
    const { offset, detail: found } = error as CorruptionError;
    expect(offset).toBe(table.blocks[ordinal]!.position);
    expect(found).toContain(detail);
  }

  test("has blocks enough for several reads of the largest size", () => {
    expect(table.blocks.length).toBeGreaterThanOrEqual(40);
    table.disk.reads.length = 0;
    expect(walk(table.cursor()).lines).toEqual(lines);
    // Blocks by 1, 1, 2, 4, 8, 16, 16, …, and of footer, directory and the parts of the index.
    expect(table.disk.reads.length - indexReads(table)).toBeLessThan(15);
    expect(indexReads(table)).toBeLessThan(10);
  });

  test("a flipped bit is found at its block, and all before it is given", () => {
    const prng = new Prng(5);
    for (const [ordinal, { length, position }] of table.blocks.entries()) {
      const bit = position * 8 + prng.between(0, length * 8 - 1);
      table.disk.flipBit(PATH, bit);
      expectStopAt(ordinal, "fails its checksum");
      table.disk.flipBit(PATH, bit);
    }
    expect(walk(table.cursor()).lines).toEqual(lines);
  });

  test("one that cannot be read is named, and all before it is given", () => {
    for (const [ordinal, block] of table.blocks.entries()) {
      table.disk.badBytes = block;
      expectStopAt(ordinal, "it cannot be read");
    }
    table.disk.badBytes = undefined;
    expect(walk(table.cursor()).lines).toEqual(lines);
  });

  test("a read that fails once is made again, and nothing is left out", () => {
    const count = ((): number => {
      table.disk.reads.length = 0;
      walk(table.cursor());
      return table.disk.reads.length;
    })();
    for (let skip = 0; skip < count; skip++) {
      table.disk.inject({ code: "io", operation: "read", skip });
      expect(walk(table.cursor())).toEqual({ lines, error: undefined });
    }
    table.disk.clearFaults();
  });

  test("a walk that goes on behind a damaged block gives all that is there", () => {
    const ordinal = 20;
    const { position } = table.blocks[ordinal]!;
    table.disk.flipBit(PATH, position * 8);
    const cursor = table.cursor();
    const start = table.starts[ordinal + 1]!;
    const { key, version } = table.items[start]!;
    expect(walk(cursor).error).toBeInstanceOf(CorruptionError);
    expect(cursor.seek(key, 0, key.length, version)).toBe(true);
    expect(lineOf(itemOf(cursor.slot))).toEqual(lines[start]);
    expect(walk(cursor).lines).toEqual(lines.slice(start + 1));
    table.disk.flipBit(PATH, position * 8);
  });
});

/** A cursor beside the list that it walks; throws where they differ. */
class Walk {
  readonly #cursor: SstableCursor;
  readonly #items: readonly Item[];
  #at = -1;

  constructor(cursor: SstableCursor, items: readonly Item[]) {
    this.#cursor = cursor;
    this.#items = items;
  }

  seek(at: number): void {
    const { key, version } = this.#items[at]!;
    this.#at = at;
    this.#check(this.#cursor.seek(key, 0, key.length, version));
  }

  /** To the last entry before the key of another. */
  seekBefore(other: number): void {
    const { key } = this.#items[other]!;
    this.#at = this.#items.findIndex((item) => compareBytes(item.key, key) === 0) - 1;
    this.#check(this.#cursor.seekBefore(key));
  }

  forward(steps: number): void {
    for (let left = steps; left > 0; left--) {
      this.#at = Math.min(this.#items.length, this.#at + 1);
      this.#check(this.#cursor.next());
    }
  }

  back(steps: number): void {
    for (let left = steps; left > 0; left--) {
      this.#at = Math.max(-1, this.#at - 1);
      this.#check(this.#cursor.previous());
    }
  }

  close(): void {
    this.#cursor.close();
  }

  #check(isThere: boolean): void {
    const item = this.#items[this.#at];
    assert(isThere === (item !== undefined), "the cursor ends where the list does");
    if (item === undefined) return;
    const { key, version, value } = itemOf(this.#cursor.slot);
    const isSame = compareBytes(key, item.key) === 0 && version === item.version;
    assert(isSame && compareBytes(value, item.value) === 0, "the cursor shows what the list has");
  }
}

test("seeks, steps forward and steps back agree with the list, however much was read ahead", () => {
  const table = new Table(itemsOf(400, 2));
  const last = table.items.length - 1;
  for (let seed = 1; seed <= 10; seed++) {
    const prng = new Prng(seed);
    const walk = new Walk(table.cursor(seed % 2 === 0 ? 0 : 32 * 1024), table.items);
    for (let i = 0; i < 300; i++) {
      const action = prng.between(0, 5);
      if (action === 0) walk.seek(prng.between(0, last));
      else if (action === 1) walk.seekBefore(prng.between(0, last));
      else if (action === 2) walk.back(prng.between(1, 60));
      else walk.forward(prng.between(1, 60));
    }
    expect(() => walk.close()).not.toThrow();
  }
});

test("a walk reads to the same memory again and again", () => {
  const table = new Table(itemsOf(400, 2));
  const cursor = table.cursor(0);
  table.disk.reads.length = 0;
  while (cursor.next());
  const buffers = table.disk.reads.filter((read) => isOfBlocks(table, read)).map((r) => r.buffer);
  expect(buffers.length).toBeGreaterThan(8);
  // The first read has one block, the next ones have twice as many as the one before.
  const steady = buffers.slice(6);
  expect(new Set(steady).size).toBe(2);
  cursor.close();
});

test("what somebody pins is not read over, however far the walk goes on", () => {
  const table = new Table(itemsOf(400, 2));
  const held: { readonly slot: EntrySlot; readonly line: string }[] = [];
  const cursor = table.cursor(0);
  for (let at = 0; cursor.next(); at++) {
    if (at % 50 !== 7) continue;
    const slot = new EntrySlot();
    slot.copyFrom(cursor.slot);
    held.push({ slot, line: lineOf(table.items[at]!) });
  }
  cursor.close();
  expect(held.length).toBeGreaterThan(10);
  for (const { slot, line } of held) {
    expect(lineOf(itemOf(slot))).toBe(line);
    slot.letGo();
  }
});

test("a get reads one block, also where its key is the first of one", () => {
  const table = new Table(itemsOf(100, 1));
  const section = table.open().section(FAMILY.data);
  const slot = new EntrySlot();
  section.get(table.items[0]!.key, 0, 8, hash32(table.items[0]!.key), Infinity, slot);
  for (const item of table.items) {
    table.disk.reads.length = 0;
    const { key } = item;
    expect(section.get(key, 0, key.length, hash32(key), Infinity, slot)).toBe(true);
    expect(lineOf(itemOf(slot))).toBe(lineOf(item));
    expect(table.disk.reads.length - indexReads(table)).toBe(1);
    expect(indexReads(table)).toBeLessThan(2);
  }
});

test("a scan of the newest of twenty versions reads every block at most once", () => {
  const table = new Table(itemsOf(100, 20));
  const newest = table.items.filter((_, at) => at % 20 === 0);
  table.disk.reads.length = 0;
  const run = table.cursor(1024 * 1024);
  const cursor = new MergingCursor([run], ALL, Infinity, "newest", undefined);
  expect(collect(cursor)).toEqual(newest);
  cursor.close();
  const { blocks } = table;
  expect(blocks.length).toBeGreaterThan(250);
  // Footer and directory, then what is read ahead: not one read for each key.
  expect(table.disk.reads.length - indexReads(table)).toBeLessThan(40);
  // Each part once.
  expect(indexReads(table)).toBeLessThan(40);
  const readBytes = table.disk.reads
    .filter((read) => isOfBlocks(table, read))
    .reduce((sum, { length }) => sum + length, 0);
  const blockBytes = blocks.reduce((sum, { length }) => sum + length, 0);
  expect(readBytes).toBeLessThan(1.05 * blockBytes);
});
