/**
 * Nodes that lately gave no answer, or could not be reached in time. Others are asked first for a
 * while: a node that is cut off answers nobody, and each call would find that out anew, in the time
 * that it has for everything. Whoever answers is suspected no more.
 */
import type { Clock } from "../env/clock.js";

const SUSPECT_MS = 2000;

export class Suspects {
  readonly #clock: Clock;
  readonly #untilMs: Map<number, number> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(nodeId: number): void {
    if (nodeId !== 0) this.#untilMs.set(nodeId, this.#clock.monotonicMs() + SUSPECT_MS);
  }

  answered(nodeId: number): void {
    if (this.#untilMs.size > 0) this.#untilMs.delete(nodeId);
  }

  has(nodeId: number): boolean {
    const untilMs = this.#untilMs.get(nodeId);
    return untilMs !== undefined && untilMs > this.#clock.monotonicMs();
  }
}
