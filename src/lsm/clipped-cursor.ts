/**
 * Walks the part of a section that a slice shows, as if the rest were not there: what a cut through
 * a tree has left in a file on either side of it.
 */
import { compareBytes, compareSlices } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { rangeContainsSlice } from "../base/key-range.js";
import type { EntrySlot, RunCursor } from "./entry-slot.js";
import { SstableCursor } from "./sstable-cursor.js";
import type { Section } from "./sstable-reader.js";

/** `clip` undefined: all of the section is shown, and walking it costs nothing more. */
export function cursorOf(
  section: Section,
  clip: KeyRange | undefined,
  maxVersion: number,
): RunCursor {
  const cursor = new SstableCursor(section, maxVersion);
  return clip === undefined ? cursor : new ClippedCursor(cursor, clip);
}

/** Once it has left the clip it stays outside until it is positioned anew. */
class ClippedCursor implements RunCursor {
  readonly slot: EntrySlot;
  readonly #inner: SstableCursor;
  readonly #clip: KeyRange;
  #isStarted = false;

  constructor(inner: SstableCursor, clip: KeyRange) {
    this.#inner = inner;
    this.#clip = clip;
    this.slot = inner.slot;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    this.#isStarted = true;
    const { start } = this.#clip;
    const isBefore = compareSlices(key, keyOffset, keyLength, start, 0, start.length) < 0;
    const isFound = isBefore
      ? this.#inner.seek(start, 0, start.length, Infinity)
      : this.#inner.seek(key, keyOffset, keyLength, version);
    return isFound && this.#isInside();
  }

  next(): boolean {
    const { start } = this.#clip;
    if (!this.#isStarted) return this.seek(start, 0, start.length, Infinity);
    return this.#inner.next() && this.#isInside();
  }

  seekBefore(key: Uint8Array | undefined): boolean {
    this.#isStarted = true;
    const { end } = this.#clip;
    const isPast = end !== undefined && (key === undefined || compareBytes(key, end) > 0);
    return this.#inner.seekBefore(isPast ? end : key) && this.#isInside();
  }

  previous(): boolean {
    return this.#inner.previous() && this.#isInside();
  }

  close(): void {
    this.#inner.close();
  }

  #isInside(): boolean {
    const { bytes, keyOffset, keyLength } = this.slot;
    return rangeContainsSlice(this.#clip, bytes, keyOffset, keyLength);
  }
}
