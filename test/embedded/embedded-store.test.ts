/** The embedded store against a sorted map, and what it says where it refuses. */
import { describe, expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { concatBytes, utf8 } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import type { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { Reader } from "../../src/embedded/embedded-types.js";
import type { Snapshot } from "../../src/embedded/snapshot.js";
import { checkStore } from "../../src/store/store-check.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { DIRECTORY, Model, openOn } from "./embedded-bench.js";

type Write =
  | { readonly kind: "put"; readonly key: string; readonly size: number }
  | { readonly kind: "delete"; readonly key: string };

type Step =
  | { readonly kind: "write"; readonly writes: readonly Write[]; readonly sync: boolean }
  | { readonly kind: "snapshot" | "release" | "reopen" | "idle" | "checkpoint" };

const keys = fc.nat(40).map((n) => (n % 3 === 0 ? `k${n}` : `key/${"x".repeat(n % 5)}${n}`));

const writes: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: keys,
      size: fc.constantFrom(0, 3, 100, 1500, 5000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), key: keys }) },
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      writes: fc.array(writes, { minLength: 1, maxLength: 8 }),
      sync: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Step>({ kind: "snapshot" }, { kind: "release" }, { kind: "idle" }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: "reopen" }, { kind: "checkpoint" }) },
);

/** One write goes by put or delete, more of them as a batch. */
async function apply(
  store: EmbeddedStore,
  model: Model,
  step: Step & { readonly kind: "write" },
  fill: number,
): Promise<void> {
  const { sync } = step;
  const batch = store.batch();
  const single = step.writes.length === 1;
  for (const write of step.writes) {
    if (write.kind === "put") {
      const value = new Uint8Array(write.size).fill(fill);
      model.put(write.key, value);
      if (single) await store.put(write.key, value, { sync });
      else batch.put(write.key, value);
    } else {
      model.delete(write.key);
      if (single) await store.delete(write.key, { sync });
      else batch.delete(write.key);
    }
  }
  if (!single) await store.write(batch, { sync });
}

function check(reader: Reader, model: Model, start: string, end: string): void {
  expect([...reader.range()]).toEqual(model.range());
  expect([...reader.range({ reverse: true })]).toEqual(model.range().toReversed());
  expect([...reader.range({ start, end })]).toEqual(model.range(start, end));
  const limited = [...reader.range({ start, end, reverse: true, limit: 3 })];
  expect(limited).toEqual(model.range(start, end).toReversed().slice(0, 3));
  for (const key of [start, end]) expect(reader.get(key)).toEqual(model.get(key));
  const cursor = reader.cursor();
  cursor.seek(start);
  const [first] = model.range(start);
  expect(cursor.next() ? [cursor.key(), cursor.value()] : undefined).toEqual(first);
  cursor.close();
}

interface World {
  readonly disk: MemoryDisk;
  store: EmbeddedStore;
  readonly model: Model;
  readonly snapshots: { readonly snapshot: Snapshot; readonly model: Model }[];
}

async function take(world: World, step: Step, at: number): Promise<void> {
  const { disk, model, snapshots } = world;
  switch (step.kind) {
    case "write":
      await apply(world.store, model, step, at);
      break;
    case "snapshot":
      snapshots.push({ snapshot: world.store.snapshot(), model: model.copy() });
      break;
    case "release":
      snapshots.shift()?.snapshot.release();
      break;
    case "idle":
      await world.store.idle();
      break;
    case "reopen":
      snapshots.length = 0;
      await world.store.close();
      world.store = await openOn(disk);
      break;
    case "checkpoint": {
      const directory = `/copy-${at}`;
      await world.store.checkpoint(directory);
      const copy = await openOn(disk, {}, directory);
      expect([...copy.range()]).toEqual(model.range());
      await copy.put("only", "here");
      await copy.close();
      break;
    }
  }
}

function cutTo(disk: MemoryDisk, path: string, length: number): void {
  disk.setContent(path, disk.content(path).slice(0, length));
}

describe("the embedded store", () => {
  test.prop([fc.array(steps, { maxLength: 50 }), keys, keys], { numRuns: 25 })(
    "answers like a sorted map, now and as it was",
    async (list, start, end) => {
      const disk = new MemoryDisk();
      const store = await openOn(disk);
      const world: World = { disk, store, model: new Model(), snapshots: [] };
      for (const [at, step] of list.entries()) await take(world, step, at);
      check(world.store, world.model, start, end);
      for (const { snapshot, model } of world.snapshots) check(snapshot, model, start, end);
      await world.store.close();
    },
  );

  test("a cursor shows the moment of its making, whatever is written, flushed and merged", async () => {
    const store = await openOn(new MemoryDisk(), { sync: false });
    for (let i = 0; i < 500; i++) await store.put(`key${1000 + i}`, `old${i}`);
    const forward = store.cursor();
    const backward = store.cursor({ reverse: true });
    const seen: string[] = [];
    for (let i = 0; i < 500; i++) {
      expect([forward.next(), backward.next()]).toEqual([true, true]);
      seen.push(new TextDecoder().decode(forward.value()));
      expect(new TextDecoder().decode(backward.value())).toBe(`old${499 - i}`);
      await store.put(`key${1000 + ((i * 7) % 500)}`, new Uint8Array(300));
      await store.delete(`key${1000 + ((i * 3) % 500)}`);
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => `old${i}`));
    expect(store.stats().flushes).toBeGreaterThan(2);
    expect(forward.next()).toBe(false);
    await store.close();
    expect(() => forward.next()).toThrow("the cursor is closed");
  });

  test("numbers tell what was written and read, and what a cursor alone keeps", async () => {
    const store = await openOn(new MemoryDisk(), { sync: false });
    for (let i = 0; i < 600; i++) await store.put(`key${i % 100}`, new Uint8Array(500));
    await store.idle();
    const written = store.stats();
    expect(written.logBytesWritten).toBeGreaterThan(600 * 500);
    expect(written.tableBytesWritten).toBeGreaterThanOrEqual(written.tableBytes);
    expect([written.pinnedBytes, written.blocksRead]).toEqual([0, 0]);
    const cursor = store.cursor();
    cursor.next();
    expect(store.stats().blocksRead).toBeGreaterThan(0);
    for (let i = 0; i < 600; i++) await store.put(`key${i % 100}`, new Uint8Array(500));
    await store.idle();
    expect(store.stats().pinnedBytes).toBeGreaterThan(0);
    cursor.close();
    await store.idle();
    expect(store.stats().pinnedBytes).toBe(0);
    await store.close();
  });

  test("old versions go when no snapshot shows them", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk, { sync: false });
    for (let i = 0; i < 3000; i++) await store.put(`key${i % 10}`, new Uint8Array(200));
    await store.checkpoint("/copy");
    const { tableBytes } = (await openOn(disk, {}, "/copy")).stats();
    expect(tableBytes).toBeLessThan(100_000);
    await store.close();
  });

  test("refuses what it cannot take, and says that nothing happened", async () => {
    const store = await openOn(new MemoryDisk());
    const notApplied = (code: string): object => ({ name: "KvError", code, outcome: "notApplied" });
    await expect(store.put("", "x")).rejects.toMatchObject(notApplied("keyEmpty"));
    const long = new Uint8Array(64 * 1024 + 1);
    await expect(store.put(long, "x")).rejects.toMatchObject(notApplied("keyTooLarge"));
    const large = new Uint8Array(1024 * 1024);
    const tooLarge = await store.put("x", large).catch((error) => error);
    expect(tooLarge).toMatchObject(notApplied("requestTooLarge"));
    const largest = large.subarray(0, tooLarge.details.bound - 20);
    await store.put("x", largest);
    expect(store.get("x")).toEqual(largest);
    await store.close();
    await expect(store.put("x", "y")).rejects.toMatchObject(notApplied("closed"));
    expect(() => store.get("x")).toThrow("the store is closed");
  });

  test("a full disk refuses writes, loses none and takes them again", async () => {
    const disk = new MemoryDisk({ quotaBytes: 2 * 1024 * 1024 });
    const store = await openOn(disk, { sync: false });
    let written = 0;
    let refused: unknown = undefined;
    for (; refused === undefined && written < 50_000; written++) {
      refused = await store.put(`key${written}`, new Uint8Array(500)).catch((error) => error);
    }
    expect(refused).toMatchObject({ code: "noSpace", outcome: "notApplied" });
    expect([...store.range()]).toHaveLength(written - 1);
    await store.close();
  });

  test("a write that waits for a flush does not wait for room on the disk", async () => {
    const disk = new MemoryDisk({ quotaBytes: 2 * 1024 * 1024 });
    const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
    const store = await openOn(disk, { sync: false }, DIRECTORY, aWhile);
    let written = 0;
    let refused: unknown = undefined;
    for (; refused === undefined && written < 50_000; written++) {
      refused = await store.put(`key${written}`, new Uint8Array(500)).catch((error) => error);
    }
    expect(refused).toMatchObject({ code: "noSpace", outcome: "notApplied" });
    await store.close();
  });

  test("a failed disk rejects what waits with an unknown outcome, and refuses the rest", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await store.put("a", "1");
    disk.inject({ code: "io", operation: "write", times: Infinity });
    const lost = store.put("b", "2");
    await expect(lost).rejects.toMatchObject({ code: "unavailable", outcome: "unknown" });
    const refused = { code: "unavailable", outcome: "notApplied" };
    await expect(store.put("c", "3")).rejects.toMatchObject(refused);
  });

  test("damage in the log that no table covers is found at the start, not passed over", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    for (let i = 0; i < 50; i++)
      await store.put(`key${i}`, concatBytes(utf8("value"), utf8(`${i}`)));
    await store.close();
    const [segment] = disk.list("/embedded/log");
    for (let byte = 4 * 4096; byte < 12 * 4096; byte += 100) {
      disk.flipBit(`/embedded/log/${segment}`, byte * 8);
    }
    await expect(openOn(disk)).rejects.toMatchObject({ code: "corrupt" });
  });

  test.each([
    ["gone", (disk: MemoryDisk, path: string) => disk.remove(path)],
    ["cut", (disk: MemoryDisk, path: string) => cutTo(disk, path, 4 * 4096)],
    ["zeros", (disk: MemoryDisk, path: string) => disk.setContent(path, new Uint8Array(4096))],
  ])(
    "a log whose files are %s after a close is missed, by a look and by a start",
    async (_, harm) => {
      const disk = new MemoryDisk();
      const store = await openOn(disk);
      for (let i = 0; i < 50; i++) await store.put(`key${i}`, "value");
      await store.close();
      expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
      for (const name of disk.list(`${DIRECTORY}/log`)) {
        if (name.endsWith(".log")) harm(disk, `${DIRECTORY}/log/${name}`);
      }
      const { findings } = checkStore(disk, DIRECTORY);
      expect(findings.filter(({ isDamage }) => isDamage)).not.toEqual([]);
      await expect(openOn(disk)).rejects.toMatchObject({ code: "corrupt" });
    },
  );

  test.each(["killed", "closed"])("a %s store without its log is no new one", async (how) => {
    const first = new MemoryDisk();
    const store = await openOn(first);
    await store.put("key", "value");
    if (how === "closed") await store.close();
    const disk = first.crash(new Prng(1), "keepAll");
    for (const name of disk.list(`${DIRECTORY}/log`)) disk.remove(`${DIRECTORY}/log/${name}`);
    const { findings } = checkStore(disk, DIRECTORY);
    expect(findings.map(({ what }) => what)).toEqual(["the log of shard 1 is not there"]);
    for (let start = 1; start <= 3; start++) {
      await expect(openOn(disk)).rejects.toMatchObject({ code: "corrupt" });
    }
    await store.close();
  });

  test("an older log in place of its own is found at the start, not at the first write", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await store.put("a", "1");
    await store.close();
    const [segment] = disk.list(`${DIRECTORY}/log`);
    const path = `${DIRECTORY}/log/${segment}`;
    const older = disk.content(path).slice();
    const again = await openOn(disk);
    await again.put("b", "2");
    await again.checkpoint("/flushes");
    await again.close();
    for (const name of disk.list(`${DIRECTORY}/log`)) disk.remove(`${DIRECTORY}/log/${name}`);
    disk.setContent(path, older);
    await expect(openOn(disk)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("a checkpoint that could not be started is no store without its log", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await store.put("key", "value");
    await store.checkpoint("/copy");
    await store.close();
    for (let start = 1; start <= 3; start++) {
      disk.inject({ code: "noSpace", operation: "write", pathPart: "/copy/log", times: Infinity });
      await expect(openOn(disk, {}, "/copy")).rejects.toMatchObject({ code: "noSpace" });
      disk.clearFaults();
    }
    const copy = await openOn(disk, {}, "/copy");
    expect([...copy.range()]).toHaveLength(1);
    await copy.close();
    expect(checkStore(disk, "/copy").findings).toEqual([]);
  });

  test("a log that is lost as a whole is so at every start", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await store.put("key", "value");
    await store.close();
    const path = `/embedded/log/${disk.list("/embedded/log")[0]}`;
    const bytes = disk.content(path);
    const last = bytes.findLastIndex((byte) => byte !== 0);
    // Only the marker is left, which promises what was before it and names no shard.
    bytes.fill(0xee, 4096, last - (last % 4096));
    disk.setContent(path, bytes);
    for (let start = 1; start <= 3; start++) {
      await expect(openOn(disk)).rejects.toMatchObject({ code: "corrupt" });
    }
  });
});
