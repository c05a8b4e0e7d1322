/**
 * Merges runs into one order. The runs stand in an array sorted by their heads; a step moves the
 * first run on and then shifts it to its place, which is one comparison as long as one run gives
 * the entries. An entry that two runs hold is shown once.
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES, compareSlices } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { Cursor, CursorMode } from "./entry.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";

/** After so many unwanted versions of a key it is cheaper to search for the end of them. */
const SKIPS_BEFORE_SEEK = 8;

const NO_KEY = -1;

export class MergingCursor implements Cursor {
  entry: EntrySlot = new EntrySlot();
  readonly #runs: readonly RunCursor[];
  readonly #range: KeyRange;
  readonly #maxVersion: number;
  readonly #isNewestOnly: boolean;
  #onClose: (() => void) | undefined;
  /** Runs that are not at their end, by head. */
  readonly #order: RunCursor[] = [];
  /** Whether the first run's head has not been looked at yet. */
  #isHeadFresh = false;
  #isStarted = false;
  #isClosed = false;
  /** Key at the last head and version shown last; the length is NO_KEY where there is none. */
  #lastBytes: Uint8Array = EMPTY_BYTES;
  #lastOffset = 0;
  #lastLength: number = NO_KEY;
  #lastVersion = 0;

  constructor(
    runs: readonly RunCursor[],
    range: KeyRange,
    maxVersion: number,
    mode: CursorMode,
    onClose: (() => void) | undefined,
  ) {
    this.#runs = runs;
    this.#range = range;
    this.#maxVersion = maxVersion;
    this.#isNewestOnly = mode === "newest";
    this.#onClose = onClose;
  }

  seek(key: Uint8Array): void {
    assert(!this.#isClosed, "the cursor is closed");
    const { start } = this.#range;
    const isInside = compareSlices(key, 0, key.length, start, 0, start.length) >= 0;
    const target = isInside ? key : start;
    this.#isStarted = true;
    this.#isHeadFresh = true;
    this.#lastLength = NO_KEY;
    this.#order.length = 0;
    try {
      for (const run of this.#runs) {
        if (!run.seek(target, 0, target.length, this.#maxVersion)) continue;
        this.#order.push(run);
        this.#shiftLast();
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  next(): boolean {
    if (!this.#isStarted) this.seek(this.#range.start);
    try {
      return this.#findNext();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    const onClose = this.#onClose;
    this.#onClose = undefined;
    this.#order.length = 0;
    for (const run of this.#runs) run.close();
    this.#isClosed = true;
    // So that next seeks, and that meets the assertion: what the runs point to may be gone.
    this.#isStarted = false;
    onClose?.();
  }

  #findNext(): boolean {
    let skips = 0;
    for (;;) {
      if (!this.#isHeadFresh) this.#advance(skips);
      this.#isHeadFresh = false;
      if (this.#order.length === 0) return false;
      const slot = this.#order[0]!.slot;
      if (slot.version > this.#maxVersion) {
        // Its key is not the last one, of which only older versions come.
        this.#lastLength = NO_KEY;
        skips++;
        continue;
      }
      if (this.#isUnwanted(slot)) {
        this.#setLastKey(slot);
        skips++;
        continue;
      }
      if (this.#isPastEnd(slot)) {
        this.#order.length = 0;
        return false;
      }
      this.#setLastKey(slot);
      this.#lastVersion = slot.version;
      this.entry = slot;
      return true;
    }
  }

  /** Of the head that is about to be left: a run keeps no other bytes that it has shown. */
  #setLastKey(slot: EntrySlot): void {
    this.#lastBytes = slot.bytes;
    this.#lastOffset = slot.keyOffset;
    this.#lastLength = slot.keyLength;
  }

  #isUnwanted(slot: EntrySlot): boolean {
    if (slot.keyLength !== this.#lastLength) return false;
    if (!this.#isNewestOnly && slot.version !== this.#lastVersion) return false;
    const bytes = slot.bytes;
    const last = this.#lastBytes;
    for (let i = slot.keyLength - 1; i >= 0; i--) {
      if (bytes[slot.keyOffset + i] !== last[this.#lastOffset + i]) return false;
    }
    return true;
  }

  #isPastEnd(slot: EntrySlot): boolean {
    const end = this.#range.end;
    if (end === undefined) return false;
    return compareSlices(slot.bytes, slot.keyOffset, slot.keyLength, end, 0, end.length) >= 0;
  }

  /** Moves the first run on and puts it to its place. */
  #advance(skips: number): void {
    const order = this.#order;
    if (order.length === 0) return;
    const run = order[0]!;
    const isLeft = skips > 0 && skips % SKIPS_BEFORE_SEEK === 0 ? this.#leap(run) : run.next();
    if (!isLeft) {
      order.shift();
      return;
    }
    const count = order.length;
    let at = 0;
    while (at + 1 < count && compareSlots(order[at + 1]!.slot, run.slot) < 0) {
      order[at] = order[at + 1]!;
      at++;
    }
    order[at] = run;
  }

  /** Passes over the versions of the key at the head that nobody wants. */
  #leap(run: RunCursor): boolean {
    const { bytes, keyOffset, keyLength, version } = run.slot;
    if (version > this.#maxVersion) {
      return run.seek(bytes, keyOffset, keyLength, this.#maxVersion);
    }
    return this.#isNewestOnly ? run.seek(bytes, keyOffset, keyLength, -1) : run.next();
  }

  /** Moves the run at the end of the order to its place. */
  #shiftLast(): void {
    const order = this.#order;
    let at = order.length - 1;
    const run = order[at]!;
    while (at > 0 && compareSlots(run.slot, order[at - 1]!.slot) < 0) {
      order[at] = order[at - 1]!;
      at--;
    }
    order[at] = run;
  }
}

function compareSlots(a: EntrySlot, b: EntrySlot): number {
  const order = compareSlices(a.bytes, a.keyOffset, a.keyLength, b.bytes, b.keyOffset, b.keyLength);
  return order !== 0 ? order : b.version - a.version;
}
