/**
 * Bounds the memory of blocks read from sstables. It lies in slabs that are cut into frames of one
 * size each and never given back, so that a miss allocates nothing and the garbage collector has
 * nothing to do with it: the slabs are shared memory, which it does not count. Of what it counts,
 * each 10 MiB by which a cache grew led to a collection of everything. A reader holds its blocks in
 * a list; this cache decides which leaves it.
 *
 *   take   a frame for so many bytes: a free one, one of a new slab, or the one of a block let go
 *   add    the frame was filled: its block is found in the list from now on
 *
 * A size has slabs as it has demand: one that is asked for more takes a slab from one that is asked
 * for less. Where all frames are pinned, and for a block that is larger than a slab, there is a
 * frame with memory of its own, which is never kept.
 */
import type { Frame } from "./frame.js";
import { FrameMemory, looseFrame } from "./frame.js";
import type { FrameList } from "./frame-list.js";
import { FramePool } from "./frame-pool.js";

const SLAB_SIZE_BYTES_MAX = 128 * 1024;
/** A small cache has at least so many slabs. */
const SLABS_MIN = 8;
/** A key block ends with the entry by which it reaches 4 KiB: most of them fit in here. */
const USUAL_FRAME_BYTES = 4096 + 256;
const FRAME_BYTES_MIN = 256;
/** Above the usual, frames come in so many sizes from one power of two to the next. */
const SIZES_PER_DOUBLING = 16;

export class BlockCache {
  /** From the disk, by whoever has this cache, also those that it does not keep. */
  blocksRead = 0;
  readonly #bytesMax: number;
  readonly #slabBytes: number;
  /** By size of their frames. */
  readonly #pools: Map<number, FramePool> = new Map();
  #slabCount = 0;
  /** Of all pools. */
  #demand = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#slabBytes = Math.min(SLAB_SIZE_BYTES_MAX, Math.floor(bytesMax / SLABS_MIN)) & ~3;
  }

  /** Memory that it has taken. */
  get bytes(): number {
    return this.#slabCount * this.#slabBytes;
  }

  get blockCount(): number {
    let count = 0;
    for (const pool of this.#pools.values()) count += pool.blockCount;
    return count;
  }

  /** Frames that somebody holds, those of closed files included. */
  get pinnedCount(): number {
    let count = 0;
    for (const pool of this.#pools.values()) count += pool.pinnedCount;
    return count;
  }

  /** A frame that nobody else sees. It is filled and then added, or given back. */
  take(sizeBytes: number): Frame {
    const frameBytes = frameBytesFor(sizeBytes);
    if (frameBytes > this.#slabBytes) return looseFrame(new Uint8Array(sizeBytes));
    const pool = this.#poolOf(frameBytes);
    this.#ask(pool);
    let frame = pool.takeFree();
    if (frame === undefined && this.#grow(pool)) frame = pool.takeFree();
    return frame ?? pool.evict() ?? looseFrame(new Uint8Array(sizeBytes));
  }

  add(frame: Frame, list: FrameList, ordinal: number): void {
    frame.home?.add(frame, list, ordinal);
  }

  giveBack(frame: Frame): void {
    frame.home?.takeBack(frame);
  }

  /** Lets go of all blocks of a list, because its file is closed. */
  forget(list: FrameList): void {
    for (const frame of list.frames) frame?.home?.forget(frame);
  }

  #poolOf(frameBytes: number): FramePool {
    let pool = this.#pools.get(frameBytes);
    if (pool === undefined) {
      pool = new FramePool(frameBytes);
      this.#pools.set(frameBytes, pool);
    }
    return pool;
  }

  #ask(pool: FramePool): void {
    pool.demand += pool.frameBytes;
    this.#demand += pool.frameBytes;
    if (this.#demand <= 4 * this.#bytesMax) return;
    this.#demand = 0;
    for (const each of this.#pools.values()) {
      each.demand /= 2;
      this.#demand += each.demand;
    }
  }

  /** Another slab for a pool, where one is left or another pool has one more than its part. */
  #grow(pool: FramePool): boolean {
    if ((this.#slabCount + 1) * this.#slabBytes <= this.#bytesMax) {
      pool.addSlab(new FrameMemory(new Uint8Array(new SharedArrayBuffer(this.#slabBytes))));
      this.#slabCount++;
      return true;
    }
    const isOwed = this.#surplus(pool) < -1 || pool.slabCount === 0;
    const moved = isOwed ? this.#richest(pool).removeSlab() : undefined;
    if (moved !== undefined) pool.addSlab(moved);
    return moved !== undefined;
  }

  /** How many slabs a pool has above its part, which is its part of the demand. */
  #surplus(pool: FramePool): number {
    return pool.slabCount - (this.#slabCount * pool.demand) / this.#demand;
  }

  /** The pool that has most above its part, other than the one that asks, and has any. */
  #richest(asking: FramePool): FramePool {
    let richest = asking;
    for (const pool of this.#pools.values()) {
      if (pool === asking || pool.slabCount === 0) continue;
      if (richest === asking || this.#surplus(pool) > this.#surplus(richest)) richest = pool;
    }
    return richest;
  }
}

/** The size of the frames in which blocks of this size lie. */
function frameBytesFor(sizeBytes: number): number {
  if (sizeBytes > USUAL_FRAME_BYTES) {
    const step = 2 ** Math.floor(Math.log2(sizeBytes - 1)) / SIZES_PER_DOUBLING;
    return Math.ceil(sizeBytes / step) * step;
  }
  let frameBytes = FRAME_BYTES_MIN;
  while (frameBytes < sizeBytes) frameBytes *= 2;
  // The last block of a section has any size: it shares the frames of the others.
  return frameBytes * 2 > USUAL_FRAME_BYTES ? USUAL_FRAME_BYTES : frameBytes;
}
