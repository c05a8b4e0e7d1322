/**
 * The rest of a count: an exact count walks the whole range, which no turn of the event loop can
 * afford, so after a slice of rows it is put aside here and goes on a slice a turn. It reads the
 * state as it was when it began: what the cursor pins, up to a fixed version.
 */
import type { Scan } from "./state-view.js";

/** Rows counted in one step: about two milliseconds. */
export const COUNT_SLICE_ROWS = 8000;

export class CountRest {
  /** Where the count stands in the answer, counted from the answer's begin. */
  readonly countAt: number;
  count: number;
  readonly #scan: Scan;

  constructor(scan: Scan, count: number, countAt: number) {
    this.#scan = scan;
    this.count = count;
    this.countAt = countAt;
  }

  /** Counts on; true when all is counted. */
  step(): boolean {
    for (let i = 0; i < COUNT_SLICE_ROWS; i++) {
      if (!this.#scan.next()) {
        this.#scan.close();
        return true;
      }
      this.count++;
    }
    return false;
  }

  /** Gives up. */
  close(): void {
    this.#scan.close();
  }
}
