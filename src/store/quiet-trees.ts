/**
 * Knows to which trees nothing is being written. One that is stirred, by a flush or the like, is
 * quiet again once its memtables have as many entries as a while before; that is said once. What
 * is not stirred costs nothing: no timer runs for it, and nobody looks at it.
 */
import type { Timer, Timers } from "../env/timers.js";
import type { Tree } from "../lsm/tree.js";

const LOOK_MS = 1000;
const NOT_LOOKED_AT = -1;

export class QuietTrees {
  readonly #timers: Timers;
  readonly #onQuiet: (trees: readonly Tree[]) => void;
  /** Those that may not be quiet, with the entries in memory when they were looked at last. */
  readonly #stirred: Map<Tree, number> = new Map();
  #timer: Timer | undefined = undefined;

  constructor(timers: Timers, onQuiet: (trees: readonly Tree[]) => void) {
    this.#timers = timers;
    this.#onQuiet = onQuiet;
  }

  isQuiet(tree: Tree): boolean {
    return !this.#stirred.has(tree);
  }

  stir(tree: Tree): void {
    this.#stirred.set(tree, NOT_LOOKED_AT);
    this.#watch();
  }

  /** Nobody wants to hear of this one. */
  forget(tree: Tree): void {
    this.#stirred.delete(tree);
  }

  /** Whoever calls knows that nothing is written: all are quiet now. */
  rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const trees = [...this.#stirred.keys()];
    this.#stirred.clear();
    if (trees.length > 0) this.#onQuiet(trees);
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#stirred.size === 0) return;
    this.#timer = this.#timers.after(LOOK_MS, () => {
      this.#timer = undefined;
      this.#look();
      this.#watch();
    });
  }

  #look(): void {
    const quiet: Tree[] = [];
    for (const [tree, before] of this.#stirred) {
      const count = tree.memtableEntries();
      if (count === before) quiet.push(tree);
      else this.#stirred.set(tree, count);
    }
    for (const tree of quiet) this.#stirred.delete(tree);
    if (quiet.length > 0) this.#onQuiet(quiet);
  }
}
