/**
 * The overlay: what a leader has evaluated and not yet applied. A queue of effects in order of
 * evaluation, with a hash index from a key to its newest effect and from there to older ones.
 * Effects leave at the front when their entry is applied, at the back when an evaluation is taken
 * back, and all together when leadership ends. It never holds anything that could survive that.
 *
 * The fields of effect number n lie in slot n modulo the capacity. Keys and stored values are
 * copied into chunks that are used again when nothing in them is left.
 */
import { EMPTY_BYTES, compareSlices } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import type { KeyRange } from "../base/key-range.js";
import type { EntryView } from "../lsm/entry.js";
import { endingBytes } from "./lease-format.js";
import { storedHasLease } from "./stored-value.js";

const SLOTS_MIN = 64;
const CHUNK_BYTES = 64 * 1024;
const SPARE_CHUNKS_MAX = 8;

interface Chunk {
  readonly bytes: Uint8Array;
  used: number;
  effects: number;
}

/** An effect in the form in which the tree gives its entries. */
class OverlayEntry implements EntryView {
  bytes: Uint8Array = EMPTY_BYTES;
  keyOffset = 0;
  keyLength = 0;
  version = 0;
  tombstone = false;
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueOffset = 0;
  valueLength = 0;
}

export class Overlay {
  /** Numbers of the oldest effect held and of the next one to come. */
  #head = 0;
  #tail = 0;
  #mask = SLOTS_MIN - 1;
  /** Per slot. */
  #hashes = new Int32Array(SLOTS_MIN);
  #chunks: (Chunk | undefined)[] = noChunks(SLOTS_MIN);
  #keyOffsets = new Uint32Array(SLOTS_MIN);
  #keyLengths = new Uint32Array(SLOTS_MIN);
  #storedLengths = new Uint32Array(SLOTS_MIN);
  #tombstones = new Uint8Array(SLOTS_MIN);
  #revisions = new Float64Array(SLOTS_MIN);
  /** Number of the effect on the same key before this one; it may have left already. */
  #older = new Float64Array(SLOTS_MIN);
  /** Whether a newer effect on the same key is held. */
  #superseded = new Uint8Array(SLOTS_MIN);
  /** Open addressing with linear probing: slot + 1 of the newest effect on a key, 0 for none. */
  #table = new Int32Array(SLOTS_MIN * 2);
  /** Without room at first: most shards of a node may never be led there. */
  #chunk: Chunk = newChunk(0);
  readonly #spare: Chunk[] = [];
  readonly #entry = new OverlayEntry();
  #leasedBytes = 0;

  /** What ending their leases would write for the keys that are put here with one. */
  get leasedBytes(): number {
    return this.#leasedBytes;
  }

  get size(): number {
    return this.#tail - this.#head;
  }

  /** Revision of the oldest effect held. */
  get oldestRevision(): number {
    return this.#revisions[this.#head & this.#mask]!;
  }

  /** A place to roll back to. */
  mark(): number {
    return this.#tail;
  }

  /** Adds an effect; the stored value lies directly behind the key in `bytes`. */
  add(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    storedLength: number,
    tombstone: boolean,
    revision: number,
  ): void {
    if (this.size > this.#mask) this.#grow();
    const slot = this.#tail & this.#mask;
    const hash = hash32(bytes, keyOffset, keyLength) | 0;
    const cell = this.#cellOf(hash, bytes, keyOffset, keyLength);
    const previous = this.#table[cell]! - 1;
    this.#older[slot] = previous < 0 ? -1 : this.#numberOf(previous);
    if (previous >= 0) this.#superseded[previous] = 1;
    this.#copyIn(slot, bytes, keyOffset, keyLength + storedLength);
    this.#hashes[slot] = hash;
    this.#keyLengths[slot] = keyLength;
    this.#storedLengths[slot] = storedLength;
    this.#tombstones[slot] = tombstone ? 1 : 0;
    this.#revisions[slot] = revision;
    this.#superseded[slot] = 0;
    this.#table[cell] = slot + 1;
    this.#tail++;
    if (this.#isLeased(slot)) this.#leasedBytes += endingBytes(keyLength);
  }

  /** What ending a lease would write for the keys put with it here, from a revision on. */
  leasedBytesOf(low: number, high: number, revisionMin: number): number {
    let bytes = 0;
    for (let number = this.#tail - 1; number >= this.#head; number--) {
      const slot = number & this.#mask;
      if (this.#revisions[slot]! < revisionMin) break;
      if (this.#superseded[slot] === 1 || !this.#isLeased(slot)) continue;
      const { bytes: held, valueOffset } = this.#entryAt(slot);
      if (storedHasLease(held, valueOffset, low, high))
        bytes += endingBytes(this.#keyLengths[slot]!);
    }
    return bytes;
  }

  /** Stored keys whose newest effect here is a put with this lease. */
  keysOfLease(low: number, high: number): Uint8Array[] {
    const keys: Uint8Array[] = [];
    if (this.#leasedBytes === 0) return keys;
    for (let number = this.#head; number < this.#tail; number++) {
      const slot = number & this.#mask;
      if (this.#superseded[slot] === 1 || !this.#isLeased(slot)) continue;
      const { bytes, keyOffset, valueOffset } = this.#entryAt(slot);
      if (!storedHasLease(bytes, valueOffset, low, high)) continue;
      keys.push(bytes.slice(keyOffset, valueOffset));
    }
    return keys;
  }

  /** The newest effect on a key whose revision is at most `revisionMax`. */
  find(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    revisionMax: number,
  ): EntryView | undefined {
    if (this.#head === this.#tail) return undefined;
    const hash = hash32(bytes, keyOffset, keyLength) | 0;
    const newest = this.#table[this.#cellOf(hash, bytes, keyOffset, keyLength)]! - 1;
    const slot = newest < 0 ? -1 : this.#upTo(newest, revisionMax);
    return slot < 0 ? undefined : this.#entryAt(slot);
  }

  /** Numbers of the newest effects up to `revisionMax` on the keys of a range, keys ascending. */
  effectsIn(range: KeyRange, revisionMax: number): number[] {
    const slots: number[] = [];
    for (let number = this.#head; number < this.#tail; number++) {
      const newest = number & this.#mask;
      if (this.#superseded[newest] === 1) continue;
      if (!this.#isIn(newest, range)) continue;
      const slot = this.#upTo(newest, revisionMax);
      if (slot >= 0) slots.push(slot);
    }
    slots.sort((a, b) => this.#compareKeys(a, b));
    for (let i = 0; i < slots.length; i++) slots[i] = this.#numberOf(slots[i]!);
    return slots;
  }

  /** An effect by its number, in the one view of the overlay. */
  entryOf(number: number): EntryView {
    return this.#entryAt(number & this.#mask);
  }

  /** Lets go of every effect up to a revision: its entries have been applied. */
  trimTo(revision: number): void {
    while (this.#head < this.#tail) {
      const slot = this.#head & this.#mask;
      if (this.#revisions[slot]! > revision) return;
      if (this.#superseded[slot] === 0) this.#erase(this.#cellOfSlot(slot));
      this.#release(slot);
      this.#head++;
    }
  }

  /** Takes back every effect added since `mark`. */
  rollback(mark: number): void {
    while (this.#tail > mark) {
      const slot = (this.#tail - 1) & this.#mask;
      const cell = this.#cellOfSlot(slot);
      const older = this.#older[slot]!;
      if (older >= this.#head) {
        this.#table[cell] = (older & this.#mask) + 1;
        this.#superseded[older & this.#mask] = 0;
      } else {
        this.#erase(cell);
      }
      this.#release(slot);
      this.#tail--;
    }
  }

  clear(): void {
    while (this.#head < this.#tail) {
      this.#release(this.#head & this.#mask);
      this.#head++;
    }
    this.#table.fill(0);
  }

  #isLeased(slot: number): boolean {
    if (this.#tombstones[slot] === 1) return false;
    const stored = this.#keyOffsets[slot]! + this.#keyLengths[slot]!;
    return !storedHasLease(this.#chunks[slot]!.bytes, stored, 0, 0);
  }

  #entryAt(slot: number): EntryView {
    const entry = this.#entry;
    const bytes = this.#chunks[slot]!.bytes;
    entry.bytes = bytes;
    entry.keyOffset = this.#keyOffsets[slot]!;
    entry.keyLength = this.#keyLengths[slot]!;
    entry.version = this.#revisions[slot]!;
    entry.tombstone = this.#tombstones[slot] === 1;
    entry.valueBytes = bytes;
    entry.valueOffset = entry.keyOffset + entry.keyLength;
    entry.valueLength = this.#storedLengths[slot]!;
    return entry;
  }

  /** From the newest effect on a key back to the newest one that is not too new; -1 for none. */
  #upTo(newest: number, revisionMax: number): number {
    let slot = newest;
    while (this.#revisions[slot]! > revisionMax) {
      const older = this.#older[slot]!;
      if (older < this.#head) return -1;
      slot = older & this.#mask;
    }
    return slot;
  }

  /** The number of the effect that is now in `slot`. */
  #numberOf(slot: number): number {
    return this.#head + ((slot - this.#head) & this.#mask);
  }

  /** The cell of a key, or the empty one where it belongs. */
  #cellOf(hash: number, bytes: Uint8Array, keyOffset: number, keyLength: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let cell = hash & mask;
    for (let slot = table[cell]! - 1; slot >= 0; slot = table[cell]! - 1) {
      if (this.#hashes[slot] === hash && this.#isKey(slot, bytes, keyOffset, keyLength)) break;
      cell = (cell + 1) & mask;
    }
    return cell;
  }

  #cellOfSlot(slot: number): number {
    const mask = this.#table.length - 1;
    let cell = this.#hashes[slot]! & mask;
    while (this.#table[cell] !== slot + 1) cell = (cell + 1) & mask;
    return cell;
  }

  /** Empties a cell and moves up what the gap would hide. */
  #erase(cell: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let hole = cell;
    for (let at = (cell + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashes[table[at]! - 1]! & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = table[at]!;
      hole = at;
    }
    table[hole] = 0;
  }

  #isKey(slot: number, bytes: Uint8Array, keyOffset: number, keyLength: number): boolean {
    if (this.#keyLengths[slot] !== keyLength) return false;
    const own = this.#chunks[slot]!.bytes;
    const at = this.#keyOffsets[slot]!;
    for (let i = keyLength - 1; i >= 0; i--) {
      if (own[at + i] !== bytes[keyOffset + i]) return false;
    }
    return true;
  }

  #isIn(slot: number, range: KeyRange): boolean {
    const bytes = this.#chunks[slot]!.bytes;
    const at = this.#keyOffsets[slot]!;
    const length = this.#keyLengths[slot]!;
    const { start, end } = range;
    if (compareSlices(bytes, at, length, start, 0, start.length) < 0) return false;
    return end === undefined || compareSlices(bytes, at, length, end, 0, end.length) < 0;
  }

  #compareKeys(a: number, b: number): number {
    return compareSlices(
      this.#chunks[a]!.bytes,
      this.#keyOffsets[a]!,
      this.#keyLengths[a]!,
      this.#chunks[b]!.bytes,
      this.#keyOffsets[b]!,
      this.#keyLengths[b]!,
    );
  }

  #copyIn(slot: number, bytes: Uint8Array, offset: number, length: number): void {
    if (this.#chunk.used + length > this.#chunk.bytes.length) this.#openChunk(length);
    const chunk = this.#chunk;
    const at = chunk.used;
    const target = chunk.bytes;
    if (length > 64) target.set(bytes.subarray(offset, offset + length), at);
    else for (let i = 0; i < length; i++) target[at + i] = bytes[offset + i]!;
    chunk.used = at + length;
    chunk.effects++;
    this.#chunks[slot] = chunk;
    this.#keyOffsets[slot] = at;
  }

  #openChunk(length: number): void {
    const left = this.#chunk;
    if (left.effects === 0 && left.bytes.length === CHUNK_BYTES) this.#spare.push(left);
    const spare = length <= CHUNK_BYTES ? this.#spare.pop() : undefined;
    this.#chunk = spare ?? newChunk(Math.max(length, CHUNK_BYTES));
  }

  #release(slot: number): void {
    if (this.#leasedBytes > 0 && this.#isLeased(slot)) {
      this.#leasedBytes -= endingBytes(this.#keyLengths[slot]!);
    }
    const chunk = this.#chunks[slot]!;
    this.#chunks[slot] = undefined;
    chunk.effects--;
    if (chunk.effects > 0) return;
    chunk.used = 0;
    if (chunk === this.#chunk || chunk.bytes.length > CHUNK_BYTES) return;
    if (this.#spare.length < SPARE_CHUNKS_MAX) this.#spare.push(chunk);
  }

  /** Doubles the slots; every effect keeps its number. */
  #grow(): void {
    const old = this.#mask;
    const capacity = (old + 1) * 2;
    const from = this.#head & old;
    this.#mask = capacity - 1;
    this.#hashes = spread(this.#hashes, new Int32Array(capacity), from, this.#head);
    this.#keyOffsets = spread(this.#keyOffsets, new Uint32Array(capacity), from, this.#head);
    this.#keyLengths = spread(this.#keyLengths, new Uint32Array(capacity), from, this.#head);
    this.#storedLengths = spread(this.#storedLengths, new Uint32Array(capacity), from, this.#head);
    this.#tombstones = spread(this.#tombstones, new Uint8Array(capacity), from, this.#head);
    this.#revisions = spread(this.#revisions, new Float64Array(capacity), from, this.#head);
    this.#older = spread(this.#older, new Float64Array(capacity), from, this.#head);
    this.#superseded = spread(this.#superseded, new Uint8Array(capacity), from, this.#head);
    const chunks = noChunks(capacity);
    for (let number = this.#head; number < this.#tail; number++) {
      chunks[number & this.#mask] = this.#chunks[number & old];
    }
    this.#chunks = chunks;
    this.#table = new Int32Array(capacity * 2);
    for (let number = this.#head; number < this.#tail; number++) this.#index(number & this.#mask);
  }

  /** Enters a slot into a table that holds no newer effect on its key. */
  #index(slot: number): void {
    if (this.#superseded[slot] === 1) return;
    const mask = this.#table.length - 1;
    let cell = this.#hashes[slot]! & mask;
    while (this.#table[cell] !== 0) cell = (cell + 1) & mask;
    this.#table[cell] = slot + 1;
  }
}

function newChunk(sizeBytes: number): Chunk {
  return { bytes: new Uint8Array(sizeBytes), used: 0, effects: 0 };
}

function noChunks(count: number): (Chunk | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

/** Moves a full ring of slots, whose first is at `from`, to a ring of twice the size. */
function spread<T extends Int32Array | Uint32Array | Uint8Array | Float64Array>(
  source: T,
  target: T,
  from: number,
  head: number,
): T {
  for (let i = 0; i < source.length; i++) {
    target[(head + i) & (target.length - 1)] = source[(from + i) & (source.length - 1)]!;
  }
  return target;
}
