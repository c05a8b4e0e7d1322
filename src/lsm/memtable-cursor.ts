/**
 * Walks one family of a memtable. Entries may be added between two steps (where the memtable is
 * the active one): the cursor then finds its place again by the entry on which it stands.
 */
import type { Arena } from "./arena.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";
import type { MemtableTree } from "./memtable-tree.js";
import { LEAF_COUNT, LEAF_NEXT, LEAF_POINTER, LEAF_PREVIOUS, LEAF_WORDS } from "./memtable-tree.js";

export class MemtableCursor implements RunCursor {
  readonly slot: EntrySlot = new EntrySlot();
  readonly #tree: MemtableTree;
  #leaf = 0;
  #index = -1;
  #entryCount: number;

  constructor(tree: MemtableTree) {
    this.#tree = tree;
    this.#entryCount = tree.entryCount;
  }

  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean {
    const tree = this.#tree;
    tree.find(key, keyOffset, keyLength, version);
    this.#entryCount = tree.entryCount;
    this.#leaf = tree.foundLeaf;
    this.#index = tree.foundSlot;
    return this.#show();
  }

  next(): boolean {
    if (this.#entryCount !== this.#tree.entryCount && this.#index >= 0) this.#findAgain();
    this.#index++;
    return this.#show();
  }

  seekBefore(key: Uint8Array | undefined): boolean {
    const tree = this.#tree;
    this.#entryCount = tree.entryCount;
    if (key === undefined) {
      this.#leaf = tree.lastLeaf;
      this.#index = tree.leaves[tree.lastLeaf * LEAF_WORDS + LEAF_COUNT]!;
    } else {
      tree.find(key, 0, key.length, Infinity);
      this.#leaf = tree.foundLeaf;
      this.#index = tree.foundSlot;
    }
    return this.#showBefore();
  }

  previous(): boolean {
    if (this.#entryCount !== this.#tree.entryCount) this.#findAgain();
    return this.#showBefore();
  }

  /** Nothing is pinned: a memtable stays where it is until it is released as a whole. */
  close(): void {}

  /** Where the entry that is shown lies now. */
  #findAgain(): void {
    const slot = this.slot;
    this.#tree.find(slot.bytes, slot.keyOffset, slot.keyLength, slot.version);
    this.#leaf = this.#tree.foundLeaf;
    this.#index = this.#tree.foundSlot;
    this.#entryCount = this.#tree.entryCount;
  }

  #showBefore(): boolean {
    const leaves = this.#tree.leaves;
    if (this.#index === 0) {
      const previous = leaves[this.#leaf * LEAF_WORDS + LEAF_PREVIOUS]!;
      if (previous < 0) return false;
      this.#leaf = previous;
      this.#index = leaves[previous * LEAF_WORDS + LEAF_COUNT]!;
    }
    this.#index--;
    const pointer = leaves[this.#leaf * LEAF_WORDS + LEAF_POINTER + this.#index]!;
    this.#tree.arena.show(pointer, this.slot);
    return true;
  }

  #show(): boolean {
    const leaves = this.#tree.leaves;
    let base = this.#leaf * LEAF_WORDS;
    if (this.#index >= leaves[base + LEAF_COUNT]!) {
      const next = leaves[base + LEAF_NEXT]!;
      if (next < 0) return false;
      this.#leaf = next;
      this.#index = 0;
      base = next * LEAF_WORDS;
    }
    this.#tree.arena.show(leaves[base + LEAF_POINTER + this.#index]!, this.slot);
    return true;
  }
}

/** Calls `visit` for every entry of a family image, in order: what a flush does in its worker. */
export function visitLeaves(
  arena: Arena,
  leaves: Int32Array,
  slot: EntrySlot,
  visit: (slot: EntrySlot) => void,
): void {
  for (let leaf = 0; leaf >= 0; leaf = leaves[leaf * LEAF_WORDS + LEAF_NEXT]!) {
    const base = leaf * LEAF_WORDS;
    const count = leaves[base + LEAF_COUNT]!;
    for (let i = 0; i < count; i++) {
      arena.show(leaves[base + LEAF_POINTER + i]!, slot);
      visit(slot);
    }
  }
}
