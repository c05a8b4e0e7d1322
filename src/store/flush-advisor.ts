/**
 * Says which trees should be flushed although their own memtable is not full: the one that keeps
 * the oldest segment of the log, and the largest ones when all memtables together take too much.
 */
import type { Tree } from "../lsm/tree.js";
import type { StoreCore } from "./store-core.js";

/** So many segments are no burden yet. */
const SEGMENTS_EASY = 4;

export class FlushAdvisor {
  readonly #core: StoreCore;
  readonly #wanted: Set<Tree> = new Set();
  /** Whether the memtables take more than their budget: proposals should wait. */
  isMemoryFull = false;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  wants(tree: Tree): boolean {
    return this.#wanted.size > 0 && this.#wanted.has(tree);
  }

  forget(tree: Tree): void {
    this.#wanted.delete(tree);
  }

  /** Looks at log and memory; called a few times a second. */
  review(): void {
    if (this.#core.hasFailed) return;
    this.#reviewLog();
    this.#reviewMemory();
    const { observer } = this.#core;
    for (const tree of this.#wanted) observer?.flushWanted(tree.shardId);
  }

  #reviewLog(): void {
    const pin = this.#core.log.oldestPinned();
    if (pin === undefined || this.#core.log.stats().segments <= SEGMENTS_EASY) return;
    const tree = this.#core.trees.get(pin.shardId);
    // Where the flush is done or under way already, it is not this tree's memory that keeps it.
    if (tree === undefined || tree.flushed.index >= pin.index || tree.frozen.length > 0) return;
    this.#wanted.add(tree);
  }

  #reviewMemory(): void {
    const budget = this.#core.settings.memtablesBytesMax;
    const trees = [...this.#core.trees.values()];
    let total = 0;
    let active = 0;
    for (const tree of trees) {
      total += tree.memtableBytes();
      active += tree.activeBytes();
    }
    this.isMemoryFull = total > budget;
    if (active <= budget / 2) return;
    trees.sort((a, b) => b.activeBytes() - a.activeBytes());
    for (const tree of trees) {
      if (active <= budget / 4) return;
      active -= tree.activeBytes();
      this.#wanted.add(tree);
    }
  }
}
