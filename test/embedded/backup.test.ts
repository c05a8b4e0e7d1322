/** Backups of an embedded store: what a later one shares, and what a restore makes of one. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { concatBytes, utf8Text } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/checksum.js";
import { writeU32 } from "../../src/base/coding.js";
import { Backups } from "../../src/embedded/backups.js";
import type { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { checkStore } from "../../src/store/store-check.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";
import { DIRECTORY, openOn } from "./embedded-bench.js";

const BACKUPS = "/backups";

function backupsOn(disk: MemoryDisk): Backups {
  const job = (each: unknown): unknown => runStoreJob(disk, each as StoreJob | CheckJob);
  return new Backups(testEnv({ disk, time: "real", job, seed: 77 }), BACKUPS);
}

/** Keys `<name>0` to `<name><count>`, and then a table of them. */
async function fill(store: EmbeddedStore, name: string, count = 40): Promise<void> {
  for (let i = 0; i < count; i++) {
    await store.put(`${name}${i}`, `${name} of ${i} `.repeat(10), { sync: false });
  }
}

function namesIn(store: EmbeddedStore): string[] {
  return [...new Set([...store.range()].map(([key]) => utf8Text(key).replace(/\d+$/, "")))];
}

function tablesIn(disk: MemoryDisk): readonly string[] {
  return disk.list(`${BACKUPS}/tables`);
}

async function restored(disk: MemoryDisk, number: number | undefined): Promise<string[]> {
  const target = `/restored-${number ?? "newest"}`;
  await backupsOn(disk).restore(target, number);
  const store = await openOn(disk, {}, target);
  const names = namesIn(store);
  await store.put("more", "than was there");
  await store.close();
  const damage = checkStore(disk, target).findings.filter(({ isDamage }) => isDamage);
  return damage.length > 0 ? damage.map(({ what }) => what) : names;
}

describe("a backup", () => {
  test("is not made in a store, whose tables it would take for its own", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    const refusal = { code: "invalidArgument", outcome: "notApplied" };
    for (const inside of [DIRECTORY, `${DIRECTORY}/tables/backups`]) {
      await expect(store.backup(inside)).rejects.toMatchObject(refusal);
    }
    await fill(store, "b");
    await store.close();
    const again = await openOn(disk);
    expect(namesIn(again)).toEqual(["a", "b"]);
    await again.close();
  });

  test("is removed only by its number", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    await store.backup(BACKUPS);
    const backups = backupsOn(disk);
    for (const wrong of [undefined, NaN, "1", 2] as readonly unknown[] as readonly number[]) {
      expect(() => backups.remove(wrong)).toThrow("backup");
    }
    expect(backups.list()).toHaveLength(1);
    await store.close();
  });

  test("copies what no earlier one has, and each is restored as it was", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    const first = await store.backup(BACKUPS);
    expect(first).toMatchObject({ number: 1, copiedTables: 1, sharedTables: 0 });
    const again = await store.backup(BACKUPS);
    expect(again).toEqual({ number: 2, copiedTables: 0, copiedBytes: 0, sharedTables: 1 });
    await fill(store, "b");
    const third = await store.backup(BACKUPS);
    expect(third).toMatchObject({ number: 3, copiedTables: 1, sharedTables: 1 });
    await store.put("later", "than the backup");
    await store.close();
    const list = backupsOn(disk).list();
    expect(list.map(({ number, tables }) => [number, tables])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
    ]);
    expect(await restored(disk, 1)).toEqual(["a"]);
    expect(await restored(disk, undefined)).toEqual(["a", "b"]);
    expect(await backupsOn(disk).check()).toEqual([]);
  });

  test("does not share the fate of the store", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    await store.backup(BACKUPS);
    await store.close();
    for (const name of disk.list(`${DIRECTORY}/tables`))
      disk.flipBit(`${DIRECTORY}/tables/${name}`, 999);
    expect(await backupsOn(disk).check(1)).toEqual([]);
    expect(await restored(disk, 1)).toEqual(["a"]);
  });

  test("is of all stores that are put there, and each is restored from its own", async () => {
    const disk = new MemoryDisk();
    for (const name of ["a", "b"]) {
      const store = await openOn(disk, {}, `/store-${name}`);
      await fill(store, name);
      await store.backup(BACKUPS);
      await store.close();
    }
    expect(await restored(disk, 1)).toEqual(["a"]);
    expect(await restored(disk, 2)).toEqual(["b"]);
  });

  test("that is removed takes only what no other needs", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    await store.backup(BACKUPS);
    await fill(store, "b");
    await store.backup(BACKUPS);
    await store.close();
    const backups = backupsOn(disk);
    backups.remove(1);
    expect(tablesIn(disk)).toHaveLength(2);
    expect(await restored(disk, 2)).toEqual(["a", "b"]);
    backups.remove(2);
    expect(tablesIn(disk)).toEqual([]);
    expect(() => backups.remove(2)).toThrow("there is no backup 2");
    await expect(backups.restore("/nothing")).rejects.toMatchObject({ code: "invalidArgument" });
  });
});

describe("a damaged file", () => {
  async function backedUp(): Promise<MemoryDisk> {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    await store.backup(BACKUPS);
    await store.close();
    return disk;
  }

  test("of the store does not get into a backup", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk, { scrubBytesPerSecond: 0 });
    await fill(store, "a");
    await store.checkpoint("/flushed");
    disk.flipBit(`${DIRECTORY}/tables/${disk.list(`${DIRECTORY}/tables`)[0]!}`, 999);
    await expect(store.backup(BACKUPS)).rejects.toMatchObject({ code: "corrupt" });
    expect(backupsOn(disk).list()).toEqual([]);
    expect(tablesIn(disk)).toEqual([]);
    await store.close();
  });

  test("of a backup is named, and is not restored", async () => {
    const disk = await backedUp();
    const [name] = tablesIn(disk);
    disk.flipBit(`${BACKUPS}/tables/${name!}`, 999);
    const backups = backupsOn(disk);
    expect(await backups.check(1)).toHaveLength(1);
    await expect(backups.restore("/target", 1)).rejects.toMatchObject({ code: "corrupt" });
    expect(disk.exists("/target/identity")).toBe(false);
    disk.remove(`${BACKUPS}/tables/${name!}`);
    expect((await backups.check(1))[0]).toContain("not there");
  });

  test("of a listing is never taken for another, and keeps its tables", async () => {
    const disk = await backedUp();
    disk.flipBit(`${BACKUPS}/backup-1`, 600);
    const backups = backupsOn(disk);
    expect(() => backups.list()).toThrow("checksum");
    await expect(backups.restore("/target")).rejects.toMatchObject({ code: "corrupt" });
    expect(disk.exists("/target")).toBe(false);
    disk.rename(`${BACKUPS}/backup-1`, `${BACKUPS}/backup-2`);
    const store = await openOn(disk);
    expect(await store.backup(BACKUPS)).toMatchObject({ number: 3 });
    await store.close();
    expect(() => backups.remove(3)).toThrow("checksum");
    expect(tablesIn(disk)).toHaveLength(1);
  });

  test("of an earlier version of the listing is not one", async () => {
    const disk = await backedUp();
    const path = `${BACKUPS}/backup-1`;
    const now = disk.content(path);
    // Version 1 had no word about a cluster behind the store's id.
    const content = concatBytes(now.subarray(0, 56), now.subarray(60, now.length - 4));
    writeU32(content, 4, 1);
    const checksum = new Uint8Array(4);
    writeU32(checksum, 0, crc32(content));
    disk.setContent(path, concatBytes(content, checksum));
    expect(backupsOn(disk).list()).toMatchObject([{ number: 1, tables: 1 }]);
    expect(await restored(disk, 1)).toEqual(["a"]);
  });

  test("restores into no directory that holds something", async () => {
    const disk = await backedUp();
    const refused = { code: "invalidArgument", outcome: "notApplied" };
    await expect(backupsOn(disk).restore(DIRECTORY)).rejects.toMatchObject(refused);
    const store = await openOn(disk);
    expect(namesIn(store)).toEqual(["a"]);
    await store.close();
  });
});

describe("a disk that fails a backup", () => {
  test("leaves the store as it is, and the next backup goes on", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await fill(store, "a");
    disk.inject({ code: "noSpace", operation: "write", pathPart: BACKUPS });
    await expect(store.backup(BACKUPS)).rejects.toMatchObject({ code: "noSpace" });
    disk.inject({ code: "io", operation: "sync", pathPart: BACKUPS });
    await expect(store.backup(BACKUPS)).rejects.toMatchObject({ code: "unavailable" });
    expect(tablesIn(disk)).toEqual([]);
    await store.put("b", "goes on");
    expect(await store.backup(BACKUPS)).toMatchObject({ number: 1 });
    await store.close();
    expect(await restored(disk, 1)).toEqual(["a", "b"]);
  });

  test("by losing power leaves earlier backups whole, and this one whole or absent", async () => {
    const operations = await operationsOf(new MemoryDisk());
    expect(operations).toBeGreaterThan(5);
    const found = new Set<number>();
    for (let halt = 1; halt <= operations; halt++) {
      const disk = new MemoryDisk();
      const store = await twice(disk);
      disk.haltAt(disk.operations + halt);
      await Promise.race([store.backup(BACKUPS).catch(() => undefined), halted(disk)]);
      const survivor = disk.crash(new Prng(halt), halt % 2 === 0 ? "loseAll" : "mixed");
      const backups = backupsOn(survivor);
      const numbers = backups.list().map(({ number }) => number);
      found.add(numbers.length);
      for (const number of numbers) {
        expect(await backups.check(number)).toEqual([]);
        expect(await restored(survivor, number)).toEqual(number === 1 ? ["a"] : ["a", "b"]);
      }
      const again = await openOn(survivor);
      const { number } = await again.backup(BACKUPS);
      expect(number).toBe(numbers.length + 1);
      await again.close();
      expect(tablesIn(survivor).filter((name) => name.endsWith(".draft"))).toEqual([]);
      expect(await backups.check(number)).toEqual([]);
    }
    expect(found).toEqual(new Set([1, 2]));
  });

  test("in a restore leaves no store, or a whole one", async () => {
    const origin = new MemoryDisk();
    const store = await twice(origin);
    await store.close();
    const operations = await (async () => {
      const disk = origin.crash(new Prng(1), "loseAll");
      const before = disk.operations;
      await backupsOn(disk).restore("/target", 1);
      return disk.operations - before;
    })();
    const outcomes = new Set<boolean>();
    for (let halt = 1; halt <= operations; halt++) {
      const disk = origin.crash(new Prng(1), "loseAll");
      disk.haltAt(disk.operations + halt);
      await backupsOn(disk)
        .restore("/target", 1)
        .catch(() => undefined);
      const survivor = disk.crash(new Prng(halt));
      const isThere = survivor.exists("/target/identity");
      outcomes.add(isThere);
      const reopened = isThere ? await openOn(survivor, {}, "/target") : undefined;
      expect(reopened === undefined ? ["a"] : namesIn(reopened)).toEqual(["a"]);
      await reopened?.close();
      expect(await restored(survivor, 1)).toEqual(["a"]);
    }
    expect(outcomes.size).toBe(2);
  });

  /** A store with one backup, and with more than it. */
  async function twice(disk: MemoryDisk): Promise<EmbeddedStore> {
    const store = await openOn(disk);
    await fill(store, "a", 10);
    await store.backup(BACKUPS);
    await fill(store, "b", 10);
    return store;
  }

  async function operationsOf(disk: MemoryDisk): Promise<number> {
    const store = await twice(disk);
    const before = disk.operations;
    await store.backup(BACKUPS);
    const count = disk.operations - before;
    await store.close();
    return count;
  }

  function halted(disk: MemoryDisk): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (disk.halted) resolve();
        else setImmediate(look);
      };
      look();
    });
  }
});
