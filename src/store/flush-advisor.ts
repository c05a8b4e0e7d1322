/**
 * Says which trees should be flushed although their own memtable is not full: the one that keeps
 * the oldest segment of the log, where that is too large or has rotted, and the largest ones when
 * all memtables together take too much. Where the one that keeps the oldest segment is flushed, it
 * is told to trim, however little it has:
 *
 *   flush wanted → flushed → trim wanted → trimmed, durably → the next shard, or the next segment
 *
 * Each step begins when the one before has ended, so that many idle shards take little time.
 */
import type { LogPin } from "../log/log-types.js";
import type { Tree } from "../lsm/tree.js";
import type { StoreCore } from "./store-core.js";

export class FlushAdvisor {
  readonly #core: StoreCore;
  readonly #wanted: Set<Tree> = new Set();
  /** A trim that was asked for is on its way to the disk. */
  #isTrimming = false;
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

  /** Looks at log and memory; called a few times a second, and after each flush. */
  review(): void {
    if (this.#core.hasFailed) return;
    this.#reviewLog();
    this.#reviewMemory();
    const { observer } = this.#core;
    for (const tree of this.#wanted) observer?.flushWanted(tree.shardId);
  }

  #reviewLog(): void {
    const { log, settings, trees } = this.#core;
    const pin = log.oldestPinned();
    const { segments } = log.stats();
    const isDue = segments > settings.logSegmentsMax || log.isCondemned;
    if (pin === undefined || !isDue) return;
    const tree = trees.get(pin.shardId);
    if (tree === undefined) return;
    if (tree.flushed.index >= pin.index) this.#trim(pin);
    else if (tree.frozen.length === 0) this.#wanted.add(tree);
  }

  #trim(pin: LogPin): void {
    const { log, observer, settings } = this.#core;
    if (this.#isTrimming || observer === undefined) return;
    const { sizeBytes, full } = log.stats();
    const evenHeld = full || sizeBytes > settings.logBytesHeldMax || log.isCondemned;
    if (!observer.trimWanted(pin.shardId, pin.index, evenHeld)) return;
    this.#isTrimming = true;
    log.commit(() => {
      this.#isTrimming = false;
      const next = log.oldestPinned();
      if (next?.shardId !== pin.shardId || next.index !== pin.index) this.review();
    });
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
