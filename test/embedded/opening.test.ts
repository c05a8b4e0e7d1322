/** What a start leaves to the next one. */
import { describe, expect, test } from "vitest";
import type { Timers } from "../../src/env/timers.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv, turnsUntil } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

const MEMTABLE_BYTES_MAX = 256 * 1024;
const MANY = 200;
const FEW = 20;

interface Opened {
  readonly env: TestEnv;
  readonly store: EmbeddedStore;
}

function envOf(disk: MemoryDisk): TestEnv {
  const job = (job: unknown): unknown => runStoreJob(disk, job as StoreJob | CheckJob);
  return testEnv({ disk, job });
}

async function openOn(disk: MemoryDisk, env: TestEnv = envOf(disk)): Promise<Opened> {
  const store = await EmbeddedStore.open(env, "/embedded", {
    memtableBytesMax: MEMTABLE_BYTES_MAX,
    logSegmentSizeBytes: 1024 * 1024,
    scrubBytesPerSecond: 0,
  });
  return { env, store };
}

/** A store whose log holds so many writes of 500 bytes, and no table. */
async function reopened(disk: MemoryDisk, count: number): Promise<Opened> {
  const opened = await openOn(disk);
  const batch = opened.store.batch();
  for (let i = 0; i < count; i++) batch.put(`key${1000 + i}`, new Uint8Array(500));
  await passed(opened, opened.store.write(batch));
  await close(opened);
  return openOn(disk);
}

/** The outcome of what needs some turns, and no time. */
async function passed<T>({ env }: Opened, promise: Promise<T>): Promise<T> {
  let isOver = false;
  void promise.finally(() => (isOver = true)).catch(() => undefined);
  await turnsUntil(() => {
    env.fake.endTurn();
    return isOver;
  });
  return promise;
}

function settled(opened: Opened): Promise<void> {
  return passed(opened, opened.store.idle());
}

function close(opened: Opened): Promise<void> {
  return passed(opened, opened.store.close());
}

describe("a start that applied much of the log again", () => {
  test("flushes it a little later, once; the next start has nothing to apply", async () => {
    const disk = new MemoryDisk();
    const opened = await reopened(disk, MANY);
    opened.env.fake.advance(400);
    expect(opened.store.stats().flushes).toBe(0);
    opened.env.fake.advance(200);
    await settled(opened);
    opened.env.fake.advance(5000);
    await settled(opened);
    expect(opened.store.stats().flushes).toBe(1);
    await close(opened);
    const again = await openOn(disk);
    expect(again.store.stats().memtableBytes).toBeLessThan(10_000);
    expect([...again.store.range()]).toHaveLength(MANY);
    await close(again);
  });

  test("flushes it at once for who waits until nothing is left to do, and not again", async () => {
    const opened = await reopened(new MemoryDisk(), MANY);
    await settled(opened);
    expect(opened.store.stats().flushes).toBe(1);
    await passed(opened, opened.store.put("later", new Uint8Array(500)));
    opened.env.fake.advance(5000);
    await settled(opened);
    expect(opened.store.stats().flushes).toBe(1);
    await close(opened);
  });

  test("leaves it in the log where the store is closed before, or where it is little", async () => {
    const disk = new MemoryDisk();
    const closed = await reopened(disk, MANY);
    const { waiting } = closed.env.fake;
    await close(closed);
    closed.env.fake.advance(5000);
    expect([waiting > 0, closed.store.stats().flushes]).toEqual([true, 0]);
    const little = await reopened(new MemoryDisk(), FEW);
    little.env.fake.advance(5000);
    await settled(little);
    expect(little.store.stats().flushes).toBe(0);
    await close(little);
  });

  test("lets others have their turns meanwhile", async () => {
    expect(await turnsOfStart(2 * MANY)).toBeGreaterThan((await turnsOfStart(FEW)) + 1);
  });
});

/** How many turns a start takes where each is over at the next chance; so many puts are applied. */
async function turnsOfStart(count: number): Promise<number> {
  const disk = new MemoryDisk();
  const first = await openOn(disk);
  for (let i = 0; i < count; i++) void first.store.put(`key${1000 + i}`, new Uint8Array(500));
  await close(first);
  const env = envOf(disk);
  const { fake } = env;
  let turns = 0;
  let looks = 0;
  const clock = { monotonicMs: () => looks++ * 6, uptimeMs: () => 0, wallMs: () => 0 };
  const timers: Timers = {
    after: (delayMs, run) => fake.after(delayMs, run),
    endOfTurn: (run) => {
      turns++;
      setImmediate(run);
    },
  };
  const { store } = await openOn(disk, { ...env, clock, timers });
  expect([...store.range()]).toHaveLength(count);
  await passed({ env, store }, store.close());
  return turns;
}
