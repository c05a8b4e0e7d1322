/**
 * Flushes frozen memtables, for each tree one after another and in their order:
 *
 *   job: sstable written, synced, directory synced
 *   log durable up to here (an entry may be applied before this node has it on disk)
 *   one manifest edit: new slices and the state at which the memtable was frozen
 *   tree: slices in, memtable out; observer: the log may be trimmed
 *
 * A full disk keeps the memtable and tries again later; any other error of the disk ends the store.
 */
import { must } from "../base/assert.js";
import type { Memtable } from "../lsm/memtable.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import { sliceOf } from "../lsm/version.js";
import type { StoreCore } from "./store-core.js";

/** The flushing of a tree, while anything of it is frozen. */
interface FlushRun {
  readonly waiters: FlushWaiter[];
  readonly ended: Promise<void>;
}

interface FlushWaiter {
  /** The newest memtable that is waited for. */
  readonly last: Memtable;
  readonly resolve: () => void;
}

export class Flusher {
  readonly #core: StoreCore;
  readonly #onFlushed: (tree: Tree) => void;
  readonly #running: Map<Tree, FlushRun> = new Map();
  flushCount = 0;
  writtenBytes = 0;

  constructor(core: StoreCore, onFlushed: (tree: Tree) => void) {
    this.#core = core;
    this.#onFlushed = onFlushed;
  }

  isRunning(tree: Tree): boolean {
    return this.#running.has(tree);
  }

  /**
   * Resolves when what is frozen now is flushed, or the tree is gone, or the store has ended; what
   * is frozen later, while writes go on, is not waited for. Never rejects.
   */
  flush(tree: Tree): Promise<void> {
    const last = tree.frozen.at(-1);
    if (last === undefined) return Promise.resolve();
    let run = this.#running.get(tree);
    if (run === undefined) {
      const waiters: FlushWaiter[] = [];
      run = { waiters, ended: this.#flushAll(tree, waiters) };
      this.#running.set(tree, run);
    }
    const { waiters } = run;
    return new Promise((resolve) => waiters.push({ last, resolve }));
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #flushAll(tree: Tree, waiters: FlushWaiter[]): Promise<void> {
    // The caller is inside apply: nothing may happen to the tree before it returns.
    await Promise.resolve();
    for (let attempt = 0; this.#core.isLive(tree);) {
      const memtable = tree.frozen[0];
      if (memtable === undefined) break;
      if (await this.#flushOne(tree, memtable)) {
        attempt = 0;
        // They froze in their order, and so they wait.
        while (waiters[0] !== undefined && !tree.frozen.includes(waiters[0].last)) {
          must(waiters.shift()).resolve();
        }
        continue;
      }
      await this.#core.waitForRoom(attempt++);
    }
    // In the turn in which nothing was left: whatever is frozen from here on begins anew.
    this.#running.delete(tree);
    for (const { resolve } of waiters) resolve();
  }

  /** False where there was no room. */
  async #flushOne(tree: Tree, memtable: Memtable): Promise<boolean> {
    const core = this.#core;
    const state = must(memtable.state);
    let table: WrittenTable | undefined = undefined;
    if (memtable.entryCount > 0) {
      const target = core.newTarget();
      memtable.retain();
      const image = memtable.image();
      const horizon = state.compactedRevision;
      const result = await core.runJob({ kind: "flush", target, image, horizon });
      memtable.release();
      if (result.kind === "noSpace") return false;
      if (result.kind !== "written") {
        core.fail(new Error(`a flush failed: ${result.message}`));
        return true;
      }
      [table] = result.tables;
    }
    await core.logIsDurable();
    if (this.#isWanted(tree, memtable)) return this.#install(tree, memtable, table);
    if (table !== undefined) core.tables.remove(table.file.fileNumber);
    return true;
  }

  #isWanted(tree: Tree, memtable: Memtable): boolean {
    return this.#core.isLive(tree) && tree.frozen[0] === memtable;
  }

  async #install(
    tree: Tree,
    memtable: Memtable,
    table: WrittenTable | undefined,
  ): Promise<boolean> {
    const core = this.#core;
    const state = must(memtable.state);
    const { shardId } = tree;
    const slices = table === undefined ? [] : slicesOf(table);
    const edit: EditOperation[] = [{ kind: "setFlushed", shardId, flushed: state }];
    if (table !== undefined) edit.push({ kind: "addFile", file: table.file });
    for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    if (!(await core.tryAppendSoon(edit))) {
      if (core.hasFailed) return true;
      if (table !== undefined) core.tables.remove(table.file.fileNumber);
      return false;
    }
    if (!this.#isWanted(tree, memtable)) {
      // Dropped or replaced meanwhile, by an edit that took this file out of the manifest again;
      // where the store has ended instead, the next start knows what it holds.
      if (table !== undefined && !core.manifest.catalog.files.has(table.file.fileNumber)) {
        core.tables.remove(table.file.fileNumber);
      }
      return true;
    }
    if (table !== undefined) core.tables.add(table.file);
    this.writtenBytes += table?.file.sizeBytes ?? 0;
    tree.installFlush(slices);
    this.flushCount++;
    core.observer?.flushed(shardId, state);
    this.#onFlushed(tree);
    return true;
  }
}

function slicesOf(table: WrittenTable): Slice[] {
  return table.sections.map((section) => sliceOf(table.file.fileNumber, section, 0));
}
