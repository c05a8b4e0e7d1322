/**
 * An error of the disk at every k-th operation of a run: lack of room, once or for a while, which
 * the store has to live with; a failed write, sync, removal or read, after which it has to stop or
 * be right. Whatever it did, all that was acknowledged must be there after a power cut.
 */
import { Prng } from "../../src/base/prng.js";
import type { DiskFault } from "../sim/memory-disk.js";
import { MemoryDisk } from "../sim/memory-disk.js";
import type { Configuration } from "./configurations.js";
import { configurationOf } from "./configurations.js";
import type { Operation } from "./operations.js";
import { drawOperations, drawShape } from "./operations.js";
import { Run } from "./run.js";
import { problemOf } from "./survivor.js";

export interface ErrorReport {
  readonly injected: number;
  /** Runs that went on to their end all the same. */
  readonly survived: number;
  readonly problems: readonly string[];
}

const FAULTS: readonly (Omit<DiskFault, "skip"> & { readonly name: string })[] = [
  { name: "an error", code: "io" },
  { name: "a failed sync that forgets", code: "io", operation: "sync" },
  { name: "a failed sync that reverts", code: "io", operation: "sync", reverts: true },
  { name: "a failed read", code: "io", operation: "read" },
  { name: "a disk that stays broken", code: "io", times: Infinity },
  { name: "no room once", code: "noSpace" },
  { name: "no room for a while", code: "noSpace", times: 8 },
];

/** `stride`: a fault at every so many-th operation, of each kind in turn. */
export async function errorsEverywhere(
  seed: number,
  operationCount: number,
  stride: number,
): Promise<ErrorReport> {
  const prng = new Prng(seed);
  const operations = drawOperations(prng, drawShape(prng, operationCount));
  const configuration = { ...configurationOf(seed, 10 + (seed % 90)), powerCut: 0 };
  const total = await operationsOf(operations, configuration, seed);
  const problems: string[] = [];
  let injected = 0;
  let survived = 0;
  for (let skip = seed % stride; skip < total; skip += stride) {
    const { name, ...fault } = FAULTS[injected++ % FAULTS.length]!;
    const disk = new MemoryDisk({ completion: "manual" });
    disk.inject({ ...fault, skip: "operation" in fault ? skip >> 2 : skip });
    const run = new Run(disk, { operations, configuration, seed, toleratesErrors: true });
    const where = `seed ${seed}, ${name} at operation ${skip}`;
    try {
      if (await run.all()) survived++;
    } catch (error) {
      problems.push(`${where}: ${String(error)}`);
    }
    disk.clearFaults();
    const survivor = { disk: disk.crash(prng.split(), "mixed"), shards: run.shards };
    const problem = await problemOf(survivor, configuration.store);
    if (problem !== undefined) problems.push(`${where}, then a power cut: ${problem}`);
  }
  return { injected, survived, problems };
}

async function operationsOf(
  operations: readonly Operation[],
  configuration: Configuration,
  seed: number,
): Promise<number> {
  const disk = new MemoryDisk({ completion: "manual" });
  await new Run(disk, { operations, configuration, seed }).all();
  return disk.operations;
}
