/**
 * Merges runs from the last key to the first, and shows of each key its newest version that is not
 * too new. Backwards the versions of a key come with the oldest first, so the one to be shown is
 * known only when another key follows: until then it waits in the slot that is shown next, which
 * pins what it points to.
 */
import { assert } from "../base/assert.js";
import { compareSlices, keyAfter } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { Cursor } from "./entry.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";

export class BackwardCursor implements Cursor {
  readonly entry: EntrySlot = new EntrySlot();
  readonly #runs: readonly RunCursor[];
  readonly #range: KeyRange;
  readonly #maxVersion: number;
  #onClose: (() => void) | undefined;
  /** Runs that are not at their beginning; the one whose head sorts last comes first. */
  readonly #order: RunCursor[] = [];
  #isStarted = false;
  #isClosed = false;

  constructor(
    runs: readonly RunCursor[],
    range: KeyRange,
    maxVersion: number,
    onClose: () => void,
  ) {
    this.#runs = runs;
    this.#range = range;
    this.#maxVersion = maxVersion;
    this.#onClose = onClose;
  }

  /** Positions so that the next entry is the last whose key is at or before `key`. */
  seek(key: Uint8Array): void {
    const { end } = this.#range;
    const isInside = end === undefined || compareSlices(key, 0, key.length, end, 0, end.length) < 0;
    this.#seekBefore(isInside ? keyAfter(key) : end);
  }

  next(): boolean {
    if (!this.#isStarted) this.#seekBefore(this.#range.end);
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
    this.entry.letGo();
    for (const run of this.#runs) run.close();
    this.#isClosed = true;
    // So that next seeks, and that meets the assertion: what the runs point to may be gone.
    this.#isStarted = false;
    onClose?.();
  }

  #seekBefore(key: Uint8Array | undefined): void {
    assert(!this.#isClosed, "the cursor is closed");
    this.#isStarted = true;
    this.#order.length = 0;
    try {
      for (const run of this.#runs) {
        if (!run.seekBefore(key)) continue;
        this.#order.push(run);
        this.#shiftLast();
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #findNext(): boolean {
    const order = this.#order;
    const entry = this.entry;
    let isFound = false;
    while (order.length > 0) {
      const run = order[0]!;
      const slot = run.slot;
      if (isFound && !isSameKey(slot, entry)) return true;
      if (!isFound && this.#isBeforeStart(slot)) {
        order.length = 0;
        return false;
      }
      if (slot.version <= this.#maxVersion) {
        entry.copyFrom(slot);
        isFound = true;
      }
      this.#retreat(run);
    }
    return isFound;
  }

  #isBeforeStart(slot: EntrySlot): boolean {
    const { start } = this.#range;
    if (start.length === 0) return false;
    return compareSlices(slot.bytes, slot.keyOffset, slot.keyLength, start, 0, start.length) < 0;
  }

  /** Moves the first run back by one and puts it to its place. */
  #retreat(run: RunCursor): void {
    const order = this.#order;
    if (!run.previous()) {
      order.shift();
      return;
    }
    const count = order.length;
    let at = 0;
    while (at + 1 < count && compareBackwards(order[at + 1]!.slot, run.slot) < 0) {
      order[at] = order[at + 1]!;
      at++;
    }
    order[at] = run;
  }

  /** Moves the run at the end of the order to its place. */
  #shiftLast(): void {
    const order = this.#order;
    let at = order.length - 1;
    const run = order[at]!;
    while (at > 0 && compareBackwards(run.slot, order[at - 1]!.slot) < 0) {
      order[at] = order[at - 1]!;
      at--;
    }
    order[at] = run;
  }
}

function isSameKey(a: EntrySlot, b: EntrySlot): boolean {
  if (a.keyLength !== b.keyLength) return false;
  for (let i = a.keyLength - 1; i >= 0; i--) {
    if (a.bytes[a.keyOffset + i] !== b.bytes[b.keyOffset + i]) return false;
  }
  return true;
}

/** Keys descending, the versions of a key ascending. */
function compareBackwards(a: EntrySlot, b: EntrySlot): number {
  const order = compareSlices(b.bytes, b.keyOffset, b.keyLength, a.bytes, a.keyOffset, a.keyLength);
  return order !== 0 ? order : a.version - b.version;
}
