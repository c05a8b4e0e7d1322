/**
 * Brings a tree to a standstill, for an edit that is made of its slices as they are:
 *
 *   what was applied so far is flushed
 *   log durable up to here: a state after the edit must not be ahead of it
 *   no edit of the tree is on its way to the disk
 *
 * and makes the edit in that turn. The owner applies nothing to the tree meanwhile.
 */
import { assert, must } from "../base/assert.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { Compactor } from "./compactor.js";
import type { Flusher } from "./flusher.js";
import type { StoreCore } from "./store-core.js";

export interface StandstillOptions {
  readonly shardId: number;
  /** What was applied to the tree so far. */
  readonly before: FlushedState;
  /** A merge that is under way is let end; otherwise what it brings may be void. */
  readonly awaitsMerge: boolean;
}

export class Standstill {
  readonly #core: StoreCore;
  readonly #flusher: Flusher;
  readonly #compactor: Compactor;

  constructor(core: StoreCore, flusher: Flusher, compactor: Compactor) {
    this.#core = core;
    this.#flusher = flusher;
    this.#compactor = compactor;
  }

  /**
   * What `change` returns. Throws where the tree is dropped or the store ends meanwhile: neither is
   * a mistake of the caller.
   */
  run<T>(options: StandstillOptions, change: (tree: Tree) => T): Promise<T> {
    return this.#core.pace.awaiting(this.#run(options, change));
  }

  async #run<T>(options: StandstillOptions, change: (tree: Tree) => T): Promise<T> {
    const { shardId, before, awaitsMerge } = options;
    const core = this.#core;
    const tree = must(core.trees.get(shardId), "tree");
    if (!tree.isFrozenAt(before)) tree.freeze(before);
    await this.#flusher.flush(tree);
    await core.logIsDurable();
    while (core.isLive(tree)) {
      if (awaitsMerge && this.#compactor.isRunning(tree)) await this.#compactor.jobDone();
      else if (!core.isSettled(tree)) await core.editsDone();
      else {
        assert(tree.isFlushed, "nothing is applied to a tree at a standstill");
        return change(tree);
      }
    }
    throw new Error(`there is no tree ${shardId} any more`);
  }
}
