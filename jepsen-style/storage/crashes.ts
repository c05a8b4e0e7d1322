/**
 * A power cut before every operation of the disk in one run. At each the disk is copied as a cut
 * would leave it, with what was acknowledged by then, and the copy is looked at (survivor.ts). Some
 * of the copies are cut off again at every operation of their recovery.
 */
import { Prng } from "../../src/base/prng.js";
import type { CrashStyle } from "../sim/memory-disk.js";
import { MemoryDisk } from "../sim/memory-disk.js";
import type { Configuration } from "./configurations.js";
import { configurationOf } from "./configurations.js";
import { drawOperations, drawShape } from "./operations.js";
import type { Shard } from "./owner.js";
import { Run } from "./run.js";
import { copyOf, problemOf } from "./survivor.js";
import type { Survivor } from "./survivor.js";

export interface CrashReport {
  /** Places at which the power was cut, those inside of recoveries included. */
  readonly cuts: number;
  readonly problems: readonly string[];
}

interface Cut extends Survivor {
  readonly where: string;
  /** In the middle of the recovery from an earlier cut. */
  readonly isSecond: boolean;
}

const STYLES: readonly CrashStyle[] = ["mixed", "loseAll", "keepAll"];
/** Every so many-th survivor is cut off again while it recovers. */
const AGAIN_EVERY = 29;

export async function crashEverywhere(seed: number, operationCount: number): Promise<CrashReport> {
  const prng = new Prng(seed);
  const operations = drawOperations(prng, drawShape(prng, operationCount));
  // A cut of the run's own would replace the disk that is watched.
  const configuration = { ...configurationOf(seed, 10 + (seed % 90)), powerCut: 0 };
  const campaign = new Campaign(configuration, prng);
  const disk = new MemoryDisk({ completion: "manual" });
  const run = new Run(disk, { operations, configuration, seed });
  campaign.watch(disk, run.shards, `seed ${seed}`, false);
  try {
    const ended = await run.all(() => campaign.checkAll());
    if (!ended) campaign.problems.push(`seed ${seed}: the store ended by itself`);
  } catch (error) {
    campaign.problems.push(`seed ${seed}: ${String(error)}`);
  }
  await campaign.checkAll();
  return { cuts: campaign.cuts, problems: campaign.problems };
}

class Campaign {
  cuts = 0;
  readonly problems: string[] = [];
  readonly #configuration: Configuration;
  readonly #prng: Prng;
  #waiting: Cut[] = [];

  constructor(configuration: Configuration, prng: Prng) {
    this.#configuration = configuration;
    this.#prng = prng;
  }

  /** Copies the disk before each of its operations. */
  watch(
    disk: MemoryDisk,
    shards: ReadonlyMap<number, Shard>,
    from: string,
    isSecond: boolean,
  ): void {
    let count = 0;
    disk.watch((operation) => {
      const style = STYLES[this.#prng.between(0, 2)]!;
      const where = `${from}, ${style} before operation ${++count} (${operation})`;
      const survivor = disk.crash(this.#prng.split(), style);
      this.#waiting.push({ where, isSecond, disk: survivor, shards: copyOf(shards) });
    });
  }

  async checkAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const cut = this.#waiting.shift()!;
      const { disk, shards, where } = cut;
      if (++this.cuts % AGAIN_EVERY === 0 && !cut.isSecond) {
        this.watch(disk, shards, `${where}, then`, true);
      }
      const problem = await problemOf(cut, this.#configuration.store, () =>
        disk.watch(() => undefined),
      );
      if (problem !== undefined) this.problems.push(`${where}: ${problem}`);
    }
  }
}
