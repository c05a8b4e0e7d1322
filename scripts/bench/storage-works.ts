/** What is measured: each work drives an engine and says how many operations that were. */
import type { StorageData } from "./storage-data.js";
import type { StorageEngine, Tally } from "./storage-engines.js";
import { turn } from "./storage-engines.js";
import type { TimedWork } from "./storage-settings.js";

const BATCH = 100;
const SEEK_STEPS = 10;
const IN_FLIGHT = 64;

/** Entries that one synced put stands for, and so on: these works would take too long for all. */
const SHARE: Readonly<Record<TimedWork, number>> = {
  "fill-sequential": 1,
  "fill-random": 1,
  overwrite: 1,
  "get-recent": 5,
  get: 5,
  "seek-10": 50,
  scan: 1,
  "put-sync": 100,
  "put-sync-64": 50,
};

/** Does the work once; returns the number of operations. */
export async function runWork(
  work: TimedWork,
  engine: StorageEngine,
  data: StorageData,
): Promise<number> {
  const { shuffled } = data;
  const count = Math.max(1, Math.floor(data.entries / SHARE[work]));
  switch (work) {
    case "fill-sequential":
      return fill(engine, data, (i) => i);
    case "fill-random":
      return fill(engine, data, (i) => shuffled[i]!);
    case "overwrite":
      return fill(engine, data, (i) => shuffled[shuffled.length - 1 - i]!);
    case "get-recent":
      return gets(engine, data, data.shuffled.subarray(0, count));
    case "get":
      return gets(engine, data, data.asked.subarray(0, count));
    case "seek-10":
      return seeks(engine, data, count);
    case "scan":
      return scan(engine, data);
    case "put-sync":
      for (let i = 0; i < count; i++) {
        const n = shuffled[i]!;
        await engine.putSync(data.key(n), data.value(n + i));
      }
      return count;
    case "put-sync-64":
      return putsAtOnce(engine, data, count);
  }
}

async function fill(
  engine: StorageEngine,
  data: StorageData,
  numberAt: (i: number) => number,
): Promise<number> {
  for (let at = 0; at < data.entries; at += BATCH) {
    const keys: Buffer[] = [];
    const values: Buffer[] = [];
    for (let i = at; i < Math.min(at + BATCH, data.entries); i++) {
      keys.push(data.key(numberAt(i)));
      values.push(data.value(numberAt(i) + i));
    }
    await engine.write(keys, values);
    // A write that need not wait settles at once: without this nothing else would get its turn.
    await turn();
  }
  return data.entries;
}

async function gets(
  engine: StorageEngine,
  data: StorageData,
  numbers: Uint32Array,
): Promise<number> {
  for (let i = 0; i < numbers.length; i++) {
    const value = engine.get(data.key(numbers[i]!));
    if (value?.length !== data.valueBytes) throw new Error("a get found something else");
    if (i % BATCH === 0) await turn();
  }
  return numbers.length;
}

async function seeks(engine: StorageEngine, data: StorageData, count: number): Promise<number> {
  const tally: Tally = { entries: 0, sum: 0 };
  let expected = 0;
  for (let i = 0; i < count; i++) {
    const n = data.asked[data.entries - 1 - i]!;
    expected += Math.min(SEEK_STEPS, data.entries - n);
    await engine.seek(data.key(n), SEEK_STEPS, tally);
    if (i % BATCH === 0) await turn();
  }
  if (tally.entries !== expected) throw new Error("a seek found something else");
  return count;
}

async function scan(engine: StorageEngine, data: StorageData): Promise<number> {
  const tally: Tally = { entries: 0, sum: 0 };
  await engine.scan(tally);
  if (tally.entries !== data.entries) throw new Error(`a scan found ${tally.entries} entries`);
  return tally.entries;
}

async function putsAtOnce(
  engine: StorageEngine,
  data: StorageData,
  count: number,
): Promise<number> {
  let next = 0;
  const putOneByOne = async (): Promise<void> => {
    while (next < count) {
      const n = data.shuffled[next++]!;
      await engine.putSync(data.key(n), data.value(n + 1));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, putOneByOne));
  return count;
}
