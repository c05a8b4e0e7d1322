/**
 * A B+ tree over the entries of one family in an arena. Its nodes are plain integers in shared
 * memory; entries are only added. Order: key ascending, then version descending.
 *
 * leaf   count | next leaf or -1 | the leaf before or -1 | pointer × 64    (leaf 0 is the leftmost)
 * inner  count | pointer × 64 | child × 64               (slot 0 stands for "all before")
 *
 * Beside each node lie its 64 prefixes, as doubles. A prefix is six bytes of the key as a number
 * that sorts like them, taken after `#skip` bytes which all keys of the tree share; most steps of a
 * search compare only these, and touch no entry (bench: fill-random, get). A key that
 * does not share them shortens `#skip` and rewrites the prefixes: that happens a few times in the
 * life of a tree. A separator points to the entry that was first in its child when it was split;
 * entries never go away, so it stays valid.
 */
import type { Arena, SlabPool } from "./arena.js";
import { keyLengthWord, keyOffsetOf, slabOf } from "./arena.js";
import type { EntrySlot } from "./entry-slot.js";
import { commonPrefixLength, longPrefixAt } from "./key-prefix.js";

const FANOUT = 64;
export const LEAF_COUNT = 0;
export const LEAF_NEXT = 1;
export const LEAF_PREVIOUS = 2;
export const LEAF_POINTER = 3;
export const LEAF_WORDS: number = LEAF_POINTER + FANOUT;
const INNER_POINTER = 1;
const INNER_CHILD = INNER_POINTER + FANOUT;
const INNER_WORDS = INNER_CHILD + FANOUT;
/** One leaf, or the prefixes of one node. */
const NODES_SIZE_BYTES_MIN = 512;
const HEIGHT_MAX = 16;

/** The way that the last find() of any tree took, by level: an insert goes on at once. */
const path: Int32Array = new Int32Array(HEIGHT_MAX);
const pathSlot: Int32Array = new Int32Array(HEIGHT_MAX);

export class MemtableTree {
  readonly arena: Arena;
  /** All leaves; replaced by a larger array when it is full. */
  leaves: Int32Array;
  entryCount = 0;
  tombstoneCount = 0;
  minVersion: number = Infinity;
  maxVersion = -1;
  /** Where the last find() ended. */
  foundLeaf = 0;
  foundSlot = 0;
  readonly #pool: SlabPool;
  #leafPrefixes: Float64Array;
  #inners: Int32Array | undefined = undefined;
  #innerPrefixes: Float64Array | undefined = undefined;
  #leafCount = 1;
  #innerCount = 0;
  /** Inner levels above the leaves. */
  #height = 0;
  #root = 0;
  #skip = 0;
  #lastLeaf = 0;
  #firstPointer = 0;

  constructor(arena: Arena, pool: SlabPool) {
    this.arena = arena;
    this.#pool = pool;
    this.leaves = new Int32Array(pool.take(NODES_SIZE_BYTES_MIN));
    this.#leafPrefixes = new Float64Array(pool.take(NODES_SIZE_BYTES_MIN));
    this.leaves[LEAF_COUNT] = 0;
    this.leaves[LEAF_NEXT] = -1;
    this.leaves[LEAF_PREVIOUS] = -1;
  }

  /** The rightmost leaf. */
  get lastLeaf(): number {
    return this.#lastLeaf;
  }

  get nodeBytes(): number {
    const leafBytes = this.leaves.byteLength + this.#leafPrefixes.byteLength;
    if (this.#inners === undefined || this.#innerPrefixes === undefined) return leafBytes;
    return leafBytes + this.#inners.byteLength + this.#innerPrefixes.byteLength;
  }

  /**
   * Finds where (key, version) belongs: foundLeaf and foundSlot then name the first entry at or
   * after it, foundSlot being the leaf's count where that is in a later leaf or nowhere. Returns
   * whether the entry there has this very key and version.
   */
  find(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    if (this.entryCount === 0) return this.#foundEnd(0, 0);
    const side = this.#skip === 0 ? 0 : this.#sideOfShared(key, keyOffset, keyLength);
    if (side < 0) return this.#foundEnd(0, 0);
    if (side > 0) return this.#foundEnd(this.#lastLeaf, this.leaves[this.#lastLeaf * LEAF_WORDS]!);
    const prefix = longPrefixAt(key, keyOffset + this.#skip, keyOffset + keyLength);
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const slot = this.#childSlot(node, prefix, key, keyOffset, keyLength, version);
      path[level] = node;
      pathSlot[level] = slot;
      node = this.#inners![node * INNER_WORDS + INNER_CHILD + slot]!;
    }
    return this.#findInLeaf(node, prefix, key, keyOffset, keyLength, version);
  }

  /** Adds an entry; false, and nothing changes, where it is already there. */
  insert(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
    tombstone: boolean,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): boolean {
    if (this.entryCount === 0) this.#skip = keyLength;
    else if (this.#skip > 0) this.#keepShared(key, keyOffset, keyLength);
    const prefix = longPrefixAt(key, keyOffset + this.#skip, keyOffset + keyLength);
    if (this.#isAfterLast(prefix, key, keyOffset, keyLength, version)) {
      this.foundLeaf = this.#lastLeaf;
      this.foundSlot = this.leaves[this.#lastLeaf * LEAF_WORDS]!;
      if (this.foundSlot === FANOUT) this.#findRightEdge();
    } else if (this.find(key, keyOffset, keyLength, version)) {
      return false;
    }
    const arena = this.arena;
    const pointer = arena.allocate(keyLength, valueLength, version, tombstone);
    arena.fill(pointer, 0, key, keyOffset, keyLength);
    arena.fill(pointer, keyLength, value, valueOffset, valueLength);
    this.#insertFound(prefix, pointer);
    if (this.entryCount === 0) this.#firstPointer = pointer;
    this.entryCount++;
    if (tombstone) this.tombstoneCount++;
    if (version < this.minVersion) this.minVersion = version;
    if (version > this.maxVersion) this.maxVersion = version;
    return true;
  }

  /** Shows the newest version of the key that is at most `maxVersion`; false if there is none. */
  get(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    maxVersion: number,
    slot: EntrySlot,
  ): boolean {
    this.find(key, keyOffset, keyLength, maxVersion);
    let leaf = this.foundLeaf;
    let index = this.foundSlot;
    if (index >= this.leaves[leaf * LEAF_WORDS]!) {
      leaf = this.leaves[leaf * LEAF_WORDS + LEAF_NEXT]!;
      if (leaf < 0) return false;
      index = 0;
    }
    const prefix = longPrefixAt(key, keyOffset + this.#skip, keyOffset + keyLength);
    if (this.#leafPrefixes[leaf * FANOUT + index] !== prefix) return false;
    const pointer = this.leaves[leaf * LEAF_WORDS + LEAF_POINTER + index]!;
    if (!this.#keyIs(pointer, key, keyOffset, keyLength)) return false;
    this.arena.show(pointer, slot);
    return true;
  }

  recycle(): void {
    const nodes = [this.leaves, this.#leafPrefixes, this.#inners, this.#innerPrefixes];
    for (const array of nodes) {
      if (array !== undefined) this.#pool.give(array.buffer as SharedArrayBuffer);
    }
    this.#inners = undefined;
    this.#innerPrefixes = undefined;
    this.entryCount = 0;
  }

  #foundEnd(leaf: number, slot: number): boolean {
    this.foundLeaf = leaf;
    this.foundSlot = slot;
    return false;
  }

  /** -1, 0, 1: before all keys, sharing the first `#skip` bytes with them, after all keys. */
  #sideOfShared(key: Uint8Array, keyOffset: number, keyLength: number): number {
    const shared = this.arena.bytes[slabOf(this.#firstPointer)]!;
    const start = keyOffsetOf(this.#firstPointer);
    const skip = this.#skip;
    for (let i = 0; i < skip; i++) {
      if (i === keyLength) return -1;
      const difference = key[keyOffset + i]! - shared[start + i]!;
      if (difference !== 0) return difference < 0 ? -1 : 1;
    }
    return 0;
  }

  /** Shortens `#skip` where `key` does not share it, and rewrites all prefixes then. */
  #keepShared(key: Uint8Array, keyOffset: number, keyLength: number): void {
    const shared = this.arena.bytes[slabOf(this.#firstPointer)]!;
    const start = keyOffsetOf(this.#firstPointer);
    const length = Math.min(this.#skip, keyLength);
    const common = commonPrefixLength(key, keyOffset, shared, start, length);
    if (common === this.#skip) return;
    this.#skip = common;
    for (let leaf = 0; leaf < this.#leafCount; leaf++) {
      const base = leaf * LEAF_WORDS;
      const pointers = this.leaves.subarray(base + LEAF_POINTER, base + LEAF_POINTER + FANOUT);
      this.#rewritePrefixes(this.#leafPrefixes, leaf, pointers, this.leaves[base]!);
    }
    for (let inner = 0; inner < this.#innerCount; inner++) {
      const base = inner * INNER_WORDS;
      const pointers = this.#inners!.subarray(base + INNER_POINTER, base + INNER_POINTER + FANOUT);
      this.#rewritePrefixes(this.#innerPrefixes!, inner, pointers, this.#inners![base]!);
    }
  }

  #rewritePrefixes(
    prefixes: Float64Array,
    node: number,
    pointers: Int32Array,
    count: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const pointer = pointers[i]!;
      const start = keyOffsetOf(pointer);
      const end = start + this.arena.words[slabOf(pointer)]![keyLengthWord(pointer)]!;
      const bytes = this.arena.bytes[slabOf(pointer)]!;
      prefixes[node * FANOUT + i] = longPrefixAt(bytes, start + this.#skip, end);
    }
  }

  /** Negative, 0, positive: (key, version) sorts before, is, sorts after the entry. */
  #compare(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
    pointer: number,
  ): number {
    const slab = slabOf(pointer);
    const bytes = this.arena.bytes[slab]!;
    const start = keyOffsetOf(pointer);
    const entryKeyLength = this.arena.words[slab]![keyLengthWord(pointer)]!;
    const shared = keyLength < entryKeyLength ? keyLength : entryKeyLength;
    for (let i = this.#skip; i < shared; i++) {
      const difference = key[keyOffset + i]! - bytes[start + i]!;
      if (difference !== 0) return difference;
    }
    if (keyLength !== entryKeyLength) return keyLength - entryKeyLength;
    return this.arena.version(pointer) - version;
  }

  #keyIs(pointer: number, key: Uint8Array, keyOffset: number, keyLength: number): boolean {
    const slab = slabOf(pointer);
    if (this.arena.words[slab]![keyLengthWord(pointer)] !== keyLength) return false;
    const bytes = this.arena.bytes[slab]!;
    const start = keyOffsetOf(pointer);
    for (let i = keyLength - 1; i >= 0; i--) {
      if (bytes[start + i] !== key[keyOffset + i]) return false;
    }
    return true;
  }

  #isAfterLast(
    prefix: number,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
  ): boolean {
    if (this.entryCount === 0) return true;
    const base = this.#lastLeaf * LEAF_WORDS;
    const last = this.leaves[base]! - 1;
    const lastPrefix = this.#leafPrefixes[this.#lastLeaf * FANOUT + last]!;
    if (prefix !== lastPrefix) return prefix > lastPrefix;
    const pointer = this.leaves[base + LEAF_POINTER + last]!;
    return this.#compare(key, keyOffset, keyLength, version, pointer) > 0;
  }

  /** The last slot of an inner node whose separator is at or before (key, version). */
  #childSlot(
    node: number,
    prefix: number,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
  ): number {
    const inners = this.#inners!;
    const prefixes = this.#innerPrefixes!;
    const first = node * FANOUT;
    const pointers = node * INNER_WORDS + INNER_POINTER;
    let low = 1;
    let high = inners[node * INNER_WORDS]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = prefixes[first + middle]!;
      const isAfter =
        other === prefix
          ? this.#compare(key, keyOffset, keyLength, version, inners[pointers + middle]!) < 0
          : prefix < other;
      if (isAfter) high = middle;
      else low = middle + 1;
    }
    return low - 1;
  }

  #findInLeaf(
    leaf: number,
    prefix: number,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
  ): boolean {
    const leaves = this.leaves;
    const prefixes = this.#leafPrefixes;
    const first = leaf * FANOUT;
    const pointers = leaf * LEAF_WORDS + LEAF_POINTER;
    let low = 0;
    let high = leaves[leaf * LEAF_WORDS]!;
    let isFound = false;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = prefixes[first + middle]!;
      if (other === prefix) {
        const pointer = leaves[pointers + middle]!;
        const order = this.#compare(key, keyOffset, keyLength, version, pointer);
        if (order > 0) low = middle + 1;
        else high = middle;
        if (order === 0) isFound = true;
      } else if (other < prefix) low = middle + 1;
      else high = middle;
    }
    this.foundLeaf = leaf;
    this.foundSlot = low;
    return isFound;
  }

  /** Sets the path to the rightmost leaf, for a split there. */
  #findRightEdge(): void {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const slot = this.#inners![node * INNER_WORDS]! - 1;
      path[level] = node;
      pathSlot[level] = slot;
      node = this.#inners![node * INNER_WORDS + INNER_CHILD + slot]!;
    }
  }

  #insertFound(prefix: number, pointer: number): void {
    let leaf = this.foundLeaf;
    let slot = this.foundSlot;
    if (this.leaves[leaf * LEAF_WORDS] === FANOUT) {
      // At the right edge the full leaf stays full: keys that arrive in order then pack the tree.
      const isAppend = leaf === this.#lastLeaf && slot === FANOUT;
      const kept = isAppend ? FANOUT : FANOUT / 2;
      const right = this.#splitLeaf(leaf, kept);
      if (slot >= kept && (isAppend || slot > kept)) {
        leaf = right;
        slot -= kept;
      }
      this.#openLeafGap(leaf, slot, prefix, pointer);
      const first = this.leaves[right * LEAF_WORDS + LEAF_POINTER]!;
      this.#addSeparator(this.#leafPrefixes[right * FANOUT]!, first, right);
      return;
    }
    this.#openLeafGap(leaf, slot, prefix, pointer);
  }

  /** Makes slot `slot` of the leaf free and writes prefix and pointer there. */
  #openLeafGap(leaf: number, slot: number, prefix: number, pointer: number): void {
    const base = leaf * LEAF_WORDS;
    const count = this.leaves[base]!;
    insertInt(this.leaves, base + LEAF_POINTER + slot, base + LEAF_POINTER + count, pointer);
    insertPrefix(this.#leafPrefixes, leaf * FANOUT + slot, leaf * FANOUT + count, prefix);
    this.leaves[base] = count + 1;
  }

  /** Moves the entries from `kept` on to a new right neighbour; returns it. */
  #splitLeaf(leaf: number, kept: number): number {
    const right = this.#leafCount++;
    if (this.#leafCount * LEAF_WORDS > this.leaves.length) {
      this.leaves = new Int32Array(this.#grow(this.leaves));
    }
    if (this.#leafCount * FANOUT > this.#leafPrefixes.length) {
      this.#leafPrefixes = new Float64Array(this.#grow(this.#leafPrefixes));
    }
    const leaves = this.leaves;
    const from = leaf * LEAF_WORDS;
    const to = right * LEAF_WORDS;
    leaves.copyWithin(to + LEAF_POINTER, from + LEAF_POINTER + kept, from + LEAF_WORDS);
    this.#leafPrefixes.copyWithin(right * FANOUT, leaf * FANOUT + kept, (leaf + 1) * FANOUT);
    leaves[to] = FANOUT - kept;
    leaves[from] = kept;
    const next = leaves[from + LEAF_NEXT]!;
    if (next >= 0) leaves[next * LEAF_WORDS + LEAF_PREVIOUS] = right;
    leaves[to + LEAF_NEXT] = next;
    leaves[to + LEAF_PREVIOUS] = leaf;
    leaves[from + LEAF_NEXT] = right;
    if (leaf === this.#lastLeaf) this.#lastLeaf = right;
    return right;
  }

  /** Adds a child to the right of the path that led to the node which was split. */
  #addSeparator(prefix: number, pointer: number, child: number): void {
    let separator = pointer;
    let separatorPrefix = prefix;
    let added = child;
    for (let level = 1; level <= this.#height; level++) {
      const node = path[level]!;
      const slot = pathSlot[level]! + 1;
      if (this.#inners![node * INNER_WORDS]! < FANOUT) {
        this.#openChildGap(node, slot, separatorPrefix, separator, added);
        return;
      }
      const right = this.#splitInner(node);
      const kept = FANOUT / 2;
      const isLeft = slot <= kept;
      const target = isLeft ? node : right;
      this.#openChildGap(target, isLeft ? slot : slot - kept, separatorPrefix, separator, added);
      separatorPrefix = this.#innerPrefixes![right * FANOUT]!;
      separator = this.#inners![right * INNER_WORDS + INNER_POINTER]!;
      added = right;
    }
    this.#addRoot(separatorPrefix, separator, added);
  }

  #openChildGap(node: number, slot: number, prefix: number, pointer: number, child: number): void {
    const inners = this.#inners!;
    const base = node * INNER_WORDS;
    const count = inners[base]!;
    insertInt(inners, base + INNER_CHILD + slot, base + INNER_CHILD + count, child);
    insertInt(inners, base + INNER_POINTER + slot, base + INNER_POINTER + count, pointer);
    insertPrefix(this.#innerPrefixes!, node * FANOUT + slot, node * FANOUT + count, prefix);
    inners[base] = count + 1;
  }

  #splitInner(node: number): number {
    const right = this.#newInner();
    const inners = this.#inners!;
    const from = node * INNER_WORDS;
    const to = right * INNER_WORDS;
    const kept = FANOUT / 2;
    inners.copyWithin(to + INNER_POINTER, from + INNER_POINTER + kept, from + INNER_CHILD);
    inners.copyWithin(to + INNER_CHILD, from + INNER_CHILD + kept, from + INNER_WORDS);
    this.#innerPrefixes!.copyWithin(right * FANOUT, node * FANOUT + kept, (node + 1) * FANOUT);
    inners[to] = FANOUT - kept;
    inners[from] = kept;
    return right;
  }

  #addRoot(prefix: number, pointer: number, right: number): void {
    const root = this.#newInner();
    const inners = this.#inners!;
    const base = root * INNER_WORDS;
    inners[base] = 2;
    // Slot 0 is never compared; a true pointer there lets prefixes be rewritten without a case.
    const prefixes = this.#innerPrefixes!;
    prefixes[root * FANOUT] = prefix;
    inners[base + INNER_POINTER] = pointer;
    inners[base + INNER_CHILD] = this.#root;
    prefixes[root * FANOUT + 1] = prefix;
    inners[base + INNER_POINTER + 1] = pointer;
    inners[base + INNER_CHILD + 1] = right;
    this.#root = root;
    this.#height++;
  }

  #newInner(): number {
    const inner = this.#innerCount++;
    this.#inners ??= new Int32Array(this.#pool.take(NODES_SIZE_BYTES_MIN));
    this.#innerPrefixes ??= new Float64Array(this.#pool.take(NODES_SIZE_BYTES_MIN));
    if (this.#innerCount * INNER_WORDS > this.#inners.length) {
      this.#inners = new Int32Array(this.#grow(this.#inners));
    }
    if (this.#innerCount * FANOUT > this.#innerPrefixes.length) {
      this.#innerPrefixes = new Float64Array(this.#grow(this.#innerPrefixes));
    }
    return inner;
  }

  /** Memory twice as large with the same content; the old one is given back. */
  #grow(nodes: Int32Array | Float64Array): SharedArrayBuffer {
    const grown = this.#pool.take(nodes.byteLength * 2);
    new Uint8Array(grown).set(new Uint8Array(nodes.buffer));
    this.#pool.give(nodes.buffer as SharedArrayBuffer);
    return grown;
  }
}

/**
 * Moves array[at, end) up by one and writes `value` at `at`. One function for each kind of array:
 * one for both would be compiled for neither.
 */
function insertInt(array: Int32Array, at: number, end: number, value: number): void {
  for (let i = end; i > at; i--) array[i] = array[i - 1]!;
  array[at] = value;
}

function insertPrefix(array: Float64Array, at: number, end: number, value: number): void {
  for (let i = end; i > at; i--) array[i] = array[i - 1]!;
  array[at] = value;
}
