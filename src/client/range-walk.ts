/**
 * A place in an interval of stored keys, moved from its start to its end, page by page and shard by
 * shard. It remembers what has been counted, for an answer's count is of all that was asked for,
 * also where its page ended earlier.
 */
import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";

export class RangeWalk {
  readonly #end: Uint8Array | undefined;
  #at: Uint8Array;
  #done = false;
  /** Keys before it are counted already; undefined: all are. */
  #countedTo: Uint8Array | undefined;
  /** Where the interval of the last page ended. */
  #pageEnd: Uint8Array | undefined;

  constructor(interval: KeyRange) {
    this.#at = interval.start;
    this.#end = interval.end;
    this.#countedTo = interval.start;
  }

  get done(): boolean {
    return this.#done;
  }

  get rest(): KeyRange {
    return { start: this.#at, end: this.#end };
  }

  /** Whether the count of the next page is news. */
  get uncounted(): boolean {
    return this.#countedTo !== undefined && compareBytes(this.#at, this.#countedTo) >= 0;
  }

  /** Behind a page that was cut short in the interval that ends at `intervalEnd`. */
  moveTo(key: Uint8Array, intervalEnd: Uint8Array | undefined): void {
    this.#noteCounted(intervalEnd);
    this.#at = key;
  }

  /** Behind an interval that was read to its end. */
  moveBehind(intervalEnd: Uint8Array | undefined): void {
    this.#noteCounted(intervalEnd);
    const atEnd = this.#end !== undefined && intervalEnd !== undefined;
    if (intervalEnd === undefined || (atEnd && compareBytes(intervalEnd, this.#end) >= 0)) {
      this.#done = true;
    } else this.#at = intervalEnd;
  }

  /** Leaves out the rest of the last page's interval, which is counted. */
  skipPage(): void {
    this.moveBehind(this.#pageEnd);
  }

  #noteCounted(intervalEnd: Uint8Array | undefined): void {
    if (this.uncounted) this.#countedTo = intervalEnd;
    this.#pageEnd = intervalEnd;
  }
}
