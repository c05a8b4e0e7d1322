/**
 * Walks one section of an sstable. It starts before the first entry. Blocks that hold only
 * versions above `maxVersion` are passed over unread. Who goes on from block to block has more and
 * more of them read at once, past the cache.
 */
import type { Block } from "./block-reader.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";
import type { Section } from "./sstable-reader.js";

/** Blocks that are read at once, at first and at most. */
const AHEAD_MIN = 2;
const AHEAD_MAX = 16;

export class SstableCursor implements RunCursor {
  readonly slot: EntrySlot = new EntrySlot();
  readonly #section: Section;
  readonly #maxVersion: number;
  /** Kept here, so that the cache may let go of it while the cursor stands in it. */
  #block: Block | undefined = undefined;
  #ordinal = -1;
  #row = 0;
  /** Blocks that were read ahead; the first has the ordinal `#aheadFrom`. */
  #ahead: readonly Block[] = [];
  #aheadFrom = 0;
  /** How many to read at once at the next need; 1 as long as nobody has walked on. */
  #aheadCount = 1;

  constructor(section: Section, maxVersion: number) {
    this.#section = section;
    this.#maxVersion = maxVersion;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    const ordinal = this.#section.ordinalFor(key, keyOffset, keyLength, version);
    const held = this.#ahead[ordinal - this.#aheadFrom];
    // A leap over versions of a key stays near: who walks on goes on being read ahead.
    if (held === undefined && ordinal !== this.#ordinal) this.#aheadCount = 1;
    this.#ordinal = ordinal;
    this.#block = held ?? this.#section.block(ordinal);
    this.#row = this.#block.lowerBound(key, keyOffset, keyLength, version);
    if (this.#row === this.#block.rowCount && !this.#nextBlock()) return false;
    this.#block.show(this.#row, this.slot, this.#section);
    return true;
  }

  next(): boolean {
    this.#row++;
    if (this.#block === undefined || this.#row >= this.#block.rowCount) {
      if (!this.#nextBlock()) return false;
    }
    this.#block!.show(this.#row, this.slot, this.#section);
    return true;
  }

  seekBefore(key: Uint8Array | undefined): boolean {
    const section = this.#section;
    if (key === undefined) {
      this.#ordinal = section.blockCount;
      return this.#previousBlock();
    }
    this.#ordinal = section.ordinalFor(key, 0, key.length, Infinity);
    this.#block = section.block(this.#ordinal);
    this.#row = this.#block.lowerBound(key, 0, key.length, Infinity);
    return this.previous();
  }

  previous(): boolean {
    if (this.#row === 0) return this.#previousBlock();
    this.#row--;
    this.#block!.show(this.#row, this.slot, this.#section);
    return true;
  }

  #previousBlock(): boolean {
    const section = this.#section;
    do {
      if (this.#ordinal === 0) return false;
      this.#ordinal--;
    } while (section.blockMinVersion(this.#ordinal) > this.#maxVersion);
    this.#block = section.block(this.#ordinal);
    this.#row = this.#block.rowCount - 1;
    this.#block.show(this.#row, this.slot, section);
    return true;
  }

  #nextBlock(): boolean {
    const section = this.#section;
    for (;;) {
      if (++this.#ordinal >= section.blockCount) {
        this.#ordinal = section.blockCount;
        return false;
      }
      if (section.blockMinVersion(this.#ordinal) <= this.#maxVersion) break;
    }
    this.#block = this.#blockAhead();
    this.#row = 0;
    return true;
  }

  #blockAhead(): Block {
    const section = this.#section;
    const ordinal = this.#ordinal;
    const held = this.#ahead[ordinal - this.#aheadFrom];
    if (held !== undefined) return held;
    const count = this.#aheadCount;
    this.#aheadCount = count === 1 ? AHEAD_MIN : Math.min(AHEAD_MAX, count * 2);
    if (count === 1 || section.isCached(ordinal)) return section.block(ordinal);
    this.#ahead = section.blocksAhead(ordinal, count);
    this.#aheadFrom = ordinal;
    const [first] = this.#ahead;
    if (first !== undefined) return first;
    // What cannot be read together is not tried together at each of its blocks.
    this.#aheadCount = 1;
    return section.block(ordinal);
  }
}
