/**
 * Where the entries of each shard lie in one segment: a row for each append, in the order in which
 * they were written. It grows with the segment, and when that is full the same bytes are the
 * payload of its last batch, so that later reads of entries need neither memory nor a walk.
 *
 *   row = u53 shard | u53 index of the first entry | u32 count of entries | u32 offset of the batch
 *
 * It says where to look, never what is true: who reads there checks what is found.
 */
import { readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import type { Item } from "./batch-format.js";

export const ROW_SIZE_BYTES = 24;

export class SegmentIndex {
  #bytes: Uint8Array;
  #length: number;
  /** Where the rows of each shard are, ascending by index, as far as they were asked for. */
  readonly #byShard: Map<number, number[]> = new Map();
  #sortedTo = 0;

  /** `rows` are those of a segment that was read; they are kept. */
  constructor(rows: Uint8Array = new Uint8Array(0)) {
    this.#bytes = rows;
    this.#length = rows.length - (rows.length % ROW_SIZE_BYTES);
  }

  get sizeBytes(): number {
    return this.#length;
  }

  /** The rows as they are written. */
  rows(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The entries of this append lie in the batch at `offset`. */
  add({ shardId, index, extra: count }: Item, offset: number): void {
    const at = this.#length;
    if (at + ROW_SIZE_BYTES > this.#bytes.length) this.#grow();
    const bytes = this.#bytes;
    writeU53(bytes, at, shardId);
    writeU53(bytes, at + 8, index);
    writeU32(bytes, at + 16, count);
    writeU32(bytes, at + 20, offset);
    this.#length = at + ROW_SIZE_BYTES;
  }

  /** The offset of the batch that an entry was written in last; undefined where it was in none. */
  find(shardId: number, index: number): number | undefined {
    this.#sortNewRows();
    const rows = this.#byShard.get(shardId);
    if (rows === undefined) return undefined;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (readU53(this.#bytes, rows[middle]! + 8) <= index) low = middle + 1;
      else high = middle;
    }
    const at = rows[low - 1];
    if (at === undefined) return undefined;
    const endIndex = readU53(this.#bytes, at + 8) + readU32(this.#bytes, at + 16);
    return index < endIndex ? readU32(this.#bytes, at + 20) : undefined;
  }

  /** Puts rows that came since the last question to their shards; each drops what it replaces. */
  #sortNewRows(): void {
    const bytes = this.#bytes;
    for (; this.#sortedTo < this.#length; this.#sortedTo += ROW_SIZE_BYTES) {
      const at = this.#sortedTo;
      const shardId = readU53(bytes, at);
      const rows = this.#byShard.get(shardId);
      if (rows === undefined) {
        this.#byShard.set(shardId, [at]);
        continue;
      }
      const firstIndex = readU53(bytes, at + 8);
      while (rows.length > 0 && readU53(bytes, rows.at(-1)! + 8) >= firstIndex) rows.pop();
      rows.push(at);
    }
  }

  #grow(): void {
    const grown = new Uint8Array(Math.max(64 * ROW_SIZE_BYTES, 2 * this.#bytes.length));
    grown.set(this.rows());
    this.#bytes = grown;
  }
}
