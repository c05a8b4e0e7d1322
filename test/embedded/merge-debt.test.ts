/** What is written while merges do not keep up: it is there, and its writer is told late. */
import { expect, test } from "vitest";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { JobRunner } from "../../src/env/jobs.js";
import type { CheckJob, StoreJob, StoreJobResult } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { testEnv } from "../support/test-env.js";

/** Tiers from which on a tree is behind: twice three times the fan-in. */
const BEHIND = 24;
const TURNS_OF_A_FLUSH = 300;

/** Runs all jobs but merges, which have the outcome that is set, or wait. */
class Merges implements JobRunner {
  readonly #inner: JobRunner;
  #waiting: (() => void)[] = [];
  outcome: StoreJobResult | "wait" | "done" = "wait";

  constructor(inner: JobRunner) {
    this.#inner = inner;
  }

  async run(job: unknown): Promise<unknown> {
    const isMerge = (job as StoreJob | CheckJob).kind === "compact";
    if (isMerge && this.outcome === "wait") {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return isMerge && typeof this.outcome === "object" ? this.outcome : this.#inner.run(job);
  }

  letGo(): void {
    this.outcome = "done";
    for (const go of this.#waiting.splice(0)) go();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

class Bench {
  readonly store: EmbeddedStore;
  readonly merges: Merges;
  puts = 0;
  /** The put that did not settle. */
  held: Promise<void> | undefined = undefined;

  private constructor(store: EmbeddedStore, merges: Merges) {
    this.store = store;
    this.merges = merges;
  }

  static async open(): Promise<Bench> {
    const disk = new MemoryDisk();
    const job = (each: unknown): unknown => runStoreJob(disk, each as StoreJob | CheckJob);
    const env = testEnv({ disk, time: "real", job });
    const merges = new Merges(env.jobs);
    const store = await EmbeddedStore.open({ ...env, jobs: merges }, "/store", {
      memtableBytesMax: 16 * 1024,
      logSegmentSizeBytes: 256 * 1024,
    });
    return new Bench(store, merges);
  }

  put(sync = false): Promise<void> {
    const key = `key ${this.puts++ % 50}`;
    return this.store.put(key, new Uint8Array(1000).fill(this.puts), { sync });
  }

  /** Puts until one does not settle in the time of a flush, or so many tables are there. */
  async putUntilHeld(tablesMax: number): Promise<void> {
    while (this.held === undefined && this.store.stats().tableCount < tablesMax) {
      const put = this.put();
      if (!(await settles(put))) this.held = put;
    }
  }
}

async function settles(write: Promise<void>): Promise<boolean> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  write.then(settle, settle);
  for (let turn = 0; turn < TURNS_OF_A_FLUSH && !isSettled; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return isSettled;
}

test("writes settle late while merges are behind, synced or not, and are seen at once", async () => {
  const bench = await Bench.open();
  const { store, merges } = bench;
  await bench.putUntilHeld(2 * BEHIND);
  expect(bench.held).toBeDefined();
  expect(store.stats()).toMatchObject({ tableCount: BEHIND, runsMax: BEHIND, isBehind: true });
  const synced = bench.put(true);
  expect(await settles(synced)).toBe(false);
  expect(store.get(`key ${(bench.puts - 1) % 50}`)?.[0]).toBe(bench.puts & 0xff);
  merges.letGo();
  await Promise.all([bench.held, synced]);
  expect(await settles(bench.put())).toBe(true);
  expect(store.stats().isBehind).toBe(false);
  await store.close();
});

test("nobody waits for merges that damage makes impossible", async () => {
  const bench = await Bench.open();
  bench.merges.outcome = { kind: "corrupt", path: "/store/tables/x", offset: 0, message: "bad" };
  await bench.putUntilHeld(BEHIND + 6);
  expect(bench.held).toBeUndefined();
  expect(bench.store.stats().damage).toContain("bad");
  await bench.store.close();
});

test("merges without room on the disk are tried again while writes wait for them", async () => {
  const bench = await Bench.open();
  const { store, merges } = bench;
  merges.outcome = { kind: "noSpace" };
  await bench.putUntilHeld(BEHIND);
  await eventually(() => store.stats().full);
  await bench.held;
  expect((await errorOf(bench.put())).code).toBe("noSpace");
  merges.letGo();
  await eventually(() => store.stats().compactions > 0);
  expect(store.stats().full).toBe(false);
  await bench.put();
  await store.close();
});
