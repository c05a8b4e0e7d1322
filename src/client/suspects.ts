/**
 * Nodes, or their addresses, that lately gave no answer or could not be reached in time. Others are
 * asked first for a while: a node that is cut off answers nobody, and each call would find that out
 * anew, in the time that it has for everything. Whoever answers is suspected no more.
 */
import type { Clock } from "../env/clock.js";

const SUSPECT_MS = 2000;

export class Suspects<Name> {
  readonly #clock: Clock;
  readonly #silentMs: Map<Name, number> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(name: Name): void {
    this.#silentMs.set(name, this.#clock.monotonicMs());
  }

  answered(name: Name): void {
    if (!this.isEmpty) this.#silentMs.delete(name);
  }

  /** Whether nobody was silent since he last answered. */
  get isEmpty(): boolean {
    return this.#silentMs.size === 0;
  }

  has(name: Name): boolean {
    return this.#clock.monotonicMs() - this.silentMs(name) < SUSPECT_MS;
  }

  /** When it last gave no answer, however long ago; before everything where it did. */
  silentMs(name: Name): number {
    return this.#silentMs.get(name) ?? Number.NEGATIVE_INFINITY;
  }
}
