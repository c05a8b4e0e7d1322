/**
 * A closed loop of clients: each sends its next operation when it has the answer to the last. The
 * same loop drives every kind of cluster, so that latencies are measured in the same way. It holds
 * no promise and makes no closure per operation, since it shares the processors with the servers.
 */
import { must } from "../../src/base/assert.js";
import { utf8 } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { Histogram } from "./histogram.js";

/** Told once per operation: what failed, if anything. */
export type Done = (error: string | undefined) => void;

/** A cluster as the load sees it, over a fixed number of connections. */
export interface LoadTarget {
  /** `connection` says over which of the target's connections, modulo their number. */
  put(connection: number, key: Uint8Array, value: Uint8Array, done: Done): void;
  /** Fails if the key is absent: every key was loaded before. */
  get(connection: number, key: Uint8Array, done: Done): void;
  close(): Promise<void>;
}

export type Work = "put" | "get" | "mixed";

export interface Load {
  readonly work: Work;
  readonly clients: number;
  readonly seconds: number;
  readonly data: LoadData;
}

export interface LoadResult {
  readonly operations: number;
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly elapsedMs: number;
  readonly latencies: Histogram;
}

const VALUES = 64;
/** After an error a client rests, so that a dead cluster is not called in a tight loop. */
const REST_AFTER_ERROR_MS = 10;
/** How long after the end the last answers may take. */
const DRAIN_MS = 10_000;

/** The keys and values of a run, made beforehand. */
export class LoadData {
  readonly keys: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
  readonly prng: Prng;

  constructor(keyCount: number, valueBytes: number, seed: number) {
    this.prng = new Prng(seed);
    this.keys = Array.from({ length: keyCount }, (_, i) =>
      utf8(`key-${String(i).padStart(8, "0")}`),
    );
    this.values = Array.from({ length: VALUES }, () =>
      Uint8Array.from({ length: valueBytes }, () => this.prng.between(33, 126)),
    );
  }

  key(): Uint8Array {
    return this.keys[this.prng.u32() % this.keys.length]!;
  }

  value(): Uint8Array {
    return this.values[this.prng.u32() % VALUES]!;
  }
}

/** Runs the load for its time; resolves when the last answer is there or given up. */
export function runLoad(target: LoadTarget, load: Load): Promise<LoadResult> {
  const run = new LoadRun(target, load);
  return run.start();
}

/** Puts every key once, with as many operations in flight; throws if one fails. */
export async function preload(target: LoadTarget, data: LoadData, inFlight = 256): Promise<void> {
  let next = 0;
  const one = async (connection: number): Promise<void> => {
    while (next < data.keys.length) {
      const key = must(data.keys[next++]);
      await new Promise<void>((resolve, reject) => {
        target.put(connection, key, data.value(), (error) =>
          error === undefined ? resolve() : reject(new Error(`preloading failed: ${error}`)),
        );
      });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, i) => one(i)));
}

class LoadRun {
  readonly target: LoadTarget;
  readonly load: Load;
  readonly #latencies = new Histogram();
  #errors = 0;
  #firstError: string | undefined;
  #startedMs = 0;
  #endMs = 0;
  #lastMs = 0;
  #busy = 0;
  #finish: () => void = () => undefined;

  constructor(target: LoadTarget, load: Load) {
    this.target = target;
    this.load = load;
  }

  async start(): Promise<LoadResult> {
    this.#startedMs = performance.now();
    this.#endMs = this.#startedMs + this.load.seconds * 1000;
    this.#busy = this.load.clients;
    const ended = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    for (let i = 0; i < this.load.clients; i++) new LoadClient(this, i).next();
    const giveUp = setTimeout(this.#finish, this.load.seconds * 1000 + DRAIN_MS);
    await ended;
    clearTimeout(giveUp);
    return {
      operations: this.#latencies.total,
      errors: this.#errors + this.#busy,
      firstError: this.#firstError ?? (this.#busy > 0 ? "no answer" : undefined),
      elapsedMs: this.#lastMs - this.#startedMs,
      latencies: this.#latencies,
    };
  }

  /** Counts an answer; false tells the client to stop. */
  answered(sentMs: number, error: string | undefined): boolean {
    const now = performance.now();
    this.#lastMs = now;
    if (error === undefined) this.#latencies.record(now - sentMs);
    else {
      this.#errors++;
      this.#firstError ??= error;
    }
    if (now < this.#endMs) return true;
    if (--this.#busy === 0) this.#finish();
    return false;
  }
}

class LoadClient {
  readonly #run: LoadRun;
  readonly #connection: number;
  #sentMs = 0;

  constructor(run: LoadRun, connection: number) {
    this.#run = run;
    this.#connection = connection;
  }

  next(): void {
    const { target, load } = this.#run;
    const { data, work } = load;
    const puts = work === "put" || (work === "mixed" && data.prng.u32() % 2 === 0);
    this.#sentMs = performance.now();
    if (puts) target.put(this.#connection, data.key(), data.value(), this.#done);
    else target.get(this.#connection, data.key(), this.#done);
  }

  readonly #done = (error: string | undefined): void => {
    if (!this.#run.answered(this.#sentMs, error)) return;
    if (error === undefined) this.next();
    else setTimeout(() => this.next(), REST_AFTER_ERROR_MS);
  };
}
