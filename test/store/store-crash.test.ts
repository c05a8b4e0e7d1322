/**
 * A power cut after every k-th operation of the disk, in the middle of writes, flushes and
 * compactions, and again during recovery. What comes back must be a prefix of what was applied
 * that holds everything which was acknowledged.
 */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import type { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, difference, flushedAt, openStore, orHalt, replay, write } from "./store-bench.js";

const ENTRIES = 45;
const FLUSH_EVERY = 6;

interface Progress {
  applied: number;
  acknowledged: number;
}

/** Writes entries, flushing now and then, until they are written or the disk halts. */
async function work(disk: MemoryDisk, store: Store, progress: Progress): Promise<void> {
  const tree = store.tree(1) ?? store.createTree(1, ALL, stateAt(0));
  while (progress.applied < ENTRIES) {
    const index = ++progress.applied;
    const durable = write(store, tree, index).then(() => {
      progress.acknowledged = index;
    });
    if (index % 3 === 0) await orHalt(disk, durable);
    if (index % FLUSH_EVERY === 0) await orHalt(disk, store.flushNow(tree, flushedAt(index)));
    if (disk.halted) return;
  }
  await orHalt(disk, store.idle());
}

async function attempt(disk: MemoryDisk, progress: Progress): Promise<void> {
  try {
    const opened = await orHalt(disk, openStore(disk, { onFailure: () => undefined }));
    if (opened === undefined) return;
    progress.applied = opened.store.tree(1) === undefined ? 0 : replay(opened, 1);
    await work(disk, opened.store, progress);
    if (!disk.halted) await orHalt(disk, opened.store.close());
  } catch (error) {
    if (!disk.halted) throw error;
  }
}

/** Opens what survived; says what is wrong with it, or undefined. */
async function problemAfter(disk: MemoryDisk, acknowledged: number): Promise<string | undefined> {
  const opened = await openStore(disk);
  const tree = opened.store.tree(1);
  const applied = tree === undefined ? 0 : replay(opened, 1);
  const wrong = tree === undefined ? undefined : difference(tree, applied);
  await opened.store.close();
  if (applied < acknowledged) return `${acknowledged} was acknowledged, ${applied} came back`;
  if (opened.damaged.size > 0) return "a table is missing";
  return wrong;
}

async function operationsInAll(): Promise<number> {
  const disk = new MemoryDisk();
  await attempt(disk, { applied: 0, acknowledged: 0 });
  return disk.operations;
}

describe("a power cut", () => {
  test("after any operation loses nothing that was acknowledged", async () => {
    const total = await operationsInAll();
    expect(total).toBeGreaterThan(100);
    const problems: string[] = [];
    for (let halt = 1; halt <= total; halt++) {
      const disk = new MemoryDisk();
      disk.haltAt(halt);
      const progress = { applied: 0, acknowledged: 0 };
      await attempt(disk, progress);
      const style = halt % 3 === 0 ? "loseAll" : "mixed";
      const survivor = disk.crash(new Prng(halt), style);
      const problem = await problemAfter(survivor, progress.acknowledged);
      if (problem !== undefined) problems.push(`halted at ${halt}: ${problem}`);
    }
    expect(problems).toEqual([]);
  });

  test("during recovery, and again after it, neither", async () => {
    const total = await operationsInAll();
    const problems: string[] = [];
    for (let halt = 10; halt <= total; halt += 17) {
      const disk = new MemoryDisk();
      disk.haltAt(halt);
      const progress = { applied: 0, acknowledged: 0 };
      await attempt(disk, progress);
      let acknowledged = progress.acknowledged;
      let survivor = disk.crash(new Prng(halt));
      for (let second = 1; second <= 25; second += 3) {
        survivor.haltAt(second);
        const next = { applied: 0, acknowledged };
        await attempt(survivor, next);
        acknowledged = next.acknowledged;
        survivor = survivor.crash(new Prng(halt * 100 + second));
      }
      const problem = await problemAfter(survivor, acknowledged);
      if (problem !== undefined) problems.push(`halted at ${halt} and later: ${problem}`);
    }
    expect(problems).toEqual([]);
  });
});
