/**
 * What a tree has taken in since its last flush: one B+ tree per family that was written, all in
 * one arena. A memtable is frozen once, between two entries of the log, together with the state of
 * the replica at that point; it is then only read, here and by the worker that flushes it, and its
 * memory is recycled when it is flushed and no cursor reads it any more.
 */
import { assert } from "../base/assert.js";
import type { SlabPool } from "./arena.js";
import { Arena } from "./arena.js";
import type { FlushedState } from "./entry.js";
import type { FamilyId } from "./families.js";
import { FAMILY_COUNT } from "./families.js";
import { MemtableTree } from "./memtable-tree.js";

/** A frozen memtable as another thread gets it: shared memory and what it takes to read it. */
export interface MemtableImage {
  readonly slabs: readonly SharedArrayBuffer[];
  readonly families: readonly FamilyImage[];
}

export interface FamilyImage {
  readonly family: FamilyId;
  readonly leaves: SharedArrayBuffer;
  readonly entryCount: number;
}

export class Memtable {
  readonly arena: Arena;
  readonly families: (MemtableTree | undefined)[] = [];
  /** Set when it is frozen. */
  state: FlushedState | undefined = undefined;
  readonly #pool: SlabPool;
  #references = 1;

  constructor(pool: SlabPool) {
    this.#pool = pool;
    this.arena = new Arena(pool);
    for (let i = 0; i < FAMILY_COUNT; i++) this.families.push(undefined);
  }

  get entryCount(): number {
    let count = 0;
    for (const tree of this.families) count += tree === undefined ? 0 : tree.entryCount;
    return count;
  }

  /** The memory it holds. */
  get sizeBytes(): number {
    let nodeBytes = 0;
    for (const tree of this.families) nodeBytes += tree === undefined ? 0 : tree.nodeBytes;
    return this.arena.allocatedBytes + nodeBytes;
  }

  /** The tree of a family, made when the family is first written. */
  familyForWrite(family: FamilyId): MemtableTree {
    const tree = this.families[family];
    if (tree !== undefined) return tree;
    assert(this.state === undefined, "a frozen memtable is only read");
    const made = new MemtableTree(this.arena, this.#pool);
    this.families[family] = made;
    return made;
  }

  image(): MemtableImage {
    assert(this.state !== undefined, "only a frozen memtable is handed out");
    const families: FamilyImage[] = [];
    for (let family = 0; family < FAMILY_COUNT; family++) {
      const tree = this.families[family];
      if (tree === undefined || tree.entryCount === 0) continue;
      const leaves = tree.leaves.buffer as SharedArrayBuffer;
      families.push({ family: family as FamilyId, leaves, entryCount: tree.entryCount });
    }
    return { slabs: this.arena.slabs, families };
  }

  retain(): void {
    this.#references++;
  }

  /** Gives up one reference; with the last one the memory is recycled. */
  release(): void {
    this.#references--;
    assert(this.#references >= 0, "a memtable was released too often");
    if (this.#references > 0) return;
    for (const tree of this.families) tree?.recycle();
    this.families.fill(undefined);
    this.arena.recycle();
  }
}
