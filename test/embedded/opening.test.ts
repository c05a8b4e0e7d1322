/** What a start leaves to the next one. */
import { describe, expect, test } from "vitest";
import type { Timers } from "../../src/env/timers.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { TimedStore, timedEnv } from "./timed-store.js";

const MANY = 200;
const FEW = 20;

/** A store whose log holds so many writes of 500 bytes, and no table. */
async function reopened(disk: MemoryDisk, count: number): Promise<TimedStore> {
  const opened = await TimedStore.open(disk);
  const batch = opened.store.batch();
  for (let i = 0; i < count; i++) batch.put(`key${1000 + i}`, new Uint8Array(500));
  await opened.over(opened.store.write(batch));
  await opened.close();
  return TimedStore.open(disk);
}

describe("a start that applied much of the log again", () => {
  test("flushes it a little later, once; the next start has nothing to apply", async () => {
    const disk = new MemoryDisk();
    const opened = await reopened(disk, MANY);
    await opened.pass(400);
    expect(opened.flushes).toBe(0);
    await opened.pass(200);
    expect(opened.flushes).toBe(1);
    await opened.pass(5000);
    expect(opened.flushes).toBe(1);
    await opened.close();
    const again = await TimedStore.open(disk);
    expect(again.store.stats().memtableBytes).toBeLessThan(10_000);
    expect([...again.store.range()]).toHaveLength(MANY);
    await again.close();
  });

  test("flushes it at once for who waits until nothing is left to do, and not again", async () => {
    const opened = await reopened(new MemoryDisk(), MANY);
    await opened.idle();
    expect(opened.flushes).toBe(1);
    await opened.over(opened.store.put("later", new Uint8Array(500)));
    await opened.pass(5000);
    expect(opened.flushes).toBe(1);
    await opened.close();
  });

  test("leaves it in the log where the store is closed before, or where it is little", async () => {
    const disk = new MemoryDisk();
    const closed = await reopened(disk, MANY);
    const { waiting } = closed;
    await closed.close();
    await closed.pass(5000);
    expect([waiting > 0, closed.flushes]).toEqual([true, 0]);
    const little = await reopened(new MemoryDisk(), FEW);
    await little.pass(5000);
    expect(little.flushes).toBe(0);
    await little.close();
  });

  test("lets others have their turns meanwhile", async () => {
    expect(await turnsOfStart(2 * MANY)).toBeGreaterThan((await turnsOfStart(FEW)) + 1);
  });
});

/** How many turns a start takes where each is over at the next chance; so many puts are applied. */
async function turnsOfStart(count: number): Promise<number> {
  const disk = new MemoryDisk();
  const first = await TimedStore.open(disk);
  for (let i = 0; i < count; i++) void first.store.put(`key${1000 + i}`, new Uint8Array(500));
  await first.close();
  const env = timedEnv(disk);
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
  const opened = await TimedStore.open(disk, { ...env, clock, timers });
  expect([...opened.store.range()]).toHaveLength(count);
  await opened.close();
  return turns;
}
