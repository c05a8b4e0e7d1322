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
    const bytes = this.#bytes;
    for (let at = this.#length - ROW_SIZE_BYTES; at >= 0; at -= ROW_SIZE_BYTES) {
      if (readU53(bytes, at) !== shardId) continue;
      const firstIndex = readU53(bytes, at + 8);
      if (index < firstIndex || index >= firstIndex + readU32(bytes, at + 16)) continue;
      return readU32(bytes, at + 20);
    }
    return undefined;
  }

  #grow(): void {
    const grown = new Uint8Array(Math.max(64 * ROW_SIZE_BYTES, 2 * this.#bytes.length));
    grown.set(this.rows());
    this.#bytes = grown;
  }
}
