/**
 * A power cut after every k-th operation of the disk, and after any number of writes without sync.
 * What comes back is the state after some number of batches: no fewer than were acknowledged, and
 * none of them in part.
 */
import { expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import type { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { turnsUntil } from "../support/test-env.js";
import { Model, openOn } from "./embedded-bench.js";

const BATCHES = 60;
const KEYS = 13;

interface Progress {
  started: number;
  acknowledged: number;
}

/** What batch `n` writes follows from its number alone. */
function fillBatch(
  n: number,
  put: (key: string, value: string) => void,
  remove: (key: string) => void,
): void {
  put("count", String(n));
  put(`key${n % KEYS}`, `${n}`.padEnd(n % 7 === 0 ? 1500 : 300, "."));
  put(`other${(n * 5) % KEYS}`, `${n}`);
  remove(`key${(n * 3) % KEYS}`);
}

function modelAfter(count: number): Model {
  const model = new Model();
  for (let n = 1; n <= count; n++) {
    fillBatch(
      n,
      (key, value) => model.put(key, new TextEncoder().encode(value)),
      (key) => model.delete(key),
    );
  }
  return model;
}

function countIn(store: EmbeddedStore): number {
  const bytes = store.get("count");
  return bytes === undefined ? 0 : Number(utf8Text(bytes));
}

/** Writes until all is written or the disk halts; every third batch waits for the disk. */
async function work(disk: MemoryDisk, progress: Progress): Promise<void> {
  const store = await openOn(disk, { memtableBytesMax: 12 * 1024 });
  for (let n = countIn(store) + 1; n <= BATCHES && !disk.halted; n++) {
    const batch = store.batch();
    fillBatch(
      n,
      (key, value) => batch.put(key, value),
      (key) => batch.delete(key),
    );
    progress.started = n;
    const written = store.write(batch, { sync: n % 3 === 0 });
    await orHalt(
      disk,
      written.then(() => {
        if (n % 3 === 0) progress.acknowledged = n;
      }),
    );
    if (n % 20 === 0) await orHalt(disk, store.idle());
  }
  if (!disk.halted) await store.close();
}

/** Waits for the promise or for the end of the disk, after which it may never come. */
async function orHalt(disk: MemoryDisk, promise: Promise<void>): Promise<void> {
  let isSettled = false;
  const settled = promise.finally(() => {
    isSettled = true;
  });
  const halted = turnsUntil(() => isSettled || disk.halted, Infinity);
  await Promise.race([settled, halted.then(() => (isSettled ? settled : undefined))]);
}

/** A halted disk fails whatever waits for it; anything else that fails is a fault. */
async function attempt(disk: MemoryDisk, progress: Progress): Promise<void> {
  try {
    await orHalt(disk, work(disk, progress));
  } catch (error) {
    if (!disk.halted) throw error;
  }
}

async function problemAfter(disk: MemoryDisk, progress: Progress): Promise<string | undefined> {
  const store = await openOn(disk);
  const count = countIn(store);
  const found = [...store.range()];
  await store.close();
  if (count < progress.acknowledged) return `${progress.acknowledged} acknowledged, ${count} there`;
  if (count > progress.started) return `${count} there, ${progress.started} begun`;
  const expected = modelAfter(count).range();
  return JSON.stringify(found) === JSON.stringify(expected) ? undefined : `${count} is not whole`;
}

test("after any operation loses nothing that was acknowledged and halves no batch", async () => {
  const whole = new MemoryDisk();
  await attempt(whole, { started: 0, acknowledged: 0 });
  expect(whole.operations).toBeGreaterThan(80);
  const problems: string[] = [];
  for (let halt = 1; halt <= whole.operations; halt++) {
    const disk = new MemoryDisk();
    disk.haltAt(halt);
    const progress = { started: 0, acknowledged: 0 };
    await attempt(disk, progress);
    const survivor = disk.crash(new Prng(halt), halt % 3 === 0 ? "loseAll" : "mixed");
    survivor.haltAt(1 + (halt % 29));
    await attempt(survivor, progress);
    const problem = await problemAfter(survivor.crash(new Prng(halt + 1)), progress);
    if (problem !== undefined) problems.push(`halted at ${halt}: ${problem}`);
  }
  expect(problems).toEqual([]);
});
