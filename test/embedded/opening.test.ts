/** What a start leaves to the next one. */
import { describe, expect, test } from "vitest";
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

async function openOn(disk: MemoryDisk): Promise<Opened> {
  const job = (job: unknown): unknown => runStoreJob(disk, job as StoreJob | CheckJob);
  const env = testEnv({ disk, job });
  const store = await EmbeddedStore.open(env, "/embedded", {
    memtableBytesMax: MEMTABLE_BYTES_MAX,
    logSegmentSizeBytes: 1024 * 1024,
    scrubBytesPerSecond: 0,
  });
  return { env, store };
}

/** A store whose log holds so many writes of 500 bytes, and no table. */
async function reopened(disk: MemoryDisk, count: number): Promise<Opened> {
  const { store } = await openOn(disk);
  const batch = store.batch();
  for (let i = 0; i < count; i++) batch.put(`key${1000 + i}`, new Uint8Array(500));
  await store.write(batch);
  await store.close();
  return openOn(disk);
}

async function settled({ env, store }: Opened): Promise<void> {
  let isIdle = false;
  const idle = store.idle().then(() => {
    isIdle = true;
  });
  await turnsUntil(() => {
    env.fake.endTurn();
    return isIdle;
  });
  await idle;
}

describe("a start that applied much of the log again", () => {
  test("flushes it a little later, once; the next start has nothing to apply", async () => {
    const disk = new MemoryDisk();
    const opened = await reopened(disk, MANY);
    opened.env.fake.advance(400);
    await settled(opened);
    expect(opened.store.stats().flushes).toBe(0);
    opened.env.fake.advance(200);
    await settled(opened);
    opened.env.fake.advance(5000);
    await settled(opened);
    expect(opened.store.stats().flushes).toBe(1);
    await opened.store.close();
    const { store } = await openOn(disk);
    expect(store.stats().memtableBytes).toBeLessThan(10_000);
    expect([...store.range()]).toHaveLength(MANY);
    await store.close();
  });

  test("leaves it in the log where the store is closed before, or where it is little", async () => {
    const disk = new MemoryDisk();
    const closed = await reopened(disk, MANY);
    const { waiting } = closed.env.fake;
    await closed.store.close();
    closed.env.fake.advance(5000);
    expect([waiting > 0, closed.store.stats().flushes]).toEqual([true, 0]);
    const little = await reopened(new MemoryDisk(), FEW);
    little.env.fake.advance(5000);
    await settled(little);
    expect(little.store.stats().flushes).toBe(0);
    await little.store.close();
  });
});
