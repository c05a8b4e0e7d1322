/**
 * Keys and values of the storage benchmark. Key `n` is 16 digits, so that order is the order of
 * numbers. Values come from a pool that a compressor can halve, as the benchmarks of LevelDB do.
 */
import { Prng } from "../../src/base/prng.js";

const KEY_BYTES = 16;
const POOL_BYTES = 1024 * 1024;
/** Random bytes, then the same bytes again. */
const STRETCH_BYTES = 50;

export class StorageData {
  readonly entries: number;
  readonly valueBytes: number;
  /** All numbers below `entries` in random order; every store is filled in the same. */
  readonly shuffled: Uint32Array;
  /** The same in another, for reads: an overwrite ends with the first in the order above. */
  readonly asked: Uint32Array;
  readonly #pool: Buffer;

  constructor(entries: number, valueBytes: number) {
    this.entries = entries;
    this.valueBytes = valueBytes;
    const prng = new Prng(5);
    this.#pool = Buffer.alloc(POOL_BYTES + valueBytes);
    for (let at = 0; at < this.#pool.length; at += 2 * STRETCH_BYTES) {
      for (let i = at; i < Math.min(at + STRETCH_BYTES, this.#pool.length); i++) {
        this.#pool[i] = prng.between(0, 255);
      }
      this.#pool.copyWithin(at + STRETCH_BYTES, at, at + STRETCH_BYTES);
    }
    this.shuffled = shuffle(entries, prng);
    this.asked = shuffle(entries, prng);
  }

  key(n: number): Buffer {
    return Buffer.from(String(n).padStart(KEY_BYTES, "0"), "latin1");
  }

  /** A view of the pool that differs from one n to the next. */
  value(n: number): Buffer {
    const at = (n * 127) % POOL_BYTES;
    return this.#pool.subarray(at, at + this.valueBytes);
  }
}

function shuffle(count: number, prng: Prng): Uint32Array {
  const numbers = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = prng.between(0, i);
    const moved = numbers[i]!;
    numbers[i] = numbers[other]!;
    numbers[other] = moved;
  }
  return numbers;
}
