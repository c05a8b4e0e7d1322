/**
 * Waits until every node that lives has a version of the map, as their signs of life say it. Not
 * for ever: a node that is about to be taken for dead holds nobody up for long.
 */
import type { Timer, Timers } from "../env/timers.js";
import type { HealthBook } from "./cluster-health.js";

const WAIT_MS_MAX = 1000;

interface Waiter {
  readonly version: number;
  readonly timer: Timer;
  readonly resolve: () => void;
}

export class MapSpread {
  readonly #timers: Timers;
  readonly #health: HealthBook;
  readonly #waiters: Set<Waiter> = new Set();

  constructor(timers: Timers, health: HealthBook) {
    this.#timers = timers;
    this.#health = health;
  }

  until(version: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#timers.after(WAIT_MS_MAX, () => this.#end(waiter));
      const waiter: Waiter = { version, timer, resolve };
      this.#waiters.add(waiter);
      this.heard();
    });
  }

  /** Called after a sign of life. */
  heard(): void {
    for (const waiter of this.#waiters) {
      if (this.#health.haveMap(waiter.version)) this.#end(waiter);
    }
  }

  #end(waiter: Waiter): void {
    waiter.timer.cancel();
    this.#waiters.delete(waiter);
    waiter.resolve();
  }
}
