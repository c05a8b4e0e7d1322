/**
 * The time of one machine of several that share a FakeTimers: it can sleep. Meanwhile nothing of
 * it runs and its monotonic clock stands still, while uptime goes on. What came due in its sleep
 * runs when it wakes, in that order, at the next step of time.
 */
import type { Clock } from "../../src/env/clock.js";
import { UPTIME_STEP_MS } from "../../src/env/clock.js";
import type { Timer, Timers } from "../../src/env/timers.js";
import type { FakeTimers } from "./fake-timers.js";

export class SleepyTime implements Clock, Timers {
  readonly #time: FakeTimers;
  #sleptMs = 0;
  #asleepAtMs: number | undefined;
  #deferred: (() => void)[] = [];

  constructor(time: FakeTimers) {
    this.#time = time;
  }

  monotonicMs(): number {
    return (this.#asleepAtMs ?? this.#time.monotonicMs()) - this.#sleptMs;
  }

  uptimeMs(): number {
    const nowMs = this.#time.monotonicMs();
    return nowMs - (nowMs % UPTIME_STEP_MS);
  }

  wallMs(): number {
    return this.#time.wallMs();
  }

  after(delayMs: number, run: () => void): Timer {
    let cancelled = false;
    const timer = this.#time.after(delayMs, () => {
      this.#whenAwake(() => {
        if (!cancelled) run();
      });
    });
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  endOfTurn(run: () => void): void {
    this.#time.endOfTurn(() => this.#whenAwake(run));
  }

  sleep(): void {
    this.#asleepAtMs = this.#time.monotonicMs();
  }

  wake(): void {
    if (this.#asleepAtMs === undefined) return;
    this.#sleptMs += this.#time.monotonicMs() - this.#asleepAtMs;
    this.#asleepAtMs = undefined;
    for (const run of this.#deferred.splice(0)) this.after(0, run);
  }

  #whenAwake(run: () => void): void {
    if (this.#asleepAtMs === undefined) run();
    else this.#deferred.push(run);
  }
}
