/** What callers without types may pass: it is refused, and nothing of it reaches the disk. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listBackups, openStore, restoreStore } from "../../src/embedded/index.js";
import type { BytesLike, EmbeddedOptions, WriteBatch } from "../../src/embedded/index.js";
import { OPERATION_OVERHEAD_BYTES } from "../../src/embedded/batch-format.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";
import { openOn } from "./embedded-bench.js";

/** A key of five bytes, and what frames a put. */
const PUT_OVERHEAD_BYTES = 5 + OPERATION_OVERHEAD_BYTES;

const REFUSED = { code: "invalidArgument", outcome: "notApplied" };

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-embedded-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("keys and values that are neither bytes nor text are refused", async () => {
  const store = await openStore(join(directory, "s"));
  const wrong = [2, { a: 1 }, undefined, null, [1, 2]] as unknown as readonly BytesLike[];
  for (const value of wrong) {
    await expect(store.put("k", value)).rejects.toMatchObject(REFUSED);
    await expect(store.put(value, "v")).rejects.toMatchObject(REFUSED);
    await expect(store.delete(value)).rejects.toMatchObject(REFUSED);
    expect(() => store.batch().put("k", value)).toThrow("keys and values are bytes or text");
    expect(() => store.get(value)).toThrow("keys and values are bytes or text");
  }
  await store.put("after", "1");
  await store.close();
  const again = await openStore(join(directory, "s"));
  expect([...again.range()]).toHaveLength(1);
  await again.close();
});

test.each([
  ["memtableBytesMax", [0, -1, 4095, 2 ** 30 + 1, 5000.5, NaN, "5000", true]],
  ["blockCacheBytes", [-1, 0.5, NaN, Infinity, {}]],
  ["scrubBytesPerSecond", [-1, NaN, 10n]],
  ["logSegmentSizeBytes", [0, 4096, 252 * 1024, 256 * 1024 + 1, 1e18, NaN]],
  ["sync", ["false", 0, null]],
])("%s that a store cannot have is refused, and nothing made", async (name, values) => {
  for (const value of values) {
    const options = { [name]: value } as unknown as EmbeddedOptions;
    await expect(openStore(join(directory, "s"), options)).rejects.toMatchObject(REFUSED);
  }
  expect(readdirSync(directory)).toEqual([]);
});

test("what names no directory is refused", async () => {
  const disk = new MemoryDisk();
  const store = await openOn(disk);
  for (const wrong of ["", undefined, 5, null, {}] as readonly unknown[] as readonly string[]) {
    await expect(openOn(new MemoryDisk(), {}, wrong ?? "")).rejects.toMatchObject(REFUSED);
    await expect(store.checkpoint(wrong)).rejects.toMatchObject(REFUSED);
    await expect(store.backup(wrong)).rejects.toMatchObject(REFUSED);
    await expect(restoreStore(directory, wrong)).rejects.toMatchObject(REFUSED);
    await expect(listBackups(wrong)).rejects.toMatchObject(REFUSED);
  }
  await store.close();
});

test("what is written is a batch, which nobody can change from outside", async () => {
  const disk = new MemoryDisk();
  const store = await openOn(disk);
  const bytes = new Uint8Array(20).fill(9);
  const wrong = [new Map(), {}, undefined, { bytes, length: 20 }, { bytes, length: NaN }];
  for (const batch of wrong as readonly unknown[] as readonly WriteBatch[]) {
    await expect(store.write(batch)).rejects.toMatchObject(REFUSED);
  }
  const batch = store.batch().put("key", "value");
  expect(() => Object.assign(batch, { length: -5 })).toThrow(TypeError);
  await store.write(batch);
  await store.close();
  const again = await openOn(disk);
  expect([...again.range()]).toHaveLength(1);
  await again.close();
});

test("a limit that is none is refused", async () => {
  const store = await openOn(new MemoryDisk());
  await store.put("key", "value");
  for (const limit of [NaN, -1, "x"] as readonly unknown[] as readonly number[]) {
    expect(() => store.range({ limit })).toThrow("limit is a number that is not negative");
  }
  expect([...store.range({ limit: 0 })]).toHaveLength(0);
  expect([...store.range({ limit: Infinity })]).toHaveLength(1);
  await store.close();
});

test.each([
  ["of the smallest segments", 256 * 1024, 64 * 1024],
  ["of the usual segments", undefined, 4 * 1024 * 1024],
])("the largest batches %s always find room in one", async (_, logSegmentSizeBytes, bound) => {
  const disk = new MemoryDisk();
  const job = (job: unknown): unknown => runStoreJob(disk, job as StoreJob);
  const env = testEnv({ disk, time: "real", job });
  const store = await EmbeddedStore.open(env, "/embedded", { logSegmentSizeBytes });
  const value = new Uint8Array(bound - PUT_OVERHEAD_BYTES);
  for (let i = 0; i < 12; i++) await store.put(`key${10 + i}`, value);
  const tooLarge = store.put("key10", new Uint8Array(value.length + 1));
  await expect(tooLarge).rejects.toThrow(`a batch has at most ${bound} bytes`);
  await store.close();
  const again = await EmbeddedStore.open(env, "/embedded", { logSegmentSizeBytes });
  const lengths = [...again.range()].map(([, found]) => found.length);
  expect(lengths).toEqual(Array.from({ length: 12 }, () => value.length));
  await again.close();
});

test("a store that is open already says so", async () => {
  const store = await openStore(join(directory, "s"));
  await expect(openStore(join(directory, "s"))).rejects.toMatchObject({
    code: "unavailable",
    outcome: "notApplied",
    message: expect.stringContaining("is in use") as string,
  });
  await store.close();
});
