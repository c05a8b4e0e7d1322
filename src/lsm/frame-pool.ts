/**
 * The frames of one size, and which block leaves them: first in, first out in two queues. A block
 * enters on probation and is kept if it is used again before its turn to leave comes, or comes back
 * soon after it left; a kept block that was used since its last turn gets another one. What is
 * read once, as by a scan, passes through the probation and drives out nothing that is kept.
 */
import { assert } from "../base/assert.js";
import type { FrameHolder, FrameHome, FrameMemory } from "./frame.js";
import { Frame, FrameQueue } from "./frame.js";

/** One in so many frames, at least, is for blocks on probation. */
const PROBATION_SHARE = 8;

/** Memory that is cut into frames as they are needed. */
interface Slab {
  readonly memory: FrameMemory;
  readonly frames: Frame[];
}

export class FramePool implements FrameHome {
  readonly frameBytes: number;
  /** Bytes that were asked for of late: what the pool's part of the cache follows. */
  demand = 0;
  readonly #slabs: Slab[] = [];
  readonly #free: Frame[] = [];
  readonly #probation: FrameQueue = new FrameQueue();
  readonly #kept: FrameQueue = new FrameQueue();
  #frameCount = 0;
  /** Blocks that came, in 31 bits and never 0. */
  #clock = 1;

  constructor(frameBytes: number) {
    this.frameBytes = frameBytes;
  }

  get blockCount(): number {
    return this.#probation.count + this.#kept.count;
  }

  get slabCount(): number {
    return this.#slabs.length;
  }

  get pinnedCount(): number {
    return this.#slabs.flatMap(({ frames }) => frames.filter(({ pins }) => pins > 0)).length;
  }

  addSlab(memory: FrameMemory): void {
    this.#slabs.push({ memory, frames: [] });
  }

  /** Gives up a slab in which nothing is pinned, with all blocks in it, if there is one. */
  removeSlab(): FrameMemory | undefined {
    const at = this.#slabs.findIndex(({ frames }) => frames.every(({ pins }) => pins === 0));
    if (at < 0) return undefined;
    const { memory, frames } = this.#slabs[at]!;
    this.#slabs.splice(at, 1);
    for (const frame of frames) {
      if (frame.holder !== undefined) this.#letGo(frame);
      else assert(removeFrom(this.#free, frame), "a frame without a block is free");
    }
    this.#frameCount -= frames.length;
    return memory;
  }

  takeFree(): Frame | undefined {
    return this.#free.pop() ?? this.#cut();
  }

  /** The frame of a block that is let go for it; undefined where all are pinned. */
  evict(): Frame | undefined {
    const share = Math.max(1, Math.floor(this.#frameCount / PROBATION_SHARE));
    for (let left = 2 * this.blockCount; left > 0; left--) {
      const isProbation = this.#probation.count >= share || this.#kept.count === 0;
      const frame = (isProbation ? this.#probation : this.#kept).shift()!;
      if (frame.pins === 0 && !frame.referenced) {
        this.#letGo(frame);
        return frame;
      }
      frame.referenced = false;
      this.#kept.push(frame);
    }
    return undefined;
  }

  add(frame: Frame, holder: FrameHolder, ordinal: number): void {
    const isWanted = holder.wasHereLately(ordinal, this.#clock, this.#frameCount);
    this.#clock = (this.#clock + 1) & 0x7fff_ffff || 1;
    holder.put(ordinal, frame);
    frame.holder = holder;
    frame.ordinal = ordinal;
    frame.referenced = false;
    (isWanted ? this.#kept : this.#probation).push(frame);
  }

  forget(frame: Frame): void {
    this.#letGo(frame);
    if (frame.pins === 0) this.takeBack(frame);
  }

  takeBack(frame: Frame): void {
    this.#free.push(frame);
  }

  /** A frame of the slab that came last, which alone may have some uncut. */
  #cut(): Frame | undefined {
    const slab = this.#slabs.at(-1);
    if (slab === undefined) return undefined;
    const { memory, frames } = slab;
    const at = frames.length * this.frameBytes;
    if (at + this.frameBytes > memory.bytes.length) return undefined;
    const frame = new Frame(memory, at, this.frameBytes, this);
    frames.push(frame);
    this.#frameCount++;
    return frame;
  }

  #letGo(frame: Frame): void {
    frame.queue?.remove(frame);
    frame.holder!.letGo(frame.ordinal, this.#clock);
    frame.holder = undefined;
  }
}

function removeFrom(frames: Frame[], frame: Frame): boolean {
  const at = frames.indexOf(frame);
  if (at >= 0) frames.splice(at, 1);
  return at >= 0;
}
