/**
 * Walks one section of an sstable. It starts before the first entry. Blocks that hold only
 * versions above `maxVersion` are passed over unread.
 */
import type { Block } from "./block-reader.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";
import type { Section } from "./sstable-reader.js";

export class SstableCursor implements RunCursor {
  readonly slot: EntrySlot = new EntrySlot();
  readonly #section: Section;
  readonly #maxVersion: number;
  /** Kept here, so that the cache may let go of it while the cursor stands in it. */
  #block: Block | undefined = undefined;
  #ordinal = -1;
  #row = 0;

  constructor(section: Section, maxVersion: number) {
    this.#section = section;
    this.#maxVersion = maxVersion;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    this.#ordinal = this.#section.ordinalFor(key, keyOffset, keyLength, version);
    this.#block = this.#section.block(this.#ordinal);
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
    this.#block = section.block(this.#ordinal);
    this.#row = 0;
    return true;
  }
}
