/**
 * What a store runs on: a disk in memory, time that moves when it is told to, and jobs that run one
 * by one when they are told to, so that a flush or merge can lie between any two operations. A
 * start after a crash gets a new machine on the disk that is left.
 */
import { Prng } from "../../src/base/prng.js";
import type { Env } from "../../src/env/env.js";
import { SILENT_TRACER } from "../../src/env/tracer.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { EventQueue } from "../sim/event-queue.js";
import type { MemoryDisk } from "../sim/memory-disk.js";

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Idle rounds before time is moved on. */
const IDLE_STEP_MS = 60;
const ROUNDS_MAX = 20_000;

export class Machine {
  readonly disk: MemoryDisk;
  readonly env: Env;
  readonly #timers: EventQueue<Waiting> = new EventQueue();
  readonly #jobs: (() => void)[] = [];
  #turnEnd: (() => void)[] = [];
  #nowMs = 0;
  #planned = 0;

  /** `seed`: for what the store draws by chance, its identity. */
  constructor(disk: MemoryDisk, seed: number) {
    this.disk = disk;
    const prng = new Prng(seed);
    this.env = {
      clock: {
        monotonicMs: () => this.#nowMs,
        uptimeMs: () => this.#nowMs,
        wallMs: () => this.#nowMs,
      },
      timers: {
        after: (delayMs, run) => this.#after(delayMs, run),
        endOfTurn: (run) => this.#turnEnd.push(run),
      },
      disk,
      network: { listen: noNetwork, connect: noNetwork },
      random: { fraction: () => prng.fraction(), uniqueId: () => idFrom(prng) },
      tracer: SILENT_TRACER,
      jobs: { run: (job) => this.#queue(job), close: () => Promise.resolve() },
    };
  }

  /** Lets some of what waits happen, as chance has it: writes, a job, time. */
  async step(prng: Prng, jobChance: number): Promise<void> {
    this.disk.pump(prng.between(0, 2));
    if (prng.chance(jobChance)) this.#jobs.shift()?.();
    if (prng.chance(0.1)) this.#advance(prng.between(1, 120));
    await this.#turn();
  }

  /** Lets everything happen until `isDone`; false where the disk has halted. */
  async until(isDone: () => boolean): Promise<boolean> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (isDone()) return true;
      if (this.disk.halted) return false;
      const waited = this.disk.pendingWrites + this.#jobs.length;
      this.disk.pump();
      while (this.#jobs.length > 0) this.#jobs.shift()!();
      await this.#turn();
      if (waited === 0 && !isDone()) this.#advance(IDLE_STEP_MS);
    }
    throw new Error("what was waited for never came");
  }

  /** As `until`, for a promise; its rejection is thrown. */
  async wait(promise: Promise<unknown>): Promise<boolean> {
    let outcome: { readonly error?: unknown } | undefined = undefined;
    promise.then(
      () => (outcome = {}),
      (error: unknown) => (outcome = { error }),
    );
    const isThere = await this.until(() => outcome !== undefined);
    if (outcome !== undefined && "error" in (outcome as object)) {
      throw (outcome as { readonly error: unknown }).error;
    }
    return isThere;
  }

  #after(delayMs: number, run: () => void): { cancel(): void } {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const waiting: Waiting = { atMs, order: this.#planned++, run, cancelled: false };
    this.#timers.push(waiting);
    return { cancel: () => (waiting.cancelled = true) };
  }

  /** A job gets a copy of what it was given, and gives one back, as over a thread's border. */
  #queue(job: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#jobs.push(() => {
        try {
          const copy = structuredClone(job) as StoreJob | CheckJob;
          resolve(structuredClone(runStoreJob(this.disk, copy)));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  /** One turn of the event loop: promises run, then what was left for its end. */
  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#turnEnd.length > 0) {
      const runs = this.#turnEnd;
      this.#turnEnd = [];
      for (const run of runs) run();
    }
  }

  #advance(ms: number): void {
    this.#nowMs += ms;
    for (;;) {
      const first = this.#timers.peek();
      if (first === undefined || first.atMs > this.#nowMs) return;
      this.#timers.pop();
      if (!first.cancelled) first.run();
    }
  }
}

function noNetwork(): never {
  throw new Error("a store uses no network");
}

function idFrom(prng: Prng): string {
  let id = "";
  for (let i = 0; i < 4; i++) id += prng.u32().toString(16).padStart(8, "0");
  return id;
}
