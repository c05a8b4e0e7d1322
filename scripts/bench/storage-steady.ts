/**
 * Puts that come at a constant rate, whatever the engine does meanwhile, and how long each took
 * from the moment at which it was due: who is held up makes those behind wait, too, and each of
 * them counts. Only what a timer may be late, even in a program that does nothing, is forgiven.
 */
import { Histogram } from "./histogram.js";
import type { StorageData } from "./storage-data.js";
import type { StorageEngine } from "./storage-engines.js";

const BATCH = 100;
const TIMER_LATE_MS = 2;

/** What comes in a second. */
export interface SteadyLoad {
  /** Batches of 100 without sync. */
  readonly batchesPerSecond: number;
  /** Single puts, each durable when it settles; with any, only their latencies count. */
  readonly putsPerSecond: number;
  readonly seconds: number;
}

export interface Latencies {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export interface SteadyResult {
  /** Entries that were written. */
  readonly operations: number;
  readonly latencies: Latencies;
}

/** One kind of write: how many have begun, and how long they took. */
class Stream {
  readonly #perSecond: number;
  readonly #start: (n: number) => Promise<void>;
  readonly #pending: Set<Promise<void>> = new Set();
  readonly latency: Histogram = new Histogram();
  begun = 0;
  maxMs = 0;

  constructor(perSecond: number, start: (n: number) => Promise<void>) {
    this.#perSecond = perSecond;
    this.#start = start;
  }

  /** Begins all that is due `elapsedMs` after the start. */
  beginUntil(elapsedMs: number, nowMs: () => number): void {
    for (; this.begun < Math.floor((elapsedMs * this.#perSecond) / 1000); this.begun++) {
      const dueMs = ((this.begun + 1) * 1000) / this.#perSecond;
      const fromMs = Math.min(nowMs(), dueMs + TIMER_LATE_MS);
      const write = this.#start(this.begun).then(() => {
        this.#pending.delete(write);
        const tookMs = nowMs() - fromMs;
        this.latency.record(tookMs);
        this.maxMs = Math.max(this.maxMs, tookMs);
      });
      this.#pending.add(write);
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}

/** Offers the load for as long as it says; entries are overwritten in random order. */
export async function runSteady(
  engine: StorageEngine,
  data: StorageData,
  load: SteadyLoad,
): Promise<SteadyResult> {
  const { shuffled } = data;
  const numberAt = (i: number): number => shuffled[i % shuffled.length]!;
  const batches = new Stream(load.batchesPerSecond, (n) => {
    const numbers = Array.from({ length: BATCH }, (_, i) => numberAt(n * BATCH + i));
    const keys = numbers.map((number) => data.key(number));
    return engine.write(
      keys,
      numbers.map((number) => data.value(number + n)),
    );
  });
  const puts = new Stream(load.putsPerSecond, (n) => {
    const number = numberAt(shuffled.length - 1 - (n % shuffled.length));
    return engine.putSync(data.key(number), data.value(number + n));
  });
  const startMs = performance.now();
  const nowMs = (): number => performance.now() - startMs;
  const endMs = load.seconds * 1000;
  for (let atMs = 0; atMs < endMs;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    atMs = Math.min(nowMs(), endMs);
    batches.beginUntil(atMs, nowMs);
    puts.beginUntil(atMs, nowMs);
  }
  await batches.settled();
  await puts.settled();
  return {
    operations: batches.begun * BATCH + puts.begun,
    latencies: latenciesOf(load.putsPerSecond > 0 ? puts : batches),
  };
}

function latenciesOf({ latency, maxMs }: Stream): Latencies {
  return {
    medianMs: latency.percentileMs(0.5),
    p99Ms: latency.percentileMs(0.99),
    p999Ms: latency.percentileMs(0.999),
    maxMs,
  };
}
