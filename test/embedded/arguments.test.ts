/** What callers without types may pass: it is refused, and nothing of it reaches the disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStore } from "../../src/embedded/index.js";
import type { BytesLike } from "../../src/embedded/index.js";
import { OPERATION_OVERHEAD_BYTES } from "../../src/embedded/batch-format.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";

/** A key of five bytes, and what frames a put. */
const PUT_OVERHEAD_BYTES = 5 + OPERATION_OVERHEAD_BYTES;

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-embedded-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("keys and values that are neither bytes nor text are refused", async () => {
  const store = await openStore(join(directory, "s"));
  const wrong = [2, { a: 1 }, undefined, null, [1, 2]] as unknown as readonly BytesLike[];
  for (const value of wrong) {
    const refusal = { code: "invalidArgument", outcome: "notApplied" };
    await expect(store.put("k", value)).rejects.toMatchObject(refusal);
    await expect(store.put(value, "v")).rejects.toMatchObject(refusal);
    await expect(store.delete(value)).rejects.toMatchObject(refusal);
    expect(() => store.batch().put("k", value)).toThrow("keys and values are bytes or text");
    expect(() => store.get(value)).toThrow("keys and values are bytes or text");
  }
  await store.put("after", "1");
  await store.close();
  const again = await openStore(join(directory, "s"));
  expect([...again.range()]).toHaveLength(1);
  await again.close();
});

test("a segment size that the log cannot have is refused", async () => {
  for (const logSegmentSizeBytes of [0, 4096, 252 * 1024, 256 * 1024 + 1, NaN]) {
    await expect(openStore(join(directory, "s"), { logSegmentSizeBytes })).rejects.toMatchObject({
      code: "invalidArgument",
      outcome: "notApplied",
    });
  }
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
