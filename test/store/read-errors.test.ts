/** A read that a disk fails once proves nothing; one that it fails twice in a row is damage. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { tablePath } from "../../src/lsm/table-set.js";
import { SEGMENT_START } from "../../src/log/segment-format.js";
import type { CheckJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { eventually } from "../support/eventually.js";
import { FlakyDisk } from "../support/flaky-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import {
  ALL,
  DIRECTORY,
  damageOf,
  fill,
  flushedAt,
  openStore,
  tables,
  write,
} from "./store-bench.js";

const FAST = { scrubBytesPerSecond: 1024 ** 3 };

function firstTable(disk: MemoryDisk): string {
  return `${DIRECTORY}/tables/${tables(disk)[0]}`;
}

describe("what looks for rot", () => {
  async function checks(disk: MemoryDisk): Promise<readonly CheckJob[]> {
    const { store } = await openStore(disk);
    await fill(store, 20, 20);
    const tree = must(store.tree(1));
    for (let index = 21; store.log.sealedSegments().length === 0; index++) {
      await write(store, tree, index);
    }
    const segment = store.log.sealedSegments()[0]!;
    const path = tablePath(`${DIRECTORY}/tables`, 1);
    return [
      { kind: "checkTable", path, offset: 0, length: 1000, checksum: 0 },
      { kind: "checkSegment", segment, from: SEGMENT_START, sizeBytes: 1000 },
    ];
  }

  test("reads a table, and a segment, again", async () => {
    const disk = new MemoryDisk();
    for (const job of await checks(disk)) {
      disk.inject({ code: "io", operation: "read", times: 1 });
      expect(runStoreJob(disk, job).kind).toMatch(/^checked/);
      disk.inject({ code: "io", operation: "read", times: 2 });
      expect(runStoreJob(disk, job).kind).toBe("corrupt");
      expect(runStoreJob(disk, job).kind).toMatch(/^checked/);
    }
  });

  const inject = (disk: FlakyDisk, code: "io" | "noSpace", times: number): void =>
    disk.inject({ code, operation: "read", pathPart: firstTable(disk), times });

  test.each([
    ["could not be read once", (disk: FlakyDisk) => inject(disk, "io", 1)],
    ["were others once", (disk: FlakyDisk) => (disk.wrongReads = 1)],
    ["nobody could look at", (disk: FlakyDisk) => inject(disk, "noSpace", Infinity)],
  ])("does not call a table rotten whose bytes %s", async (_what, change) => {
    const disk = new FlakyDisk();
    const { store } = await openStore(disk, FAST);
    await fill(store, 20, 20);
    const other = store.createTree(2, ALL, stateAt(0));
    void write(store, other, 1);
    await store.flushNow(other, flushedAt(1));
    const damaged = damageOf(store);
    change(disk);
    // The second tree is found rotten twice: all of the first was read between.
    disk.flipBit(`${DIRECTORY}/tables/${tables(disk)[1]}`, 2000);
    await eventually(() => damaged.filter((shardId) => shardId === 2).length > 1);
    expect(damaged).not.toContain(1);
    await store.close();
  });

  test("says of a suspect that it is sound as soon as all of it can be read", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, FAST);
    await fill(store, 20, 20);
    const news: string[] = [];
    store.observe({
      flushed: () => undefined,
      flushWanted: () => undefined,
      trimWanted: () => false,
      treeDamaged: (shardId) => news.push(`damaged ${shardId}`),
      treeSound: (shardId) => news.push(`sound ${shardId}`),
    });
    disk.inject({ code: "io", operation: "read", pathPart: firstTable(disk), times: Infinity });
    await eventually(() => news.length > 0);
    store.recheck(1);
    const seen = news.length;
    await eventually(() => news.length > seen + 4);
    expect(new Set(news)).toEqual(new Set(["damaged 1"]));
    disk.clearFaults();
    await eventually(() => news.at(-1) === "sound 1");
    await store.close();
  });
});

test("a compaction that cannot read a table ends nothing: the tree is damaged", async () => {
  const disk = new MemoryDisk();
  const failures: Error[] = [];
  const { store } = await openStore(disk, {
    compaction: { fanIn: 3 },
    onFailure: (error) => failures.push(error),
  });
  const damaged = damageOf(store);
  await fill(store, 20, 10);
  disk.inject({ code: "io", operation: "read", pathPart: firstTable(disk), times: Infinity });
  const tree = must(store.tree(1));
  for (let index = 21; index <= 30; index++) await write(store, tree, index);
  await store.flushNow(tree, flushedAt(30));
  await store.idle();
  expect(damaged).toEqual([1]);
  expect(failures).toEqual([]);
  await store.close();
});
