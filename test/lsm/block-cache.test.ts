/** Which blocks the cache lets go of, and that nobody's memory is used again under his eyes. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import type { Frame } from "../../src/lsm/frame.js";
import { FrameList } from "../../src/lsm/frame-list.js";

const MIB = 1024 * 1024;
const BLOCK_BYTES = 4000;
/** What 1 MiB has of them: eight slabs. */
const FRAMES = 8 * Math.floor((128 * 1024) / 4352);

/** Reads blocks of one file as a section does. Block n is full of the byte n % 251. */
class Reader {
  readonly list: FrameList = new FrameList(10_000);
  readonly frames: Set<Frame> = new Set();
  hits = 0;
  misses = 0;
  readonly #cache: BlockCache;
  readonly #blockBytes: number;

  constructor(cache: BlockCache, blockBytes = BLOCK_BYTES) {
    this.#cache = cache;
    this.#blockBytes = blockBytes;
  }

  read(ordinal: number): Frame {
    const held = this.list.frames[ordinal];
    if (held !== undefined) {
      held.referenced = true;
      this.hits++;
      return held;
    }
    this.misses++;
    const frame = this.#cache.take(this.#blockBytes);
    frame.bytes.fill(ordinal % 251, 0, this.#blockBytes);
    this.#cache.add(frame, this.list, ordinal);
    this.frames.add(frame);
    return frame;
  }

  readAll(from: number, to: number): void {
    for (let ordinal = from; ordinal < to; ordinal++) this.read(ordinal);
  }

  /** How many of these are in memory. */
  held(from: number, to: number): number {
    return this.list.frames.slice(from, to).filter((frame) => frame !== undefined).length;
  }

  /** The share of hits in the reads of `read`. */
  hitRate(read: () => void): number {
    this.hits = 0;
    this.misses = 0;
    read();
    return this.hits / (this.hits + this.misses);
  }
}

function isOf(frame: Frame, ordinal: number): boolean {
  return frame.bytes.subarray(0, BLOCK_BYTES).every((byte) => byte === ordinal % 251);
}

describe("memory", () => {
  test("keeps to its bound and uses the same frames again and again", () => {
    const cache = new BlockCache(MIB);
    const reader = new Reader(cache);
    reader.readAll(0, 5000);
    expect(cache.bytes).toBe(MIB);
    expect(cache.blockCount).toBe(FRAMES);
    expect(reader.frames.size).toBe(FRAMES);
    expect(new Set([...reader.frames].map(({ bytes }) => bytes.buffer)).size).toBe(8);
    expect(reader.held(0, 5000)).toBe(FRAMES);
    expect(isOf(reader.read(4999), 4999)).toBe(true);
  });

  test("takes no more of it than there are blocks", () => {
    const cache = new BlockCache(MIB);
    expect(cache.bytes).toBe(0);
    new Reader(cache).readAll(0, 3);
    expect(cache.bytes).toBe(128 * 1024);
  });

  test("leaves a pinned block in place, however much is read meanwhile", () => {
    const reader = new Reader(new BlockCache(MIB));
    const pinned = reader.read(7);
    pinned.pin();
    reader.readAll(100, 5000);
    expect(isOf(pinned, 7)).toBe(true);
    expect(reader.read(7)).toBe(pinned);
    pinned.unpin();
    for (let round = 0; round < 6; round++) reader.readAll(5000, 5000 + FRAMES);
    expect(isOf(pinned, 7)).toBe(false);
  });

  test("gives memory of its own to who comes when all is pinned, and goes on later", () => {
    const cache = new BlockCache(MIB);
    const reader = new Reader(cache);
    const pinned = Array.from({ length: FRAMES }, (_, ordinal) => reader.read(ordinal));
    for (const frame of pinned) frame.pin();
    const extra = reader.read(1000);
    expect(pinned).not.toContain(extra);
    expect(extra.bytes.length).toBe(BLOCK_BYTES);
    expect(reader.list.frames[1000]).toBeUndefined();
    expect(cache.bytes).toBe(MIB);
    expect(pinned.every((frame, ordinal) => isOf(frame, ordinal))).toBe(true);
    for (const frame of pinned) frame.unpin();
    expect(pinned).toContain(reader.read(1001));
  });

  test("uses the frame of a closed file again when its last pin is gone", () => {
    const cache = new BlockCache(MIB);
    const closed = new Reader(cache);
    const open = new Reader(cache);
    const pinned = closed.read(5);
    pinned.pin();
    closed.readAll(0, 20);
    cache.forget(closed.list);
    expect(closed.held(0, 20)).toBe(0);
    expect(cache.blockCount).toBe(0);
    open.readAll(0, 5000);
    expect(isOf(pinned, 5)).toBe(true);
    expect(open.frames.has(pinned)).toBe(false);
    pinned.unpin();
    expect(open.read(6000)).toBe(pinned);
  });

  test("gives a frame that could not be filled to the next", () => {
    const cache = new BlockCache(MIB);
    const frame = cache.take(BLOCK_BYTES);
    cache.giveBack(frame);
    expect(cache.take(BLOCK_BYTES)).toBe(frame);
  });

  test("keeps no block that is larger than a slab, and nothing at all without memory", () => {
    const cache = new BlockCache(MIB);
    const large = new Reader(cache, 200 * 1024);
    expect(large.read(1).bytes.length).toBe(200 * 1024);
    expect(large.list.frames[1]).toBeUndefined();
    expect(cache.bytes).toBe(0);
    const none = new Reader(new BlockCache(0));
    expect(none.read(1).bytes.length).toBe(BLOCK_BYTES);
    expect(none.list.frames[1]).toBeUndefined();
  });

  test("lets a size of blocks have the memory that another no longer asks for", () => {
    const cache = new BlockCache(MIB);
    const small = new Reader(cache);
    small.readAll(0, 2000);
    const pinned = small.read(1999);
    pinned.pin();
    const large = new Reader(cache, 8000);
    large.readAll(0, 2000);
    expect(isOf(pinned, 1999)).toBe(true);
    expect(cache.bytes).toBe(MIB);
    // All slabs but the one in which something is pinned.
    expect(large.held(0, 2000)).toBe(7 * Math.floor((128 * 1024) / 8192));
    pinned.unpin();
    small.readAll(3000, 3010);
    expect(small.held(3000, 3010)).toBe(10);
  });

  test("shares the memory between two sizes as they are asked for", () => {
    const cache = new BlockCache(4 * MIB);
    const small = new Reader(cache);
    const large = new Reader(cache, 16_000);
    const prng = new Prng(3);
    for (let i = 0; i < 20_000; i++) {
      small.read(prng.between(0, 9999));
      if (i % 4 === 0) large.read(prng.between(0, 9999));
    }
    const buffers = [...small.frames, ...large.frames].map(({ bytes }) => bytes.buffer);
    // What one size gives up is used for the other, and is nothing that the collector would count.
    expect(new Set(buffers).size).toBe(32);
    expect(buffers.every((buffer) => buffer instanceof SharedArrayBuffer)).toBe(true);
    const largeBytes = large.held(0, 10_000) * 16_000;
    expect(largeBytes).toBeGreaterThan(0.35 * 4 * MIB);
    expect(largeBytes).toBeLessThan(0.6 * 4 * MIB);
  });
});

describe("what stays", () => {
  const HOT = Math.floor(FRAMES / 2);

  /** Reads of hot blocks at random. */
  function readHot(reader: Reader, count: number, from = 0): void {
    const prng = new Prng(11);
    for (let i = 0; i < count; i++) reader.read(from + prng.between(0, HOT - 1));
  }

  test("a scan drives out nothing that is read again and again", () => {
    const reader = new Reader(new BlockCache(MIB));
    readHot(reader, 2000);
    reader.readAll(1000, 9000);
    expect(reader.held(0, HOT)).toBe(HOT);
    expect(reader.hitRate(() => readHot(reader, 2000))).toBe(1);
  });

  test("nor does one that never ends, beside the reads", () => {
    const reader = new Reader(new BlockCache(MIB));
    readHot(reader, 2000);
    const prng = new Prng(12);
    let hits = 0;
    for (let i = 0; i < 8000; i++) {
      reader.read(1000 + i);
      const before = reader.hits;
      reader.read(prng.between(0, HOT - 1));
      hits += reader.hits - before;
    }
    expect(hits / 8000).toBeGreaterThan(0.99);
  });

  test("others that are read again and again take the place of those that are no more", () => {
    const reader = new Reader(new BlockCache(MIB));
    readHot(reader, 5000);
    readHot(reader, 3000, 5000);
    expect(reader.hitRate(() => readHot(reader, 2000, 5000))).toBe(1);
  });

  test("a set that the probation is too small for is kept when it comes back", () => {
    const reader = new Reader(new BlockCache(MIB));
    // Kept, and then never read again.
    reader.readAll(0, FRAMES);
    reader.readAll(0, FRAMES);
    for (let round = 0; round < 6; round++) reader.readAll(2000, 2000 + HOT);
    expect(reader.hitRate(() => reader.readAll(2000, 2000 + HOT))).toBe(1);
  });

  test("beats throwing out the oldest where some are read more often than others", () => {
    const reader = new Reader(new BlockCache(MIB));
    const prng = new Prng(13);
    const readSkewed = (): void => {
      for (let i = 0; i < 20_000; i++) reader.read(Math.floor(4000 * prng.fraction() ** 4));
    };
    readSkewed();
    // FRAMES of 4000 blocks, first in, first out: 0.37.
    expect(reader.hitRate(readSkewed)).toBeGreaterThan(0.42);
  });
});
