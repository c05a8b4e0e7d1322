/**
 * The memory of a memtable: entries laid one after another into slabs of shared memory, so that a
 * worker reads them where they are and the garbage collector never sees them.
 *
 * entry, aligned to 4 bytes:
 *   u32 version, low half | u32 tombstone bit and version, high half | u32 key length |
 *   u32 value length | key | value
 *
 * A pointer is one 32-bit integer: 10 bits of slab, 22 bits of word in the slab. The first slab is
 * small and each next is twice as large, so that an idle tree costs little.
 */
import { assert } from "../base/assert.js";
import type { EntrySlot } from "./entry-slot.js";
import { INLINE } from "./entry-slot.js";

const SLAB_SIZE_BYTES_MIN = 1024;
const SLAB_SIZE_BYTES_MAX = 1024 * 1024;
const SLABS_MAX = 1024;
const WORD_BITS = 22;
const WORD_MASK = (1 << WORD_BITS) - 1;
const ENTRY_SIZE_BYTES_MAX = 4 << WORD_BITS;
const HEADER_WORDS = 4;
const TOMBSTONE_BIT = 0x8000_0000;
const VERSION_HIGH_MASK = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;
/** Up to here a byte loop beats a view and a native copy. */
const LOOP_COPY_MAX = 40;

/** Keeps the slabs of recycled memtables, by size, for the next ones. */
export class SlabPool {
  readonly #free: Map<number, SharedArrayBuffer[]> = new Map();
  readonly #keptBytesMax: number;
  #keptBytes = 0;
  #takenBytes = 0;

  constructor(keptBytesMax: number = 64 * 1024 * 1024) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** What was taken and not given back. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  take(sizeBytes: number): SharedArrayBuffer {
    this.#takenBytes += sizeBytes;
    const slab = this.#free.get(sizeBytes)?.pop();
    if (slab === undefined) return new SharedArrayBuffer(sizeBytes);
    this.#keptBytes -= sizeBytes;
    return slab;
  }

  give(slab: SharedArrayBuffer): void {
    const sizeBytes = slab.byteLength;
    this.#takenBytes -= sizeBytes;
    if (this.#keptBytes + sizeBytes > this.#keptBytesMax) return;
    const free = this.#free.get(sizeBytes);
    if (free === undefined) this.#free.set(sizeBytes, [slab]);
    else free.push(slab);
    this.#keptBytes += sizeBytes;
  }
}

export class Arena {
  /** The same slabs as bytes and as words; the index is the pointer's upper 10 bits. */
  readonly bytes: Uint8Array[] = [];
  readonly words: Uint32Array[] = [];
  readonly slabs: SharedArrayBuffer[] = [];
  allocatedBytes = 0;
  readonly #pool: SlabPool;
  #used = 0;
  #capacity = 0;
  #nextSlabSizeBytes = SLAB_SIZE_BYTES_MIN;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Room for an entry with its lengths and version written; returns its pointer. */
  allocate(keyLength: number, valueLength: number, version: number, tombstone: boolean): number {
    const sizeBytes = (HEADER_WORDS * 4 + keyLength + valueLength + 3) & ~3;
    if (this.#used + sizeBytes > this.#capacity) this.#addSlabFor(sizeBytes);
    const slab = this.slabs.length - 1;
    const word = this.#used >>> 2;
    this.#used += sizeBytes;
    const words = this.words[slab]!;
    const high = Math.floor(version / TWO_32);
    words[word] = version - high * TWO_32;
    words[word + 1] = tombstone ? high | TOMBSTONE_BIT : high;
    words[word + 2] = keyLength;
    words[word + 3] = valueLength;
    return (slab << WORD_BITS) | word;
  }

  /** Copies source[offset, +length) to `at` bytes after the start of the entry's key. */
  fill(pointer: number, at: number, source: Uint8Array, offset: number, length: number): void {
    const target = this.bytes[pointer >>> WORD_BITS]!;
    const start = keyOffsetOf(pointer) + at;
    if (length > LOOP_COPY_MAX) {
      target.set(source.subarray(offset, offset + length), start);
      return;
    }
    for (let i = 0; i < length; i++) target[start + i] = source[offset + i]!;
  }

  version(pointer: number): number {
    const words = this.words[pointer >>> WORD_BITS]!;
    const word = pointer & WORD_MASK;
    return (words[word + 1]! & VERSION_HIGH_MASK) * TWO_32 + words[word]!;
  }

  /** Shows the entry in `slot`. */
  show(pointer: number, slot: EntrySlot): void {
    const slab = pointer >>> WORD_BITS;
    const words = this.words[slab]!;
    const word = pointer & WORD_MASK;
    const high = words[word + 1]!;
    const bytes = this.bytes[slab]!;
    const keyOffset = (word + HEADER_WORDS) * 4;
    const keyLength = words[word + 2]!;
    slot.bytes = bytes;
    slot.keyOffset = keyOffset;
    slot.keyLength = keyLength;
    slot.version = (high & VERSION_HIGH_MASK) * TWO_32 + words[word]!;
    slot.tombstone = high >= TOMBSTONE_BIT;
    slot.inlineBytes = bytes;
    slot.valueOffset = keyOffset + keyLength;
    slot.valueLength = words[word + 3]!;
    slot.valueOrdinal = INLINE;
  }

  /** Sets the memory that `slab` of an arena in another thread lies in. */
  adopt(slab: SharedArrayBuffer): void {
    this.slabs.push(slab);
    this.bytes.push(new Uint8Array(slab));
    this.words.push(new Uint32Array(slab));
    this.allocatedBytes += slab.byteLength;
  }

  /** Gives the slabs back; the arena is empty and must not be used through old pointers. */
  recycle(): void {
    for (const slab of this.slabs) this.#pool.give(slab);
    this.slabs.length = 0;
    this.bytes.length = 0;
    this.words.length = 0;
    this.allocatedBytes = 0;
    this.#used = 0;
    this.#capacity = 0;
  }

  #addSlabFor(sizeBytes: number): void {
    assert(sizeBytes <= ENTRY_SIZE_BYTES_MAX, "an entry is larger than a slab can be");
    assert(this.slabs.length < SLABS_MAX, "a memtable has more slabs than a pointer can name");
    let slabSizeBytes = this.#nextSlabSizeBytes;
    while (slabSizeBytes < sizeBytes) slabSizeBytes *= 2;
    this.adopt(this.#pool.take(slabSizeBytes));
    this.#used = 0;
    this.#capacity = slabSizeBytes;
    if (this.#nextSlabSizeBytes < SLAB_SIZE_BYTES_MAX) this.#nextSlabSizeBytes *= 2;
  }
}

/** The byte in its slab at which the key of an entry starts. */
export function keyOffsetOf(pointer: number): number {
  return ((pointer & WORD_MASK) + HEADER_WORDS) * 4;
}

/** The slab of a pointer. */
export function slabOf(pointer: number): number {
  return pointer >>> WORD_BITS;
}

/** The word in its slab that holds an entry's key length. */
export function keyLengthWord(pointer: number): number {
  return (pointer & WORD_MASK) + 2;
}
