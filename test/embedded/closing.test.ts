/** What the end of an embedded store tells those who wrote last. */
import { describe, expect, test } from "vitest";
import { KvError } from "../../src/protocol/errors.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { EmbeddedOptions } from "../../src/embedded/embedded-types.js";
import { openOn } from "./embedded-bench.js";

/** Of each key, once its write has settled. */
type Answers = Map<string, "written" | KvError>;

/** So large that nothing is flushed: the log alone has what was written. */
const UNFLUSHED: EmbeddedOptions = { sync: false, memtableBytesMax: 4 * 1024 * 1024 };

/** Writes without waiting, in one turn. */
function burst(store: EmbeddedStore, count: number): Answers {
  const answers: Answers = new Map();
  for (let i = 0; i < count; i++) {
    const key = `key${10_000 + i}`;
    store.put(key, new Uint8Array(500)).then(
      () => answers.set(key, "written"),
      (error) => answers.set(key, KvError.from(error)),
    );
  }
  return answers;
}

describe("closing an embedded store", () => {
  test("settles writes that waited for a flush: they are durable", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk, { sync: false });
    const answers = burst(store, 600);
    await store.close();
    await Promise.resolve();
    expect(new Set(answers.values())).toEqual(new Set(["written"]));
    const reopened = await openOn(disk);
    expect([...reopened.range()]).toHaveLength(600);
    await reopened.close();
  });

  test("rejects where a full disk took writes that had settled", async () => {
    const disk = new MemoryDisk({ quotaBytes: 600 * 1024 });
    const store = await openOn(disk, UNFLUSHED);
    const answers = burst(store, 1500);
    await Promise.resolve();
    const lost = { name: "KvError", code: "noSpace", outcome: "unknown" };
    await expect(store.close()).rejects.toMatchObject(lost);
    await expect(store.close()).rejects.toMatchObject(lost);
    expect(new Set(answers.values())).toEqual(new Set(["written"]));
    disk.quotaBytes = Infinity;
    const reopened = await openOn(disk);
    expect([...reopened.range()].length).toBeLessThan(1500);
    await reopened.close();
  });

  test("rejects delayed writes that a full disk did not take, not knowing of them", async () => {
    const disk = new MemoryDisk({ quotaBytes: 600 * 1024 });
    const store = await openOn(disk, { sync: false });
    const answers = burst(store, 1500);
    const lost = { name: "KvError", code: "noSpace", outcome: "unknown" };
    await expect(store.close()).rejects.toMatchObject(lost);
    expect(answers.size).toBe(1500);
    const rejected = [...answers.values()].filter((answer) => answer !== "written");
    expect(rejected).not.toEqual([]);
    for (const answer of rejected) expect(answer).toMatchObject(lost);
  });

  test("makes everything durable on a disk that has room again", async () => {
    const disk = new MemoryDisk({ quotaBytes: 600 * 1024 });
    const store = await openOn(disk, UNFLUSHED);
    burst(store, 1500);
    const refused = (): Promise<unknown> => store.put("more", "x").catch((error) => error.code);
    await expect.poll(refused).toBe("noSpace");
    disk.quotaBytes = Infinity;
    await store.close();
    const reopened = await openOn(disk);
    expect([...reopened.range({ end: "more" })]).toHaveLength(1500);
    await reopened.close();
  });
});
