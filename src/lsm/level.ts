/**
 * A level of a large tree: tables whose keys do not overlap, so that a key is in at most one of
 * them, and a cursor that walks them as one run.
 */
import { compareSlices } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { cursorOf } from "./clipped-cursor.js";
import { EntrySlot } from "./entry-slot.js";
import type { RunCursor } from "./entry-slot.js";
import type { Slice } from "./slice.js";
import type { Section } from "./sstable-reader.js";

/**
 * Slices of this number and above belong to level `number - LEVEL_BASE`; a larger level is older.
 * Those below are runs of their own (tiers), and newer than all levels.
 */
export const LEVEL_BASE = 64;
/** The deepest level. Levels fill from here upwards. */
export const LEVEL_BOTTOM = 7;

/** What a level needs to know of a table. */
export interface LevelRun {
  readonly slice: Slice;
  /** What it shows of the section, unless that is all. */
  readonly clip: KeyRange | undefined;
  readonly section: Section;
}

export class Level {
  /** Ascending by key. */
  readonly runs: readonly LevelRun[];
  readonly maxVersion: number;

  constructor(runs: readonly LevelRun[]) {
    this.runs = [...runs].sort((a, b) => compareStarts(a, b));
    this.maxVersion = Math.max(...runs.map(({ slice }) => slice.maxVersion));
  }

  /** The place of the last table that begins at or before the key; -1 where there is none. */
  placeOf(key: Uint8Array, keyOffset: number, keyLength: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { start } = this.runs[middle]!.slice.range;
      if (compareSlices(start, 0, start.length, key, keyOffset, keyLength) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Opens one table after the other, as far as it is read. */
export class LevelCursor implements RunCursor {
  readonly #runs: readonly LevelRun[];
  readonly #level: Level;
  readonly #maxVersion: number;
  #place = -1;
  #current: RunCursor | undefined = undefined;
  /** The one before, whose last key may still be looked at: see SstableCursor. */
  #left: RunCursor | undefined = undefined;
  readonly #none: EntrySlot = new EntrySlot();

  constructor(level: Level, maxVersion: number) {
    this.#level = level;
    this.#runs = level.runs;
    this.#maxVersion = maxVersion;
  }

  get slot(): EntrySlot {
    return this.#current?.slot ?? this.#none;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    const place = Math.max(0, this.#level.placeOf(key, keyOffset, keyLength));
    const isOpen = this.#current !== undefined && place === this.#place;
    if (!isOpen) {
      this.#leave();
      this.#place = place;
      this.#open();
    }
    if (this.#current?.seek(key, keyOffset, keyLength, version) === true) return true;
    if (isOpen) this.#leave();
    return this.#nextTable();
  }

  next(): boolean {
    if (this.#current?.next() === true) return true;
    this.#leave();
    return this.#nextTable();
  }

  seekBefore(key: Uint8Array | undefined): boolean {
    this.#leave();
    this.#place = this.#runs.length - 1;
    if (key !== undefined) this.#place = this.#level.placeOf(key, 0, key.length);
    if (this.#place < 0) return false;
    return this.#open()?.seekBefore(key) === true || this.#previousTable();
  }

  previous(): boolean {
    if (this.#current?.previous() === true) return true;
    this.#leave();
    return this.#previousTable();
  }

  close(): void {
    this.#leave();
    this.#leave();
  }

  #leave(): void {
    this.#left?.close();
    this.#left = this.#current;
    this.#current = undefined;
  }

  #nextTable(): boolean {
    while (++this.#place < this.#runs.length) if (this.#open()?.next() === true) return true;
    this.#place = this.#runs.length;
    return false;
  }

  #previousTable(): boolean {
    while (--this.#place >= 0) if (this.#open()?.seekBefore(undefined) === true) return true;
    this.#place = -1;
    return false;
  }

  /** The table at the place, unless all of it is too new. */
  #open(): RunCursor | undefined {
    const { slice, section, clip } = this.#runs[this.#place]!;
    const isTooNew = slice.minVersion > this.#maxVersion;
    this.#current?.close();
    this.#current = isTooNew ? undefined : cursorOf(section, clip, this.#maxVersion);
    return this.#current;
  }
}

function compareStarts(a: LevelRun, b: LevelRun): number {
  const { start } = a.slice.range;
  const other = b.slice.range.start;
  return compareSlices(start, 0, start.length, other, 0, other.length);
}
