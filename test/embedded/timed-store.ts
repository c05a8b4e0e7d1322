/** An embedded store whose time and turns the test lets pass. */
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv, turnsUntil } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

/** Enough for all that one thing sets off. */
const TURNS = 50;

export function timedEnv(disk: MemoryDisk): TestEnv {
  const job = (job: unknown): unknown => runStoreJob(disk, job as StoreJob | CheckJob);
  return testEnv({ disk, job });
}

export class TimedStore {
  readonly #env: TestEnv;
  readonly store: EmbeddedStore;

  constructor(env: TestEnv, store: EmbeddedStore) {
    this.#env = env;
    this.store = store;
  }

  static async open(disk: MemoryDisk, env: TestEnv = timedEnv(disk)): Promise<TimedStore> {
    const store = await EmbeddedStore.open(env, "/embedded", {
      memtableBytesMax: 256 * 1024,
      logSegmentSizeBytes: 1024 * 1024,
      scrubBytesPerSecond: 0,
    });
    return new TimedStore(env, store);
  }

  get flushes(): number {
    return this.store.stats().flushes;
  }

  /** Timers that wait for their time. */
  get waiting(): number {
    return this.#env.fake.waiting;
  }

  /** Lets time pass, and what it sets off come to its end. */
  async pass(ms: number): Promise<void> {
    this.#env.fake.advance(ms);
    for (let turn = 0; turn < TURNS; turn++) await this.over(Promise.resolve());
  }

  /** The outcome of what needs some turns, and no time. */
  async over<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    void promise.finally(() => (isOver = true)).catch(() => undefined);
    await turnsUntil(() => {
      this.#env.fake.endTurn();
      return isOver;
    });
    return promise;
  }

  idle(): Promise<void> {
    return this.over(this.store.idle());
  }

  close(): Promise<void> {
    return this.over(this.store.close());
  }
}
