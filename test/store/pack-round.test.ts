/** Small trees share files: what comes of that when they are flushed, merged, dropped and sent. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { must } from "../../src/base/assert.js";
import { Prng } from "../../src/base/prng.js";
import { checkStore } from "../../src/store/store-check.js";
import type { Store } from "../../src/store/store.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import { stateAt } from "../lsm/tree-model.js";
import { eventually } from "../support/eventually.js";
import {
  ALL,
  DIRECTORY,
  damageOf,
  difference,
  flushedAt,
  openStore,
  orHalt,
  replay,
  tables,
  write,
} from "./store-bench.js";

const TREES = 12;
const ENTRIES = 9;

function create(store: Store, count: number): void {
  const shardIds = Array.from({ length: count }, (_, at) => at + 1);
  store.createTrees(shardIds.map((shardId) => ({ shardId, range: ALL, flushed: stateAt(0) })));
}

/** Writes the entries up to `last` of each tree and flushes all trees. */
async function fillAll(store: Store, from: number, last: number): Promise<void> {
  const flushes: Promise<void>[] = [];
  for (const tree of store.trees()) {
    for (let index = from; index <= last; index++) void write(store, tree, index);
    flushes.push(store.flushNow(tree, flushedAt(last)));
  }
  await Promise.all(flushes);
}

/** What is wrong with any tree, where each should be at `index`. */
function wrongIn(store: Store, index: number): string[] {
  return [...store.trees()].flatMap((tree) => {
    const wrong = difference(tree, index);
    return wrong === undefined ? [] : [`tree ${tree.shardId}: ${wrong}`];
  });
}

async function filled(disk: MemoryDisk, options: StoreOptions = {}): Promise<Store> {
  const { store } = await openStore(disk, { compaction: { enabled: false }, ...options });
  create(store, TREES);
  await fillAll(store, 1, ENTRIES);
  return store;
}

describe("trees that are flushed together", () => {
  test("share one file, also after a start", async () => {
    const disk = new MemoryDisk();
    const store = await filled(disk);
    expect(tables(disk).map((name) => name.split(".")[1])).toEqual(["pack"]);
    expect(wrongIn(store, ENTRIES)).toEqual([]);
    await store.close();
    const { store: again, damaged } = await openStore(disk);
    expect(damaged.size).toBe(0);
    expect(wrongIn(again, ENTRIES)).toEqual([]);
    await again.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
  });

  test("cost one sync of a table and two of the manifest", async () => {
    const disk = new MemoryDisk();
    // Beside a smaller one the log's next segment would be filled meanwhile.
    const store = await filled(disk, { logOptions: { segmentSizeBytes: 4 * 1024 * 1024 } });
    const before = disk.operations;
    await fillAll(store, ENTRIES + 1, ENTRIES + 2);
    expect(disk.operations - before).toBeLessThan(TREES);
    await store.close();
  });

  test("leave the file to the others when they are dropped", async () => {
    const disk = new MemoryDisk();
    const store = await filled(disk);
    for (let shardId = 1; shardId < TREES; shardId++) store.dropTree(shardId);
    await store.idle();
    expect(tables(disk)).toHaveLength(1);
    expect(wrongIn(store, ENTRIES)).toEqual([]);
    store.dropTree(TREES);
    await store.idle();
    expect(tables(disk)).toEqual([]);
    await store.close();
  });

  test("go into a file of their own where they are large", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { sharedTableBytesMax: 0 });
    create(store, 3);
    await fillAll(store, 1, ENTRIES);
    expect(tables(disk).map((name) => name.split(".")[1])).toEqual(["sst", "sst", "sst"]);
    await store.close();
  });
});

describe("a file of many trees", () => {
  test("is written anew when most of it is garbage", async () => {
    const disk = new MemoryDisk();
    const first = await filled(disk);
    await first.close();
    const { store } = await openStore(disk);
    await store.idle();
    const [before] = tables(disk);
    const { sizeBytes } = store.stats();
    for (let shardId = 1; shardId <= TREES - 3; shardId++) store.dropTree(shardId);
    await store.idle();
    expect(tables(disk)).toHaveLength(1);
    expect(tables(disk)).not.toEqual([before]);
    expect(store.stats().sizeBytes).toBeLessThan(sizeBytes / 2);
    expect(wrongIn(store, ENTRIES)).toEqual([]);
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
  });

  test("takes in the merges of its trees", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk, { compaction: { fanIn: 2 } });
    create(store, TREES);
    for (let last = 3; last <= 30; last += 3) await fillAll(store, last - 2, last);
    await store.idle();
    expect(store.stats().compactions).toBeGreaterThan(TREES);
    expect(tables(disk).filter((name) => name.endsWith(".sst"))).toEqual([]);
    expect(wrongIn(store, 30)).toEqual([]);
    await store.close();
    expect(checkStore(disk, DIRECTORY).findings).toEqual([]);
  });

  test("that is damaged damages the trees whose bytes are", async () => {
    const disk = new MemoryDisk();
    await (await filled(disk)).close();
    const path = `${DIRECTORY}/tables/${must(tables(disk)[0])}`;
    disk.flipBit(path, 8 * 40);
    const { findings } = checkStore(disk, DIRECTORY);
    expect(findings.map(({ path: where }) => where)).toEqual([path]);
    expect(findings[0]?.loss).toMatchObject({ kind: "content", shardIds: [1] });
    const { store } = await openStore(disk);
    const [first, ...others] = store.trees();
    expect(() => difference(must(first), ENTRIES)).toThrow("checksum");
    for (const tree of others) expect(difference(tree, ENTRIES)).toBeUndefined();
    await store.close();
  });

  test("that rots is found, and the trees whose bytes have", async () => {
    const disk = new MemoryDisk();
    await (await filled(disk)).close();
    const { store } = await openStore(disk, { scrubBytesPerSecond: 1024 ** 3 });
    const damaged = damageOf(store);
    disk.flipBit(`${DIRECTORY}/tables/${must(tables(disk)[0])}`, 8 * 40);
    await eventually(() => damaged.length > 0);
    expect(new Set(damaged)).toEqual(new Set([1]));
    await store.close();
  });

  test("gives a snapshot the bytes of its tree only", async () => {
    const disk = new MemoryDisk();
    const store = await filled(disk);
    const checkpoint = await store.checkpointTree(5);
    const [described] = checkpoint.files;
    const { file } = must(described);
    expect(checkpoint.files).toHaveLength(1);
    expect(file.sizeBytes).toBeLessThan(store.stats().sizeBytes / 4);
    const { store: other } = await openStore(new MemoryDisk());
    const install = other.beginInstall(5, ALL);
    install.writeChunk(0, 0, checkpoint.readChunk(0, 0, file.sizeBytes));
    install.prepare(checkpoint.files);
    const tree = install.finish(checkpoint.state, checkpoint.files);
    expect(difference(tree, ENTRIES)).toBeUndefined();
    checkpoint.release();
    await other.close();
    await store.close();
  });

  test("is linked once into a checkpoint of the store", async () => {
    const disk = new MemoryDisk();
    const store = await filled(disk);
    await store.checkpointTo("/copy");
    await store.close();
    expect(disk.list("/copy/tables")).toEqual(tables(disk));
    expect(checkStore(disk, "/copy").findings).toEqual([]);
  });
});

interface Progress {
  readonly applied: Map<number, number>;
  readonly acknowledged: Map<number, number>;
}

const CRASH_TREES = 4;

/** Writes to all trees in rounds, drops one on the way, until all is done or the disk halts. */
async function work(disk: MemoryDisk, progress: Progress): Promise<void> {
  const options = { compaction: { fanIn: 2 }, onFailure: () => undefined };
  const opened = await orHalt(disk, openStore(disk, options));
  if (opened === undefined) return;
  const { store } = opened;
  create(store, CRASH_TREES);
  for (let last = 4; last <= 20 && !disk.halted; last += 4) {
    const flushes: Promise<void>[] = [];
    for (const tree of store.trees()) {
      const { shardId } = tree;
      for (let index = last - 3; index <= last; index++) {
        progress.applied.set(shardId, index);
        void write(store, tree, index).then(() => progress.acknowledged.set(shardId, index));
      }
      flushes.push(store.flushNow(tree, flushedAt(last)));
    }
    await orHalt(disk, Promise.all(flushes));
    if (last === 12 && !disk.halted) store.dropTree(CRASH_TREES);
  }
  await orHalt(disk, store.idle());
  if (!disk.halted) await store.close();
}

async function attempt(disk: MemoryDisk, progress: Progress): Promise<void> {
  try {
    await work(disk, progress);
  } catch (error) {
    if (!disk.halted) throw error;
  }
}

function started(): Progress {
  return { applied: new Map(), acknowledged: new Map() };
}

/** Opens what survived; says what is wrong with it. */
async function problemsAfter(disk: MemoryDisk, progress: Progress): Promise<string[]> {
  const opened = await openStore(disk);
  const problems: string[] = [];
  if (opened.damaged.size > 0) problems.push("a table is missing");
  for (let shardId = 1; shardId < CRASH_TREES; shardId++) {
    const tree = opened.store.tree(shardId);
    const acknowledged = progress.acknowledged.get(shardId) ?? 0;
    const applied = tree === undefined ? 0 : replay(opened, shardId);
    if (applied < acknowledged) problems.push(`tree ${shardId}: ${applied} of ${acknowledged}`);
    const wrong = tree === undefined ? undefined : difference(tree, applied);
    if (wrong !== undefined) problems.push(`tree ${shardId}: ${wrong}`);
  }
  await opened.store.idle();
  await opened.store.close();
  const { findings } = checkStore(disk, DIRECTORY);
  return [...problems, ...findings.map(({ path, what }) => `${path}: ${what}`)];
}

test("a power cut after every second operation loses nothing that trees have together", async () => {
  const whole = new MemoryDisk();
  await attempt(whole, started());
  const problems: string[] = [];
  for (let halt = 12; halt <= whole.operations; halt += 2) {
    const disk = new MemoryDisk();
    disk.haltAt(halt);
    const progress = started();
    await attempt(disk, progress);
    const survivor = disk.crash(new Prng(halt), halt % 3 === 0 ? "loseAll" : "mixed");
    const found = await problemsAfter(survivor, progress);
    problems.push(...found.map((problem) => `halted at ${halt}: ${problem}`));
  }
  expect(problems).toEqual([]);
}, 120_000);
