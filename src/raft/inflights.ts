/**
 * The append messages sent to one follower and not yet acknowledged, as a ring of (last index,
 * bytes), bounded by count and by bytes. It never sends; the leader asks it whether it may.
 */
import { assert } from "../base/assert.js";

const SLOTS_AT_FIRST = 8;

export class Inflights {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #indexes: Float64Array = new Float64Array(SLOTS_AT_FIRST);
  #sizes: Float64Array = new Float64Array(SLOTS_AT_FIRST);
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    assert(countMax > 0 && bytesMax > 0, "an in-flight window that lets nothing through");
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** No further message may be sent. The last one let in may exceed the bound of bytes. */
  get isFull(): boolean {
    return this.#count === this.#countMax || this.#bytes >= this.#bytesMax;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, "a message beyond the in-flight window");
    if (this.#count === this.#indexes.length) this.#grow();
    const slot = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[slot] = lastIndex;
    this.#sizes[slot] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count--;
    }
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const indexes = new Float64Array(this.#indexes.length * 2);
    const sizes = new Float64Array(indexes.length);
    for (let i = 0; i < this.#count; i++) {
      const slot = (this.#start + i) % this.#indexes.length;
      indexes[i] = this.#indexes[slot]!;
      sizes[i] = this.#sizes[slot]!;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
