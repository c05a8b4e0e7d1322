/**
 * Cuts trees by keys, without writing a table: one tree becomes several, or loses a range. Slices
 * are clipped by an edit of the manifest; the files stay as they are, and those that both sides of
 * a cut show belong to both trees until each has merged its part into files of its own.
 *
 *   standstill: what was applied before the cut is flushed, with the state before it
 *   one manifest edit: the clipped slices, with the states after it
 *   trees: slices in; the owner goes on applying behind the entry that asked for the cut
 *
 * After a power cut the tree is as before, and the log gives the same entry again, or as after. The
 * tree may be read meanwhile, and cursors see it as it was when they were made.
 */
import { assert } from "../base/assert.js";
import { compareBytes, equalBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { equalRanges } from "../base/key-range.js";
import { CorruptionError } from "../log/corruption-error.js";
import { cutOut, slicesInside } from "../lsm/clip.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Slice } from "../lsm/slice.js";
import { Tree } from "../lsm/tree.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { Standstill } from "./standstill.js";
import type { StoreCore } from "./store-core.js";

export interface NewTree {
  readonly shardId: number;
  readonly range: KeyRange;
  readonly flushed: FlushedState;
}

export interface TreeSplit {
  readonly shardId: number;
  /** What was applied to the tree before it is split. */
  readonly before: FlushedState;
  /**
   * The trees that are there afterwards, with their states, in the order of their keys: together
   * they have the range of the tree that is split. It goes on as the one with its shard id; where
   * there is none, it is gone.
   */
  readonly parts: readonly NewTree[];
}

export interface TreeExcision {
  readonly shardId: number;
  /** What was applied to the tree before the range goes. */
  readonly before: FlushedState;
  readonly range: KeyRange;
  readonly after: FlushedState;
}

interface Part extends NewTree {
  readonly slices: readonly Slice[];
}

export class TreeCutter {
  readonly #core: StoreCore;
  readonly #standstill: Standstill;

  constructor(core: StoreCore, standstill: Standstill) {
    this.#core = core;
    this.#standstill = standstill;
  }

  /** The trees of the parts. Throws as Standstill.run does, and DiskError "noSpace". */
  split({ shardId, before, parts }: TreeSplit): Promise<readonly Tree[]> {
    const options = { shardId, before, awaitsMerge: false };
    return this.#standstill.run(options, (tree) => this.#split(tree, parts));
  }

  /** The slices that are gone. Throws as Standstill.run does, and DiskError "noSpace". */
  excise({ shardId, before, range, after }: TreeExcision): Promise<readonly Slice[]> {
    const options = { shardId, before, awaitsMerge: false };
    return this.#standstill.run(options, (tree) => this.#excise(tree, range, after));
  }

  #split(tree: Tree, parts: readonly NewTree[]): readonly Tree[] {
    this.#requireParts(tree, parts);
    const { shardId, version } = tree;
    const made = this.#look(tree, () =>
      parts.map((part) => ({ ...part, slices: slicesInside(version, part.range) })),
    );
    const edit: EditOperation[] = [{ kind: "dropTree", shardId }];
    for (const { slices, ...part } of made) {
      edit.push({ kind: "createTree", ...part });
      for (const slice of slices) edit.push({ kind: "addSlice", shardId: part.shardId, slice });
    }
    this.#core.append(edit);
    return this.#publish(tree, made);
  }

  #excise(tree: Tree, range: KeyRange, after: FlushedState): readonly Slice[] {
    const { shardId } = tree;
    const { removed, added } = this.#look(tree, () => cutOut(tree.version, range));
    const edit: EditOperation[] = [{ kind: "setFlushed", shardId, flushed: after }];
    for (const slice of removed) edit.push({ kind: "removeSlice", shardId, slice });
    for (const slice of added) edit.push({ kind: "addSlice", shardId, slice });
    this.#core.append(edit);
    tree.installCut(removed, added, after);
    this.#core.observer?.flushed(shardId, after);
    return removed;
  }

  /** A file that cannot be looked into is damage of its tree. */
  #look<T>(tree: Tree, look: () => T): T {
    try {
      return look();
    } catch (error) {
      if (error instanceof CorruptionError) this.#core.damaged(tree, error);
      throw error;
    }
  }

  #requireParts(tree: Tree, parts: readonly NewTree[]): void {
    const [first] = parts;
    const last = parts.at(-1);
    assert(first !== undefined && last !== undefined, "a tree is split into parts");
    for (const [at, { shardId, range, flushed }] of parts.entries()) {
      const { end } = range;
      const next = parts[at + 1]?.range.start;
      assert(end === undefined || compareBytes(range.start, end) < 0, "a part has keys");
      assert(next === undefined || (end !== undefined && equalBytes(end, next)), "parts adjoin");
      const isOwn = shardId === tree.shardId;
      assert(isOwn || !this.#core.trees.has(shardId), "the tree of a part exists");
      assert(!isOwn || flushed.index >= tree.flushed.index, "a tree is not cut into its past");
    }
    const whole = { start: first.range.start, end: last.range.end };
    assert(equalRanges(whole, tree.range), "the parts have the range of the tree");
  }

  /** New trees hold on to the files before the old one lets go of them. */
  #publish(tree: Tree, parts: readonly Part[]): readonly Tree[] {
    const { trees, tables, pool } = this.#core;
    const made = parts.map(({ shardId, ...part }) =>
      shardId === tree.shardId ? tree : new Tree(shardId, { ...part, tables, pool }),
    );
    for (const part of made) trees.set(part.shardId, part);
    const own = parts.find(({ shardId }) => shardId === tree.shardId);
    if (own === undefined) {
      trees.delete(tree.shardId);
      tree.drop();
    } else {
      tree.installSnapshot(own.range, own.flushed, own.slices);
      this.#core.observer?.flushed(own.shardId, own.flushed);
    }
    return made;
  }
}
