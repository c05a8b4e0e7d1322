/**
 * When the machine itself stood still: a thread with nothing to do sleeps a millisecond at a time,
 * and notes when a sleep took far longer. Where several machines share one, that is most of what is
 * slow now and then, whoever is measured.
 */
import { Worker } from "node:worker_threads";

/** Milliseconds since 1970, with fractions. */
export interface Standstill {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A sleep of a millisecond that takes longer than this was none of the scheduler's turns. */
export const STANDSTILL_MS = 10;

const OBSERVER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const { stop, boundMs } = workerData;
  const ended = new Int32Array(stop);
  const seen = [];
  const { timeOrigin } = performance;
  let beforeMs = performance.now();
  while (Atomics.load(ended, 0) === 0) {
    Atomics.wait(cell, 0, 0, 1);
    const nowMs = performance.now();
    if (nowMs - beforeMs > boundMs) {
      seen.push({ fromMs: timeOrigin + beforeMs, toMs: timeOrigin + nowMs });
    }
    beforeMs = nowMs;
  }
  parentPort.postMessage(seen);
`;

export class StandstillObserver {
  readonly #stop = new SharedArrayBuffer(4);
  readonly #seen: Promise<readonly Standstill[]>;

  constructor() {
    const workerData = { stop: this.#stop, boundMs: STANDSTILL_MS };
    const worker = new Worker(OBSERVER, { eval: true, workerData });
    this.#seen = new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  }

  /** Ends it; what it has seen, in order. */
  end(): Promise<readonly Standstill[]> {
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    return this.#seen;
  }
}

/** Whether the machine stood still at any moment between these two. */
export function stoodStill(all: readonly Standstill[], fromMs: number, toMs: number): boolean {
  return all.some((each) => each.fromMs < toMs && each.toMs > fromMs);
}
