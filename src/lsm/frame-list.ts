/**
 * The blocks of one section that are in the cache, by ordinal, so that a hit is one array access;
 * and when each was let go last, so that one which comes back soon is known to be wanted.
 */
import type { Frame, FrameHolder } from "./frame.js";

export class FrameList implements FrameHolder {
  readonly frames: (Frame | undefined)[];
  /** By ordinal the clock of its pool as it was let go; 0 where that never happened. */
  readonly #letGoAt: Int32Array;

  constructor(count: number) {
    // Filled, because an array with holes far apart is kept as a hash table (bench: storage, get).
    this.frames = Array.from({ length: count }, () => undefined);
    this.#letGoAt = new Int32Array(count);
  }

  put(ordinal: number, frame: Frame): void {
    this.frames[ordinal] = frame;
  }

  letGo(ordinal: number, clock: number): void {
    this.frames[ordinal] = undefined;
    this.#letGoAt[ordinal] = clock;
  }

  wasHereLately(ordinal: number, clock: number, span: number): boolean {
    const letGoAt = this.#letGoAt[ordinal]!;
    return letGoAt !== 0 && ((clock - letGoAt) | 0) <= span;
  }
}

/** Of what has no blocks in the cache, or none yet: one for all, as most tables are small. */
export const NO_FRAMES: FrameList = new FrameList(0);
