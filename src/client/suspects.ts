/**
 * Nodes, or their addresses, that lately gave no answer or could not be reached in time. Others are
 * asked first for a while: a node that is cut off answers nobody, and each call would find that out
 * anew, in the time that it has for everything. Whoever answers is suspected no more.
 */
import type { Clock } from "../env/clock.js";

const SUSPECT_MS = 2000;

export class Suspects<Name> {
  readonly #clock: Clock;
  readonly #untilMs: Map<Name, number> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(name: Name): void {
    this.#untilMs.set(name, this.#clock.monotonicMs() + SUSPECT_MS);
  }

  answered(name: Name): void {
    if (this.#untilMs.size > 0) this.#untilMs.delete(name);
  }

  has(name: Name): boolean {
    const untilMs = this.#untilMs.get(name);
    return untilMs !== undefined && untilMs > this.#clock.monotonicMs();
  }
}
