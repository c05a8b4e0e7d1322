/**
 * Time that moves when a test says so: a clock and timers in one. Due timers run in order of time,
 * ties in the order in which they were set; what was left for the end of the turn runs after each
 * timer. It never runs anything by itself.
 */
import type { Clock } from "../../src/env/clock.js";
import type { Timer, Timers } from "../../src/env/timers.js";

const WALL_START_MS = 1_700_000_000_000;

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
}

export class FakeTimers implements Clock, Timers {
  #nowMs = 0;
  #waiting: Waiting[] = [];
  #turnEnd: (() => void)[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  uptimeMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return WALL_START_MS + this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const waiting: Waiting = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.atMs > waiting.atMs) at--;
    this.#waiting.splice(at, 0, waiting);
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
      },
    };
  }

  endOfTurn(run: () => void): void {
    this.#turnEnd.push(run);
  }

  /** Timers that have not run. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Ends the turn: runs what was left for its end, and what that leaves in turn. */
  endTurn(): void {
    while (this.#turnEnd.length > 0) {
      const runs = this.#turnEnd;
      this.#turnEnd = [];
      for (const run of runs) run();
    }
  }

  /**
   * Moves time on by `ms` at one blow, as where the loop is held up: timers that fell due run late,
   * then `poll`, which hands out the input that waited, and then the turn ends.
   */
  stall(ms: number, poll: () => void): void {
    this.endTurn();
    this.#nowMs += ms;
    const due = this.#waiting.filter((each) => each.atMs <= this.#nowMs);
    this.#waiting = this.#waiting.filter((each) => each.atMs > this.#nowMs);
    for (const each of due) each.run();
    poll();
    this.endTurn();
  }

  /** Moves time on by `ms`, running whatever falls due on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    this.endTurn();
    while (this.#waiting.length > 0 && this.#waiting[0]!.atMs <= untilMs) {
      const next = this.#waiting.shift()!;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      this.endTurn();
    }
    this.#nowMs = untilMs;
  }
}
