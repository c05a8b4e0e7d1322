/** Gathers rows in entry order and lays them out as one block (block-format.ts). */
import { ByteWriter } from "../base/coding.js";
import { APART_FLAG, HEADER_WORDS, TOMBSTONE_FLAG, TWO_32 } from "./block-format.js";
import { commonPrefixLength, prefixAt } from "./key-prefix.js";

const ROW_WORDS = 5;

export class BlockBuilder {
  // Small at first: there are many tables with a few rows. Measured: bench trees, flush all.
  readonly #keys: ByteWriter = new ByteWriter(512);
  readonly #values: ByteWriter = new ByteWriter(512);
  #keyStart: Uint32Array = new Uint32Array(16);
  #versionLow: Uint32Array = new Uint32Array(16);
  #versionHigh: Uint32Array = new Uint32Array(16);
  #valueStart: Uint32Array = new Uint32Array(16);
  #block: Uint8Array = new Uint8Array(1024);
  rowCount = 0;
  minVersion: number = Infinity;
  maxVersion = -1;

  /** The size of the block as it is now. */
  get sizeBytes(): number {
    const words = HEADER_WORDS + this.rowCount * ROW_WORDS + 2;
    return words * 4 + this.#keys.length + this.#values.length;
  }

  reset(): void {
    this.#keys.reset();
    this.#values.reset();
    this.rowCount = 0;
    this.minVersion = Infinity;
    this.maxVersion = -1;
  }

  /** Adds a row; its value is whatever is written to the returned writer before the next row. */
  add(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
    tombstone: boolean,
    apart: boolean,
  ): ByteWriter {
    const row = this.rowCount++;
    if (row === this.#keyStart.length) this.#growColumns();
    const high = Math.floor(version / TWO_32);
    this.#keyStart[row] = this.#keys.length;
    this.#valueStart[row] = this.#values.length;
    this.#versionLow[row] = version - high * TWO_32;
    this.#versionHigh[row] =
      (high | (tombstone ? TOMBSTONE_FLAG : 0) | (apart ? APART_FLAG : 0)) >>> 0;
    if (version < this.minVersion) this.minVersion = version;
    if (version > this.maxVersion) this.maxVersion = version;
    this.#keys.slice(key, keyOffset, keyLength);
    return this.#values;
  }

  /** Whether the last row has this key. */
  lastKeyIs(key: Uint8Array, keyOffset: number, keyLength: number): boolean {
    const start = this.#keyStart[this.rowCount - 1]!;
    if (this.#keys.length - start !== keyLength) return false;
    const keys = this.#keys.bytes;
    // From the end: neighbours in order differ there.
    for (let i = keyLength - 1; i >= 0; i--) {
      if (keys[start + i] !== key[keyOffset + i]) return false;
    }
    return true;
  }

  /** A copy of the last row's key. */
  lastKey(): Uint8Array {
    return this.#keys.bytes.slice(this.#keyStart[this.rowCount - 1]!, this.#keys.length);
  }

  /** The laid-out block as a view that holds until the next call. */
  finishView(): Uint8Array {
    const count = this.rowCount;
    const sizeBytes = this.sizeBytes;
    if (sizeBytes > this.#block.length) this.#block = new Uint8Array((sizeBytes * 2) & ~3);
    const block = this.#block;
    const words = new Int32Array(block.buffer, 0, block.length >>> 2);
    const keysAt = (HEADER_WORDS + count * ROW_WORDS + 2) * 4;
    const skip = this.#sharedLength();
    words[0] = count;
    words[1] = skip;
    setVersion(words, 2, this.minVersion);
    setVersion(words, 4, this.maxVersion);
    const keyStarts = HEADER_WORDS + count;
    this.#layPrefixes(words, skip);
    layShifted(words, keyStarts, this.#keyStart, count, keysAt);
    words[keyStarts + count] = keysAt + this.#keys.length;
    words.set(this.#versionLow.subarray(0, count), keyStarts + count + 1);
    words.set(this.#versionHigh.subarray(0, count), keyStarts + count * 2 + 1);
    const valuesAt = keysAt + this.#keys.length;
    const valueStarts = keyStarts + count * 3 + 1;
    layShifted(words, valueStarts, this.#valueStart, count, valuesAt);
    words[valueStarts + count] = valuesAt + this.#values.length;
    block.set(this.#keys.view(), keysAt);
    block.set(this.#values.view(), valuesAt);
    return block.subarray(0, sizeBytes);
  }

  /** Rows are in order, so what the first and the last key share, all share. */
  #sharedLength(): number {
    if (this.rowCount === 0) return 0;
    const last = this.#keyStart[this.rowCount - 1]!;
    const firstLength = this.rowCount === 1 ? this.#keys.length : this.#keyStart[1]!;
    const length = Math.min(firstLength, this.#keys.length - last);
    return commonPrefixLength(this.#keys.bytes, 0, this.#keys.bytes, last, length);
  }

  #layPrefixes(words: Int32Array, skip: number): void {
    const keys = this.#keys.bytes;
    const starts = this.#keyStart;
    const last = this.rowCount - 1;
    for (let row = 0; row < last; row++) {
      words[HEADER_WORDS + row] = prefixAt(keys, starts[row]! + skip, starts[row + 1]!);
    }
    if (last >= 0) {
      words[HEADER_WORDS + last] = prefixAt(keys, starts[last]! + skip, this.#keys.length);
    }
  }

  #growColumns(): void {
    this.#keyStart = grown(this.#keyStart);
    this.#versionLow = grown(this.#versionLow);
    this.#versionHigh = grown(this.#versionHigh);
    this.#valueStart = grown(this.#valueStart);
  }
}

function grown(column: Uint32Array): Uint32Array {
  const larger = new Uint32Array(column.length * 2);
  larger.set(column);
  return larger;
}

function layShifted(
  words: Int32Array,
  at: number,
  column: Uint32Array,
  count: number,
  shift: number,
): void {
  for (let i = 0; i < count; i++) words[at + i] = column[i]! + shift;
}

function setVersion(words: Int32Array, at: number, version: number): void {
  const known = Number.isFinite(version) && version >= 0 ? version : 0;
  const high = Math.floor(known / TWO_32);
  words[at] = known - high * TWO_32;
  words[at + 1] = high;
}
