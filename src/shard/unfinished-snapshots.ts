/**
 * The checkpoints of snapshots whose sending broke off. The core asks for a snapshot again soon,
 * and if it is the same one the receiver needs only what is missing. So a checkpoint is kept for a
 * while, and with it the files it pins; it never outlives the time its owner gives it.
 */
import type { Timer, Timers } from "../env/timers.js";
import type { TreeCheckpoint } from "../store/tree-checkpoint.js";

type Checkpoint = Pick<TreeCheckpoint, "state" | "release">;

interface Kept<C> {
  readonly checkpoint: C;
  readonly timer: Timer;
}

export class UnfinishedSnapshots<C extends Checkpoint> {
  readonly #timers: Timers;
  readonly #keepMs: number;
  readonly #kept: Map<string, Kept<C>> = new Map();
  #closed = false;

  constructor(timers: Timers, keepMs: number) {
    this.#timers = timers;
    this.#keepMs = keepMs;
  }

  /** What was kept under `name`, if the log still goes on from there; it is the caller's then. */
  take(name: string, logBaseIndex: number): C | undefined {
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    kept.timer.cancel();
    this.#kept.delete(name);
    if (kept.checkpoint.state.index >= logBaseIndex) return kept.checkpoint;
    kept.checkpoint.release();
    return undefined;
  }

  keep(name: string, checkpoint: C): void {
    if (this.#closed) {
      checkpoint.release();
      return;
    }
    const timer = this.#timers.after(this.#keepMs, () => this.#drop(name));
    this.#kept.set(name, { checkpoint, timer });
  }

  close(): void {
    this.#closed = true;
    for (const name of this.#kept.keys()) this.#drop(name);
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name);
    kept?.timer.cancel();
    kept?.checkpoint.release();
    this.#kept.delete(name);
  }
}
