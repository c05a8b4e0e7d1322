/** A block in memory (block-format.ts): searches it and shows its rows. */
import { DecodeError, readU32 } from "../base/coding.js";
import {
  APART_FLAG,
  HEADER_WORDS,
  REFERENCE_SIZE_BYTES,
  TOMBSTONE_FLAG,
  TWO_32,
  VERSION_HIGH_MASK,
} from "./block-format.js";
import type { EntrySlot, ValueSource } from "./entry-slot.js";
import { INLINE } from "./entry-slot.js";
import { prefixAt } from "./key-prefix.js";

export class Block {
  readonly bytes: Uint8Array;
  /** None as long as it was not opened. */
  rowCount = 0;
  readonly #words: Int32Array;
  /** Where it begins in `bytes`: its own offsets count from here. */
  readonly #start: number;
  #sizeBytes = 0;
  #skip = 0;
  #prefixes = 0;
  #keyStarts = 0;
  #versions = 0;
  #valueStarts = 0;

  /** `words` are the same bytes; `start` is a multiple of 4. */
  constructor(bytes: Uint8Array, words: Int32Array, start: number) {
    this.bytes = bytes;
    this.#words = words;
    this.#start = start;
  }

  /** From now on these are the rows of the block in these `sizeBytes`, which were checked. */
  open(sizeBytes: number): void {
    const words = this.#words;
    const header = this.#start >>> 2;
    const count = words[header]!;
    this.rowCount = count;
    this.#sizeBytes = sizeBytes;
    this.#skip = words[header + 1]!;
    this.#prefixes = header + HEADER_WORDS;
    this.#keyStarts = this.#prefixes + count;
    this.#versions = this.#keyStarts + count + 1;
    this.#valueStarts = this.#versions + 2 * count;
    if ((this.#valueStarts + count + 1 - header) * 4 > sizeBytes) {
      throw new DecodeError("a block is shorter than its columns");
    }
  }

  version(row: number): number {
    const words = this.#words;
    const low = words[this.#versions + row]! >>> 0;
    return (words[this.#versions + this.rowCount + row]! & VERSION_HIGH_MASK) * TWO_32 + low;
  }

  /** A copy of a row's key. */
  key(row: number): Uint8Array {
    const at = this.#keyStarts + row;
    return this.bytes.slice(this.#start + this.#words[at]!, this.#start + this.#words[at + 1]!);
  }

  valueStart(row: number): number {
    return this.#start + this.#words[this.#valueStarts + row]!;
  }

  /** The first row at or after (key, version); the number of rows where there is none. */
  lowerBound(key: Uint8Array, keyOffset: number, keyLength: number, version: number): number {
    const count = this.rowCount;
    if (count === 0) return 0;
    const side = this.#sideOfShared(key, keyOffset, keyLength);
    if (side !== 0) return side < 0 ? 0 : count;
    return this.#search(key, keyOffset, keyLength, version);
  }

  /**
   * As lowerBound, where that row has this key; -1 where it has another. What all keys share is
   * not looked at first, as the row that is found shows it: less memory to wait for (bench: get).
   */
  find(key: Uint8Array, keyOffset: number, keyLength: number, version: number): number {
    const count = this.rowCount;
    const row = this.#search(key, keyOffset, keyLength, version);
    if (row < count && this.keyIs(row, key, keyOffset, keyLength)) return row;
    return this.lowerBound(key, keyOffset, keyLength, version) === count ? count : -1;
  }

  /** Whether a row has this key. Its prefix lies where a search has just been (bench: get). */
  keyIs(row: number, key: Uint8Array, keyOffset: number, keyLength: number): boolean {
    const words = this.#words;
    const prefix = prefixAt(key, keyOffset + this.#skip, keyOffset + keyLength);
    if (words[this.#prefixes + row] !== prefix) return false;
    const start = words[this.#keyStarts + row]!;
    if (words[this.#keyStarts + row + 1]! - start !== keyLength) return false;
    const bytes = this.bytes;
    const at = this.#start + start;
    for (let i = keyLength - 1; i >= 0; i--) {
      if (bytes[at + i] !== key[keyOffset + i]) return false;
    }
    return true;
  }

  show(row: number, slot: EntrySlot, values: ValueSource): void {
    const words = this.#words;
    const keyAt = this.#keyStarts + row;
    const start = words[keyAt]!;
    const versionAt = this.#versions + row;
    const high = words[versionAt + this.rowCount]!;
    const valueAt = this.#valueStarts + row;
    slot.bytes = this.bytes;
    slot.keyOffset = this.#start + start;
    slot.keyLength = words[keyAt + 1]! - start;
    slot.version = (high & VERSION_HIGH_MASK) * TWO_32 + (words[versionAt]! >>> 0);
    slot.tombstone = (high & TOMBSTONE_FLAG) !== 0;
    if ((high & APART_FLAG) !== 0) {
      this.#showReference(words[valueAt]!, slot, values);
      return;
    }
    slot.inlineBytes = this.bytes;
    const valueStart = words[valueAt]!;
    slot.valueOffset = this.#start + valueStart;
    slot.valueLength = words[valueAt + 1]! - valueStart;
    slot.valueOrdinal = INLINE;
  }

  #showReference(at: number, slot: EntrySlot, values: ValueSource): void {
    if (at + REFERENCE_SIZE_BYTES > this.#sizeBytes) {
      throw new DecodeError("a reference to a value passes the end of its block");
    }
    const start = this.#start + at;
    slot.values = values;
    slot.valueOrdinal = readU32(this.bytes, start);
    slot.valueOffset = readU32(this.bytes, start + 4);
    slot.valueLength = readU32(this.bytes, start + 8);
  }

  /** As lowerBound, for a key that begins with what all keys share. */
  #search(key: Uint8Array, keyOffset: number, keyLength: number, version: number): number {
    const prefix = prefixAt(key, keyOffset + this.#skip, keyOffset + keyLength);
    const words = this.#words;
    const prefixes = this.#prefixes;
    let low = 0;
    let high = this.rowCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = words[prefixes + middle]!;
      const isBefore =
        other === prefix
          ? this.#compare(key, keyOffset, keyLength, version, middle) > 0
          : other < prefix;
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** As in the memtable's tree: before all keys, sharing their first bytes, after all keys. */
  #sideOfShared(key: Uint8Array, keyOffset: number, keyLength: number): number {
    const start = this.#start + this.#words[this.#keyStarts]!;
    const bytes = this.bytes;
    const skip = this.#skip;
    for (let i = 0; i < skip; i++) {
      if (i === keyLength) return -1;
      const difference = key[keyOffset + i]! - bytes[start + i]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #compare(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
    row: number,
  ): number {
    const start = this.#words[this.#keyStarts + row]!;
    const rowKeyLength = this.#words[this.#keyStarts + row + 1]! - start;
    const shared = keyLength < rowKeyLength ? keyLength : rowKeyLength;
    const bytes = this.bytes;
    const at = this.#start + start;
    for (let i = this.#skip; i < shared; i++) {
      const difference = key[keyOffset + i]! - bytes[at + i]!;
      if (difference !== 0) return difference;
    }
    if (keyLength !== rowKeyLength) return keyLength - rowKeyLength;
    return this.version(row) - version;
  }
}
