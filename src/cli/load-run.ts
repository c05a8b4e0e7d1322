/**
 * Writes at a steady rate for a while, many at once, and how long they took: a write begins at the
 * time that is its own, or as soon as a writer is free.
 */
export interface LoadPlan {
  readonly ratePerSecond: number;
  readonly writers: number;
  readonly durationMs: number;
  readonly signal: AbortSignal;
  /** The n-th write. */
  readonly write: (n: number) => Promise<void>;
  /** After each, well or not. */
  readonly done: () => void;
}

export interface LoadFacts {
  readonly written: number;
  readonly failed: number;
  /** What the first that failed said. */
  readonly failure: string | undefined;
  readonly perSecond: number;
  readonly slowestMs: number;
  readonly deviationMs: number;
}

export async function runLoad(plan: LoadPlan): Promise<LoadFacts> {
  const run = new LoadRun(plan);
  await Promise.all(Array.from({ length: plan.writers }, () => run.writer()));
  return run.facts();
}

class LoadRun {
  readonly #plan: LoadPlan;
  readonly #startMs = performance.now();
  readonly #count: number;
  #next = 0;
  #written = 0;
  #failed = 0;
  #failure: string | undefined;
  #slowestMs = 0;
  /** Of the times, for their deviation: mean, and sum of squares about it. */
  #meanMs = 0;
  #squares = 0;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    this.#count = Math.floor((plan.ratePerSecond * plan.durationMs) / 1000);
  }

  async writer(): Promise<void> {
    const { ratePerSecond, signal, write, done } = this.#plan;
    while (this.#next < this.#count && !signal.aborted) {
      const n = this.#next++;
      await until(this.#startMs + (n * 1000) / ratePerSecond);
      const beganMs = performance.now();
      try {
        await write(n);
        this.#note(performance.now() - beganMs);
      } catch (error) {
        this.#failed++;
        this.#failure ??= error instanceof Error ? error.message : String(error);
      }
      done();
    }
  }

  facts(): LoadFacts {
    const seconds = (performance.now() - this.#startMs) / 1000;
    return {
      written: this.#written,
      failed: this.#failed,
      failure: this.#failure,
      perSecond: this.#written / seconds,
      slowestMs: this.#slowestMs,
      deviationMs: Math.sqrt(this.#squares / Math.max(1, this.#written)),
    };
  }

  #note(tookMs: number): void {
    this.#written++;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    const off = tookMs - this.#meanMs;
    this.#meanMs += off / this.#written;
    this.#squares += off * (tookMs - this.#meanMs);
  }
}

function until(atMs: number): Promise<void> | undefined {
  const leftMs = atMs - performance.now();
  return leftMs <= 0 ? undefined : new Promise((resolve) => setTimeout(resolve, leftMs));
}
