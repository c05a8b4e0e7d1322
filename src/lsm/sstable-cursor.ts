/**
 * Walks one section of an sstable. It starts before the first entry. Blocks that hold only
 * versions above `maxVersion` are passed over unread. Who goes on from block to block has more and
 * more of them read at once, past the cache.
 *
 * It pins the block that it stands in, and the one in which it stood before the last move to
 * another: what was shown before a move can be compared with what is shown after it, no longer.
 */
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";
import type { Frame } from "./frame.js";
import type { Section } from "./sstable-reader.js";

/** Blocks that are read at once, at first and at most. */
const AHEAD_MIN = 2;
const AHEAD_MAX = 16;

export class SstableCursor implements RunCursor {
  readonly slot: EntrySlot = new EntrySlot();
  readonly #section: Section;
  readonly #maxVersion: number;
  #frame: Frame | undefined = undefined;
  #left: Frame | undefined = undefined;
  #ordinal = -1;
  #row = 0;
  /** Blocks that were read ahead; the first has the ordinal `#aheadFrom`. */
  #ahead: readonly Frame[] = [];
  #aheadFrom = 0;
  /** What was read ahead before that; its memory is used again when nobody pins any of it. */
  #behind: readonly Frame[] = [];
  /** How many to read at once at the next need; 1 as long as nobody has walked on. */
  #aheadCount = 1;

  constructor(section: Section, maxVersion: number) {
    this.#section = section;
    this.#maxVersion = maxVersion;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    const ordinal = this.#section.ordinalFor(key, keyOffset, keyLength, version);
    const held = this.#ahead[ordinal - this.#aheadFrom];
    // Who seeks by the key that is shown leaps over its versions, and walks on from there.
    const isLeap = key === this.slot.bytes && keyOffset === this.slot.keyOffset;
    const isElsewhere = ordinal !== this.#ordinal;
    if (!isLeap && isElsewhere && held === undefined) this.#aheadCount = 1;
    this.#leave();
    this.#ordinal = ordinal;
    const { block } = this.#enter(held ?? this.#frameAt(isLeap && isElsewhere));
    this.#row = block.lowerBound(key, keyOffset, keyLength, version);
    if (this.#row === block.rowCount) return this.#showNextBlock();
    block.show(this.#row, this.slot, this.#section);
    return true;
  }

  next(): boolean {
    this.#row++;
    const block = this.#frame?.block;
    if (block === undefined || this.#row >= block.rowCount) {
      this.#leave();
      return this.#showNextBlock();
    }
    block.show(this.#row, this.slot, this.#section);
    return true;
  }

  seekBefore(key: Uint8Array | undefined): boolean {
    const section = this.#section;
    this.#leave();
    if (key === undefined) {
      this.#ordinal = section.blockCount;
      return this.#showPreviousBlock();
    }
    this.#ordinal = section.ordinalFor(key, 0, key.length, Infinity);
    const { block } = this.#enter(section.frame(this.#ordinal));
    this.#row = block.lowerBound(key, 0, key.length, Infinity);
    if (this.#row === 0) return this.#showPreviousBlock();
    this.#row--;
    block.show(this.#row, this.slot, section);
    return true;
  }

  previous(): boolean {
    const block = this.#frame?.block;
    if (block === undefined || this.#row === 0) {
      this.#leave();
      return this.#showPreviousBlock();
    }
    this.#row--;
    block.show(this.#row, this.slot, this.#section);
    return true;
  }

  close(): void {
    this.#leave();
    this.#leave();
    this.#ahead = [];
    this.#behind = [];
    this.slot.letGo();
  }

  /** Once for each move, before it reads: what it stood in before the move before may go. */
  #leave(): void {
    this.#left?.unpin();
    this.#left = this.#frame;
    this.#frame = undefined;
  }

  #enter(frame: Frame): Frame {
    frame.pin();
    this.#frame?.unpin();
    this.#frame = frame;
    this.slot.frame = frame;
    return frame;
  }

  #showPreviousBlock(): boolean {
    const section = this.#section;
    do {
      if (--this.#ordinal < 0) {
        this.#ordinal = -1;
        return false;
      }
    } while (this.#isTooNew(this.#ordinal));
    const { block } = this.#enter(section.frame(this.#ordinal));
    this.#row = block.rowCount - 1;
    block.show(this.#row, this.slot, section);
    return true;
  }

  #showNextBlock(): boolean {
    const section = this.#section;
    for (;;) {
      if (++this.#ordinal >= section.blockCount) {
        this.#ordinal = section.blockCount;
        return false;
      }
      if (!this.#isTooNew(this.#ordinal)) break;
    }
    const { block } = this.#enter(this.#frameAhead());
    this.#row = 0;
    block.show(0, this.slot, section);
    return true;
  }

  /** Whether a block has nothing to show; where the section has nothing too new, none is asked. */
  #isTooNew(ordinal: number): boolean {
    const { info } = this.#section;
    return (
      info.maxVersion > this.#maxVersion &&
      this.#section.blockMinVersion(ordinal) > this.#maxVersion
    );
  }

  #frameAt(isWalk: boolean): Frame {
    return isWalk ? this.#frameAhead() : this.#section.frame(this.#ordinal);
  }

  #frameAhead(): Frame {
    const section = this.#section;
    const ordinal = this.#ordinal;
    const held = this.#ahead[ordinal - this.#aheadFrom];
    if (held !== undefined) return held;
    const count = this.#aheadCount;
    this.#aheadCount = count === 1 ? AHEAD_MIN : Math.min(AHEAD_MAX, count * 2);
    if (count === 1) return section.frame(ordinal);
    const cached = section.cachedFrame(ordinal);
    if (cached !== undefined) return cached;
    const first = this.#readAhead(count);
    if (first !== undefined) return first;
    // What cannot be read together is not tried together at each of its blocks.
    this.#aheadCount = 1;
    return section.frame(ordinal);
  }

  /** Bench: storage, steady-sync: new memory each time keeps the collector busy in all threads. */
  #readAhead(count: number): Frame | undefined {
    const isSpare = this.#behind.every(({ pins }) => pins === 0);
    const spare = isSpare ? this.#behind[0]?.memory : undefined;
    const frames = this.#section.blocksAhead(this.#ordinal, count, spare);
    this.#behind = this.#ahead;
    this.#ahead = frames;
    this.#aheadFrom = this.#ordinal;
    return frames[0];
  }
}
