/**
 * Flushes frozen memtables, for each tree one after another and in their order (flush-round.ts).
 * Small ones wait until the turn ends and no other round of small ones is under way, and are then
 * flushed together, as many as there are: that costs one file, one sync and one manifest edit.
 *
 * A full disk keeps the memtable and tries again later; any other error of the disk ends the store.
 */
import { must } from "../base/assert.js";
import type { Memtable } from "../lsm/memtable.js";
import type { Tree } from "../lsm/tree.js";
import type { FlushMember } from "./flush-round.js";
import { FlushRound } from "./flush-round.js";
import type { MergeRoom } from "./merge-room.js";
import type { StoreCore } from "./store-core.js";

/** Trees in a round: a round's edit of the manifest is to be short. */
const ROUND_COUNT_MAX = 512;

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

interface Gathered {
  readonly member: FlushMember;
  readonly resolve: (hasRoom: boolean) => void;
}

export class Flusher {
  readonly #core: StoreCore;
  readonly #room: MergeRoom;
  readonly #onFlushed: (trees: readonly Tree[]) => void;
  readonly #running: Map<Tree, FlushRun> = new Map();
  /** Small memtables that go into the next round. */
  readonly #gathered: Gathered[] = [];
  /** A round of small memtables is planned or runs. */
  #isGathering = false;
  flushCount = 0;
  writtenBytes = 0;

  constructor(core: StoreCore, room: MergeRoom, onFlushed: (trees: readonly Tree[]) => void) {
    this.#core = core;
    this.#room = room;
    this.#onFlushed = onFlushed;
  }

  /** Whether anything is flushed now, or waits for it. */
  get isBusy(): boolean {
    return this.#running.size > 0;
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
    this.#pressIfBehind(tree);
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
      this.#pressIfBehind(tree);
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

  #pressIfBehind(tree: Tree): void {
    if (tree.frozen.length > 1) this.#core.pace.press();
  }

  /** False where there was no room. Small memtables go together. */
  async #flushOne(tree: Tree, memtable: Memtable): Promise<boolean> {
    const member = { tree, memtable };
    const { sizeBytes } = memtable;
    if (sizeBytes > this.#core.settings.sharedTableBytesMax) {
      await this.#room.make(tree, sizeBytes);
      return this.#run([member], true);
    }
    return new Promise((resolve) => {
      this.#gathered.push({ member, resolve });
      this.#startRound();
    });
  }

  /** One round after the other: what comes during one goes together in the next. */
  #startRound(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#core.env.timers.endOfTurn(() => {
      const gathered = this.#gathered.splice(0, ROUND_COUNT_MAX);
      void this.#run(
        gathered.map(({ member }) => member),
        false,
      ).then((hasRoom) => {
        for (const { resolve } of gathered) resolve(hasRoom);
        this.#isGathering = false;
        if (this.#gathered.length > 0) this.#startRound();
      });
    });
  }

  async #run(members: readonly FlushMember[], isLarge: boolean): Promise<boolean> {
    const round = new FlushRound(this.#core, members, isLarge);
    const hasRoom = await round.run();
    this.flushCount += round.flushed.length;
    this.writtenBytes += round.writtenBytes;
    if (round.flushed.length > 0) this.#onFlushed(round.flushed);
    return hasRoom;
  }
}
