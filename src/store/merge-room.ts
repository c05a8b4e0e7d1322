/**
 * Keeps room on the disk for merges. A merge writes up to as much as it reads before it can remove
 * that: a store that flushed until the disk was full could never give up its garbage again. So
 * where the disk is short of room for a large flush and the merge that is due after it, the merges
 * that can be done now go first.
 */
import { DiskError } from "../env/disk.js";
import { sizeOf } from "../lsm/compaction-picker.js";
import type { Tree } from "../lsm/tree.js";
import type { Compactor } from "./compactor.js";
import type { StoreCore } from "./store-core.js";

export class MergeRoom {
  readonly #core: StoreCore;
  readonly #compactor: Compactor;

  constructor(core: StoreCore, compactor: Compactor) {
    this.#core = core;
    this.#compactor = compactor;
  }

  /**
   * Resolves when there is room for a flush of this size and what it brings, or no merge makes any.
   * Never rejects.
   */
  async make(tree: Tree, sizeBytes: number): Promise<void> {
    const compactor = this.#compactor;
    while (this.#core.isLive(tree)) {
      const early = compactor.pickEarly(tree);
      const dueBytes = early === undefined ? compactor.runningBytes(tree) : sizeOf(early.inputs);
      // The merge that follows the flush reads that, too.
      if (dueBytes === 0 || dueBytes + 2 * sizeBytes <= this.#freeBytes()) return;
      const doneBefore = compactor.compactionCount;
      if (early !== undefined) compactor.beginEarly(tree, early);
      await this.#core.pace.awaiting(compactor.jobDone());
      if (compactor.compactionCount === doneBefore) return;
    }
  }

  /** A disk that does not say how much it has takes what comes, or fails at that. */
  #freeBytes(): number {
    const { env, directory } = this.#core;
    try {
      return env.disk.freeBytes(directory);
    } catch (error) {
      if (error instanceof DiskError) return Infinity;
      throw error;
    }
  }
}
