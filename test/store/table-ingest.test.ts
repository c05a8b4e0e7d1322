/** Tables that are built elsewhere and taken into a tree. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { FAMILY } from "../../src/lsm/families.js";
import { LEVEL_BASE } from "../../src/lsm/level.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import type { Tree } from "../../src/lsm/tree.js";
import { checkStore } from "../../src/store/store-check.js";
import type { Store } from "../../src/store/store.js";
import type { IngestOutcome } from "../../src/store/table-ingest.js";
import { TableStage } from "../../src/store/table-stage.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { collect, slotOf, stateAt } from "../lsm/tree-model.js";
import { seededRandom } from "../support/test-env.js";
import { ALL, DIRECTORY, openStore, tables } from "./store-bench.js";

const STAGE = "/stage";
const MERGING = {
  compaction: { style: "leveled", fanIn: 2, levelBaseBytes: 2048, tableBytesMax: 2048 },
} as const;
const CALM = { compaction: { enabled: false } } as const;

function keyOf(n: number): Uint8Array {
  return utf8(`key${String(n).padStart(4, "0")}`);
}

/** Stages a table with keys [from, to) at one version. */
function stage(
  disk: MemoryDisk,
  name: string,
  keys: readonly [number, number],
  version: number,
): string {
  disk.makeDirectory(STAGE);
  const path = `${STAGE}/${name}`;
  const staged = new TableStage({ disk, random: seededRandom(version) }, path);
  for (let n = keys[0]; n < keys[1]; n++) {
    staged.add(keyOf(n), version, n % 7 === 6 ? undefined : new Uint8Array(40).fill(version));
  }
  staged.finish();
  return path;
}

/** The index of an entry and the revision after it are one here. */
function ingest(store: Store, index: number, paths: readonly string[]): Promise<IngestOutcome> {
  return store.ingestTables({
    shardId: 1,
    before: stateAt(index - 1),
    paths,
    after: stateAt(index),
  });
}

function put(tree: Tree, n: number, version: number): void {
  const key = keyOf(n);
  const value = new Uint8Array(40).fill(version);
  tree.insert(FAMILY.data, key, 0, key.length, version, false, value, 0, value.length);
}

/** Of each key that is there the number and the version. */
function seen(tree: Tree): string[] {
  const cursor = tree.cursor(FAMILY.data, ALL, Infinity, "newest");
  const items = collect(cursor).filter(({ tombstone }) => !tombstone);
  cursor.close();
  return items.map(({ key, version }) => `${utf8Text(key)}@${version}`);
}

function expected(keys: readonly [number, number], version: number): string[] {
  const all: string[] = [];
  for (let n = keys[0]; n < keys[1]; n++) {
    if (n % 7 !== 6) all.push(`${utf8Text(keyOf(n))}@${version}`);
  }
  return all;
}

describe("a table that is taken in", () => {
  test("is the tree's, after a start too, and not any more where it was", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    const tree = store.createTree(1, ALL, stateAt(0));
    const paths = [stage(disk, "a", [0, 50], 3), stage(disk, "b", [50, 90], 3)];
    const outcome = await ingest(store, 5, paths);
    expect(outcome.kind).toBe("ingested");
    expect(seen(tree)).toEqual(expected([0, 90], 3));
    expect(tree.flushed.index).toBe(5);
    expect(disk.list(STAGE)).toEqual([]);
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
    const again = (await openStore(disk, CALM)).store;
    expect(seen(must(again.tree(1)))).toEqual(expected([0, 90], 3));
    await again.close();
  });

  test("covers what is older, lies at the bottom where nothing is, and is merged", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, MERGING);
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let n = 0; n < 200; n++) put(tree, n, 1);
    await store.flushNow(tree, stateAt(1));
    await store.idle();
    expect(tree.version.levels[FAMILY.data]).not.toEqual([]);
    // Not flushed yet, and older than what comes.
    for (let n = 0; n < 20; n++) put(tree, n, 2);
    const over = await ingest(store, 4, [stage(disk, "over", [10, 60], 4)]);
    const beside = await ingest(store, 6, [stage(disk, "beside", [300, 340], 5)]);
    const levels = [over, beside].map((each) =>
      each.kind === "ingested" ? each.slices[0]!.level : -1,
    );
    expect(levels[0]).toBe(0);
    expect(levels[1]).toBeGreaterThan(LEVEL_BASE);
    for (let round = 0; round < 2; round++) {
      const items = seen(tree);
      expect(items.slice(0, 10)).toEqual(
        Array.from({ length: 10 }, (_, n) => `${utf8Text(keyOf(n))}@2`),
      );
      expect(items.filter((item) => item.endsWith("@4"))).toEqual(expected([10, 60], 4));
      expect(items.filter((item) => item.endsWith("@5"))).toEqual(expected([300, 340], 5));
      await store.flushNow(tree, stateAt(7, { compactedRevision: 6 }));
      await store.idle();
    }
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
  });

  test("may cover another that comes with it, but not the other way round", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    const tree = store.createTree(1, ALL, stateAt(0));
    const older = stage(disk, "older", [0, 30], 2);
    const newer = stage(disk, "newer", [0, 30], 3);
    expect(await ingest(store, 5, [newer, older])).toMatchObject({
      kind: "refused",
      reason: "overlapsNewer",
      path: older,
    });
    expect(seen(tree)).toEqual([]);
    expect((await ingest(store, 5, [older, newer])).kind).toBe("ingested");
    expect(seen(tree)).toEqual(expected([0, 30], 3));
    await store.close();
  });
});

describe("a table is refused", () => {
  /** By a tree with keys 0 to 19 at version 10, compacted to 5: what is wrong with a table. */
  async function reasonFor(make: (disk: MemoryDisk) => string, revision = 20): Promise<unknown> {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, CALM);
    const tree = store.createTree(1, { start: keyOf(0), end: keyOf(500) }, stateAt(0));
    for (let n = 0; n < 20; n++) put(tree, n, 10);
    const path = make(disk);
    const before = seen(tree);
    const outcome = await store.ingestTables({
      shardId: 1,
      before: stateAt(11, { compactedRevision: 5 }),
      paths: [stage(disk, "fine", [100, 110], 12), path],
      after: stateAt(12, { revision, compactedRevision: 5 }),
    });
    expect(seen(tree)).toEqual(before);
    expect(tree.flushed.index).toBeLessThan(12);
    expect(disk.exists(path)).toBe(true);
    expect(tables(disk).length).toBeLessThan(2);
    await store.close();
    return outcome.kind === "refused" && outcome.path === path ? outcome.reason : outcome;
  }

  test("that is older than what it overlaps, or as new", async () => {
    expect(await reasonFor((disk) => stage(disk, "x", [15, 30], 9))).toBe("overlapsNewer");
    expect(await reasonFor((disk) => stage(disk, "x", [15, 30], 10))).toBe("overlapsNewer");
  });

  test("that has keys of others, or versions that are still to come", async () => {
    expect(await reasonFor((disk) => stage(disk, "x", [490, 501], 13))).toBe("outsideRange");
    expect(await reasonFor((disk) => stage(disk, "x", [30, 40], 13), 12)).toBe("aheadOfState");
  });

  test("that has versions of which the deletes may be forgotten", async () => {
    expect(await reasonFor((disk) => stage(disk, "x", [30, 40], 5))).toBe("belowCompacted");
  });

  test("that has other families", async () => {
    const reason = await reasonFor((disk) => {
      const file = disk.open(`${STAGE}-x`, { create: true });
      const writer = new SstableWriter(file, 0, 1);
      writer.beginFamily(FAMILY.lease);
      const value = new Uint8Array(3);
      writer.add(slotOf({ key: keyOf(1), version: 12, tombstone: false, value }));
      writer.endFamily();
      writer.finish();
      return `${STAGE}-x`;
    });
    expect(reason).toBe("foreignFamily");
  });

  test("that is damaged, or out of order", async () => {
    for (const byte of [100, 1000, 1500]) {
      const reason = await reasonFor((disk) => {
        const path = stage(disk, "x", [30, 60], 12);
        disk.flipBit(path, byte * 8);
        return path;
      });
      expect(reason).toBe("damaged");
    }
    const reason = await reasonFor((disk) => {
      disk.makeDirectory(STAGE);
      const staged = new TableStage({ disk, random: seededRandom(5) }, `${STAGE}/x`);
      for (const n of [30, 32, 31]) staged.add(keyOf(n), 12, new Uint8Array(1));
      staged.finish();
      return `${STAGE}/x`;
    });
    expect(reason).toBe("damaged");
  });
});

describe("a disk that fails an ingest", () => {
  test("for lack of room leaves all as it was", async () => {
    const disk = new MemoryDisk({ quotaBytes: 64 * 1024 * 1024 });
    const { store } = await openStore(disk, CALM);
    const tree = store.createTree(1, ALL, stateAt(0));
    const path = stage(disk, "a", [0, 50], 3);
    disk.inject({ code: "noSpace", operation: "link" });
    await expect(ingest(store, 5, [path])).rejects.toMatchObject({ code: "noSpace" });
    expect(seen(tree)).toEqual([]);
    expect((await ingest(store, 5, [path])).kind).toBe("ingested");
    expect(seen(tree)).toEqual(expected([0, 50], 3));
    await store.close();
  });

  test("to make a name durable takes the store down", async () => {
    const disk = new MemoryDisk();
    const failures: Error[] = [];
    const { store } = await openStore(disk, {
      ...CALM,
      onFailure: (error) => failures.push(error),
    });
    store.createTree(1, ALL, stateAt(0));
    const path = stage(disk, "a", [0, 50], 3);
    disk.inject({ code: "io", operation: "syncDirectory", pathPart: "tables" });
    await expect(ingest(store, 5, [path])).rejects.toMatchObject({ code: "io" });
    expect(failures).toHaveLength(1);
    await store.close();
  });

  test("by losing power leaves all of it, or the tables where they were", async () => {
    const outcomes = new Set<string>();
    const operations = await attempt(new MemoryDisk());
    for (let halt = 1; halt <= operations; halt++) {
      const disk = new MemoryDisk();
      const { store, paths } = await prepared(disk);
      disk.haltAt(disk.operations + halt);
      await Promise.race([ingest(store, 5, paths).catch(() => undefined), halted(disk)]);
      const survivor = disk.crash(new Prng(halt), halt % 2 === 0 ? "loseAll" : "mixed");
      const { store: again } = await openStore(survivor, CALM);
      const tree = must(again.tree(1));
      const isDone = tree.flushed.index === 5;
      outcomes.add(isDone ? "after" : "before");
      const came = seen(tree).filter((item) => item.endsWith("@3"));
      expect(came).toEqual(isDone ? expected([0, 40], 3) : []);
      if (!isDone) await ingest(again, 5, paths);
      expect(seen(tree)).toEqual(expected([0, 40], 3));
      await again.close();
      const findings = checkStore(survivor, DIRECTORY).findings;
      expect(findings).toEqual([]);
    }
    expect([...outcomes].sort()).toEqual(["after", "before"]);
  });

  async function prepared(disk: MemoryDisk): Promise<{ store: Store; paths: string[] }> {
    const { store } = await openStore(disk, { ...CALM, onFailure: () => undefined });
    const tree = store.createTree(1, ALL, stateAt(0));
    for (let n = 0; n < 10; n++) put(tree, n, 1);
    await store.flushNow(tree, stateAt(4));
    return { store, paths: [stage(disk, "a", [0, 25], 3), stage(disk, "b", [25, 40], 3)] };
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

  /** How many operations an ingest takes. */
  async function attempt(disk: MemoryDisk): Promise<number> {
    const { store, paths } = await prepared(disk);
    const before = disk.operations;
    await ingest(store, 5, paths);
    const count = disk.operations - before;
    await store.close();
    return count;
  }
});
