/**
 * What a store flushes when it rests. A start applies again what the log has and no table; where
 * that is much, it is flushed once nothing has been written for a while, and the next start has
 * less to do, also after a crash. What was applied again at a start counts as written then.
 *
 * No timer of it runs while nobody writes, or outlives the store.
 */
import type { Timer, Timers } from "../env/timers.js";

/** So long nothing is to be written. */
const REST_MS = 500;

export interface RestFlushOwner {
  /** Of the newest entry that was written. */
  readonly index: () => number;
  /** Whether a start would have much to do. */
  readonly isMuch: () => boolean;
  readonly flush: () => void;
}

export class RestFlush {
  readonly #timers: Timers;
  readonly #owner: RestFlushOwner;
  /** Runs until nothing has been written between two looks. */
  #timer: Timer | undefined = undefined;
  #isClosed = false;

  constructor(timers: Timers, owner: RestFlushOwner) {
    this.#timers = timers;
    this.#owner = owner;
  }

  /** Something was written, or could not be flushed before and may be now. */
  stir(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const before = this.#owner.index();
    this.#timer = this.#timers.after(REST_MS, () => {
      this.#timer = undefined;
      if (this.#owner.index() > before) this.stir();
      else this.#flush();
    });
  }

  /** Whoever calls knows that nothing is written. */
  now(): void {
    if (!this.#isClosed) this.#flush();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #flush(): void {
    if (this.#owner.isMuch()) this.#owner.flush();
  }
}
