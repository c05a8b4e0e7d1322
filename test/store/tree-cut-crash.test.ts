/**
 * A power cut after each operation of the disk while a tree is split or loses a range, and after
 * every few of the others. What comes back is the tree as before a cut or as after it, and the log
 * leads on from there.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { Prng } from "../../src/base/prng.js";
import { checkStore } from "../../src/store/store-check.js";
import type { OpenedStore, Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { EXCISE_AT, SPLIT_AT, differenceAt, replayAt, writeAt } from "./cut-bench.js";
import { ALL, DIRECTORY, flushedAt, openStore } from "./store-bench.js";

const ENTRIES = 45;
const FLUSH_EVERY = 7;
const OTHERS_EVERY = 13;
const MERGING = { compaction: { fanIn: 2 }, onFailure: (): void => undefined };

interface Progress {
  /** By shard the index up to which it has been applied, and up to which that is durable. */
  readonly applied: Map<number, number>;
  readonly acknowledged: Map<number, number>;
  /** Operations of the disk while a tree was cut. */
  readonly duringCuts: Set<number>;
}

function start(acknowledged: ReadonlyMap<number, number> = new Map()): Progress {
  return { applied: new Map(), acknowledged: new Map(acknowledged), duringCuts: new Set() };
}

async function resume(opened: OpenedStore, { applied }: Progress): Promise<void> {
  const { store } = opened;
  if (store.tree(1) === undefined) store.createTree(1, ALL, stateAt(0));
  // A replayed split makes shard 2, which nobody has asked for yet.
  for (const shardId of [1, 2]) {
    if (store.tree(shardId) !== undefined) applied.set(shardId, await replayAt(opened, shardId));
  }
}

/** Writes all entries of all shards, flushing now and then. */
async function work(disk: MemoryDisk, store: Store, progress: Progress): Promise<void> {
  const { applied, acknowledged, duringCuts } = progress;
  for (let index = 1; index <= ENTRIES; index++) {
    for (const shardId of index > SPLIT_AT ? [1, 2] : [1]) {
      if ((applied.get(shardId) ?? SPLIT_AT) >= index) continue;
      const before = disk.operations;
      await writeAt(store, shardId, index);
      const isCut = index === SPLIT_AT || (index === EXCISE_AT && shardId === 1);
      if (isCut) addNumbers(duringCuts, before, disk.operations);
      applied.set(shardId, index);
      if (index === SPLIT_AT) applied.set(2, index);
      const durable = new Promise<void>((resolve) => store.log.commit(resolve)).then(() => {
        acknowledged.set(shardId, index);
      });
      if (index % 3 === 0) await durable;
      if (index % FLUSH_EVERY === 0) {
        await store.flushNow(must(store.tree(shardId)), flushedAt(index));
      }
    }
  }
  await store.idle();
}

function addNumbers(to: Set<number>, first: number, last: number): void {
  for (let at = first; at <= last; at++) to.add(at);
}

/** Does all of it, or what there is time for until the disk halts. */
function attempt(disk: MemoryDisk, progress: Progress): Promise<void> {
  const all = async (): Promise<void> => {
    const opened = await openStore(disk, MERGING);
    await resume(opened, progress);
    await work(disk, opened.store, progress);
    await opened.store.close();
  };
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (error?: unknown): void => {
      isOver = true;
      if (error === undefined || disk.halted) resolve();
      else reject(error as Error);
    };
    const look = (): void => {
      if (disk.halted) end();
      else if (!isOver) setImmediate(look);
    };
    all().then(() => end(), end);
    look();
  });
}

/** Opens what survived; says what is wrong with it, or undefined. */
async function problemAfter(disk: MemoryDisk, progress: Progress): Promise<string | undefined> {
  const opened = await openStore(disk, MERGING);
  const { store } = opened;
  if (opened.damaged.size > 0) return "a table is missing";
  const after = start();
  await resume(opened, after);
  for (const [shardId, acknowledged] of progress.acknowledged) {
    const applied = after.applied.get(shardId) ?? 0;
    if (applied >= acknowledged) continue;
    return `${acknowledged} of shard ${shardId} was acknowledged, ${applied} came back`;
  }
  for (const [shardId, applied] of after.applied) {
    const wrong = differenceAt(must(store.tree(shardId)), applied);
    if (wrong !== undefined) return wrong;
  }
  await store.close();
  // What the log lost was acknowledged to nobody.
  const { findings } = checkStore(disk, DIRECTORY);
  return findings.find(({ isDamage, path }) => isDamage && path !== `${DIRECTORY}/log`)?.what;
}

/** Every operation during a cut, and every few of the others. */
async function halts(): Promise<readonly number[]> {
  const disk = new MemoryDisk();
  const progress = start();
  await attempt(disk, progress);
  const all = Array.from({ length: disk.operations }, (_, at) => at + 1);
  return all.filter((at) => at % OTHERS_EVERY === 0 || progress.duringCuts.has(at));
}

describe("a power cut while trees are cut", () => {
  test("leaves each as before or as after", async () => {
    const all = await halts();
    expect(all.length).toBeGreaterThan(50);
    const problems: string[] = [];
    for (const halt of all) {
      const disk = new MemoryDisk();
      disk.haltAt(halt);
      const progress = start();
      await attempt(disk, progress);
      const survivor = disk.crash(new Prng(halt), halt % 3 === 0 ? "loseAll" : "mixed");
      const problem = await problemAfter(survivor, progress);
      if (problem !== undefined) problems.push(`halted at ${halt}: ${problem}`);
    }
    expect(problems).toEqual([]);
  });

  test("during recovery, and again after it, too", async () => {
    const problems: string[] = [];
    for (const halt of (await halts()).filter((_, at) => at % 6 === 5)) {
      const disk = new MemoryDisk();
      disk.haltAt(halt);
      let progress = start();
      await attempt(disk, progress);
      let survivor = disk.crash(new Prng(halt));
      for (let second = 5; second <= 40; second += 7) {
        survivor.haltAt(second);
        progress = start(progress.acknowledged);
        await attempt(survivor, progress);
        survivor = survivor.crash(new Prng(halt * 100 + second));
      }
      const problem = await problemAfter(survivor, progress);
      if (problem !== undefined) problems.push(`halted at ${halt} and later: ${problem}`);
    }
    expect(problems).toEqual([]);
  });
});
