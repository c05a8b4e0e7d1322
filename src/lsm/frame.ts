/**
 * A place in memory for one block of an sstable. A frame of the cache is used again for another
 * block once it was let go, so whoever looks at its bytes beyond the next read of a block pins it;
 * a frame of its own memory belongs to nobody else and goes with the last who holds it.
 */
import { assert } from "../base/assert.js";
import { Block } from "./block-reader.js";

/** Where a frame is found as long as its block is in the cache. */
export interface FrameHolder {
  put(ordinal: number, frame: Frame): void;
  letGo(ordinal: number, clock: number): void;
  /** Whether no more than `span` blocks came into the cache since this one was let go. */
  wasHereLately(ordinal: number, clock: number, span: number): boolean;
}

/** What a frame of the cache belongs to. */
export interface FrameHome {
  /** From now on the block in the frame is found at its holder. */
  add(frame: Frame, holder: FrameHolder, ordinal: number): void;
  /** Takes a block from its holder; its frame is free as soon as nobody pins it. */
  forget(frame: Frame): void;
  /** A frame without a block that anyone finds, and which nobody pins, is free. */
  takeBack(frame: Frame): void;
}

/** Bytes, and the same as words: one for all frames of a slab. */
export class FrameMemory {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;

  /** `bytes` starts at an offset that is a multiple of 4. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  }
}

const NO_BLOCK = new Block(new Uint8Array(0), new Int32Array(0), 0);

export class Frame {
  /** The frame is at [start, start + sizeBytes); a view of its own would be cold (bench: get). */
  readonly memory: FrameMemory;
  readonly start: number;
  readonly sizeBytes: number;
  /** The same bytes as a block of rows, once it was opened; until then it has none. */
  block: Block = NO_BLOCK;
  readonly home: FrameHome | undefined;
  /** Set at each use, cleared by the cache as it looks for a block to let go. */
  referenced = false;
  pins = 0;
  /** Who finds it, and where there; undefined for what is not in the cache. */
  holder: FrameHolder | undefined = undefined;
  ordinal = 0;
  queue: FrameQueue | undefined = undefined;
  previous: Frame | undefined = undefined;
  next: Frame | undefined = undefined;
  #bytes: Uint8Array | undefined = undefined;

  /** `start` is a multiple of 4. */
  constructor(memory: FrameMemory, start: number, sizeBytes: number, home: FrameHome | undefined) {
    this.memory = memory;
    this.start = start;
    this.sizeBytes = sizeBytes;
    this.home = home;
  }

  /** A view for who needs one that begins with the frame. */
  get bytes(): Uint8Array {
    const { memory, start, sizeBytes } = this;
    this.#bytes ??= memory.bytes.subarray(start, start + sizeBytes);
    return this.#bytes;
  }

  /** From now on `block` shows the rows in the first `sizeBytes`: what holds values needs none. */
  openBlock(sizeBytes: number): void {
    if (this.block === NO_BLOCK) {
      this.block = new Block(this.memory.bytes, this.memory.words, this.start);
    }
    this.block.open(sizeBytes);
  }

  pin(): void {
    this.pins++;
  }

  unpin(): void {
    assert(this.pins > 0, "a frame was let go too often");
    this.pins--;
    if (this.pins === 0 && this.holder === undefined) this.home?.takeBack(this);
  }
}

/** A frame with memory of its own. */
export function looseFrame(bytes: Uint8Array): Frame {
  return new Frame(new FrameMemory(bytes), 0, bytes.length, undefined);
}

/** Frames in a row, linked through themselves, so that queueing makes no garbage. */
export class FrameQueue {
  count = 0;
  #first: Frame | undefined = undefined;
  #last: Frame | undefined = undefined;

  push(frame: Frame): void {
    assert(frame.queue === undefined, "a frame is in one queue");
    frame.queue = this;
    frame.previous = this.#last;
    if (this.#last === undefined) this.#first = frame;
    else this.#last.next = frame;
    this.#last = frame;
    this.count++;
  }

  shift(): Frame | undefined {
    const frame = this.#first;
    if (frame !== undefined) this.remove(frame);
    return frame;
  }

  remove(frame: Frame): void {
    assert(frame.queue === this, "the frame is in this queue");
    const { previous, next } = frame;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    frame.queue = undefined;
    frame.previous = undefined;
    frame.next = undefined;
    this.count--;
  }
}
