/**
 * Says which trees should be flushed soon: those that keep the oldest segment of the log from being
 * let go of while there are too many segments or one of them has rotted, and the largest ones while
 * all memtables together take too much. Where those that keep the oldest segment are flushed, they
 * are told to trim, however little they have:
 *
 *   flushes wanted → flushed, many together → trims wanted → trimmed, durably → the next segment
 *
 * Each step begins when the one before has ended, and each takes all trees of a segment at once, so
 * that many idle ones take little time. While nothing is due it looks at no tree.
 */
import type { LogPin } from "../log/log-types.js";
import type { Tree } from "../lsm/tree.js";
import type { StoreCore } from "./store-core.js";

/** Trees that are told at once: each freezes a memtable, and together they would be a pause. */
const TOLD_COUNT_MAX = 512;

export class FlushAdvisor {
  readonly #core: StoreCore;
  /** Those that wait longest to be told come first. */
  readonly #wanted: Set<Tree> = new Set();
  /** A trim that was asked for is on its way to the disk. */
  #isTrimming = false;
  /** Whether the memtables take more than their budget: proposals should wait. */
  isMemoryFull = false;
  /** Whether they may soon: flushes should not rest. */
  isMemoryFilling = false;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  wants(tree: Tree): boolean {
    return this.#wanted.size > 0 && this.#wanted.has(tree);
  }

  forget(tree: Tree): void {
    this.#wanted.delete(tree);
  }

  /** Looks at log and memory; called a few times a second, and after flushes. */
  review(): void {
    if (this.#core.hasFailed) return;
    this.#reviewLog();
    this.#reviewMemory();
    this.#tell();
  }

  /** Whoever is told and does not flush now comes last the next time. */
  #tell(): void {
    const { observer } = this.#core;
    if (observer === undefined || this.#wanted.size === 0) return;
    const told = [...this.#wanted].slice(0, TOLD_COUNT_MAX);
    for (const tree of told) {
      observer.flushWanted(tree.shardId);
      if (this.#wanted.delete(tree)) this.#wanted.add(tree);
    }
  }

  #reviewLog(): void {
    const { log, settings, trees } = this.#core;
    if (log.segmentCount <= settings.logSegmentsMax && !log.isCondemned) return;
    const flushed: LogPin[] = [];
    for (const pin of log.oldestPins()) {
      const tree = trees.get(pin.shardId);
      if (tree === undefined) continue;
      if (tree.flushed.index >= pin.index) flushed.push(pin);
      else if (tree.frozen.length === 0) this.#wanted.add(tree);
    }
    if (flushed.length > 0) this.#trim(flushed);
  }

  #trim(pins: readonly LogPin[]): void {
    const { log, observer, settings } = this.#core;
    if (this.#isTrimming || observer === undefined) return;
    const { sizeBytes, full } = log.stats();
    const evenHeld = full || sizeBytes > settings.logBytesHeldMax || log.isCondemned;
    const told = pins.filter((pin) => observer.trimWanted(pin.shardId, pin.index, evenHeld));
    if (told.length === 0) return;
    this.#isTrimming = true;
    log.commit(() => {
      this.#isTrimming = false;
      // Where nothing came of it, asking again at once would not help either.
      const after = new Map(log.oldestPins().map(({ shardId, index }) => [shardId, index]));
      if (told.some(({ shardId, index }) => after.get(shardId) !== index)) this.review();
    });
  }

  #reviewMemory(): void {
    const { pool, settings } = this.#core;
    const budget = settings.memtablesBytesMax;
    this.isMemoryFull = false;
    this.isMemoryFilling = false;
    if (pool.takenBytes <= budget / 2) return;
    const written: { readonly tree: Tree; readonly activeBytes: number }[] = [];
    let total = 0;
    let active = 0;
    for (const tree of this.#core.trees.values()) {
      total += tree.memtableBytes();
      const activeBytes = tree.activeBytes();
      if (activeBytes === 0) continue;
      active += activeBytes;
      written.push({ tree, activeBytes });
    }
    this.isMemoryFull = total > budget;
    this.isMemoryFilling = total > (budget * 3) / 4;
    if (active <= budget / 2) return;
    written.sort((a, b) => b.activeBytes - a.activeBytes);
    for (const { tree, activeBytes } of written) {
      if (active <= budget / 4) return;
      active -= activeBytes;
      this.#wanted.add(tree);
    }
  }
}
