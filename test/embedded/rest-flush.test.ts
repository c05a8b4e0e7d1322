/** What a store flushes when nothing is written to it for a while. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { TimedStore, timedEnv } from "./timed-store.js";

const VALUE = new Uint8Array(500);
/** More than a quarter of the memtable, in one segment of the log. */
const MUCH = 200;
/** Each takes a block of the log: they fill a segment. */
const BLOCKS = 300;
const FEW = 20;
/** They fill a memtable, and leave much when that is flushed. */
const BEYOND = 650;
/** Of 256 KiB. */
const MUCH_BYTES = 64 * 1024;

/** A store whose flushes wait until they are let go. */
async function slowFlushes(): Promise<{ readonly opened: TimedStore; readonly letGo: () => void }> {
  const disk = new MemoryDisk();
  const env = timedEnv(disk);
  const held: (() => void)[] = [];
  let isHeld = true;
  const run = async (job: unknown): Promise<unknown> => {
    if (isHeld) await new Promise<void>((resolve) => held.push(resolve));
    return env.jobs.run(job);
  };
  const jobs = { run, close: (): Promise<void> => env.jobs.close() };
  const opened = await TimedStore.open(disk, { ...env, jobs });
  const letGo = (): void => {
    isHeld = false;
    for (const go of held) go();
  };
  return { opened, letGo };
}

/** More than a memtable, and less than two and a quarter: one is frozen, and much is left. */
async function putBeyond(opened: TimedStore): Promise<void> {
  for (let i = 0; i < BEYOND; i++) void opened.store.put(`key${i}`, VALUE, { sync: false });
  await opened.over(Promise.resolve());
}

async function put(opened: TimedStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await opened.over(opened.store.put(`key${1000 + i}`, VALUE, { sync: false }));
  }
}

describe("a store to which nothing is written for a while", () => {
  test("flushes much, once, and a start after a crash has nothing to apply", async () => {
    const disk = new MemoryDisk();
    const opened = await TimedStore.open(disk);
    await put(opened, MUCH);
    await opened.pass(400);
    expect(opened.flushes).toBe(0);
    await opened.pass(1000);
    expect(opened.flushes).toBe(1);
    await opened.pass(10_000);
    expect(opened.flushes).toBe(1);
    const again = await TimedStore.open(disk.crash(new Prng(1), "loseAll"));
    expect(again.store.stats().memtableBytes).toBeLessThan(10_000);
    expect([...again.store.range()]).toHaveLength(MUCH);
    await again.close();
  });

  test("flushes little, too, where it keeps a segment of the log that was left", async () => {
    const opened = await TimedStore.open(new MemoryDisk());
    for (let i = 0; i < BLOCKS; i++) {
      await opened.over(opened.store.put(`key${i}`, "1", { sync: true }));
    }
    await opened.pass(2000);
    expect(opened.flushes).toBe(1);
    await opened.close();
  });

  test("leaves little in the log", async () => {
    const opened = await TimedStore.open(new MemoryDisk());
    await put(opened, FEW);
    await opened.pass(10_000);
    expect(opened.flushes).toBe(0);
    await opened.close();
  });

  test("is one only when the writing is over", async () => {
    const opened = await TimedStore.open(new MemoryDisk());
    await put(opened, MUCH);
    for (let i = 0; i < 20; i++) {
      await put(opened, 1);
      await opened.pass(300);
    }
    expect(opened.flushes).toBe(0);
    await opened.pass(1000);
    expect(opened.flushes).toBe(1);
    await put(opened, MUCH);
    await opened.pass(2000);
    expect(opened.flushes).toBe(2);
    await opened.close();
  });

  test("flushes what was left when a flush ended that was under way", async () => {
    const { opened, letGo } = await slowFlushes();
    await putBeyond(opened);
    await opened.pass(5000);
    expect(opened.flushes).toBe(0);
    letGo();
    await opened.pass(10);
    expect(opened.store.stats().memtableBytes).toBeGreaterThan(MUCH_BYTES);
    await opened.pass(2000);
    expect(opened.store.stats().memtableBytes).toBeLessThan(MUCH_BYTES);
    await opened.close();
  });

  test("has nothing left to flush for who waits for that, either", async () => {
    const { opened, letGo } = await slowFlushes();
    await putBeyond(opened);
    const idle = opened.store.idle();
    await opened.pass(10);
    letGo();
    await opened.over(idle);
    expect(opened.store.stats().memtableBytes).toBeLessThan(MUCH_BYTES);
    await opened.close();
  });

  test("leaves alone what is closed", async () => {
    const opened = await TimedStore.open(new MemoryDisk());
    await put(opened, MUCH);
    await opened.close();
    await opened.idle();
    expect(opened.flushes).toBe(0);
  });

  test("runs no timer for it any more, nor once it is closed", async () => {
    const opened = await TimedStore.open(new MemoryDisk());
    await put(opened, FEW);
    await opened.pass(10_000);
    await opened.pass(10_000);
    const { waiting } = opened;
    await opened.over(opened.store.put("one", VALUE, { sync: true }));
    expect(opened.waiting).toBeGreaterThan(waiting);
    void opened.store.put("last", VALUE);
    await opened.close();
    expect(opened.waiting).toBe(0);
  });
});
