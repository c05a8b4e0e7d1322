/**
 * The machine stops after every k-th operation of the disk. Whatever it kept, lost or tore of what
 * was not synced: what was acknowledged is there, and what is there is a prefix of what was asked.
 */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import type { LogHardState, RecoveredShard, SharedLogOptions } from "../../src/log/log-types.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { CrashStyle } from "../../jepsen-style/sim/memory-disk.js";
import { contents, DIRECTORY, entries, openLog } from "./support.js";
import type { Opened } from "./support.js";

interface ModelShard {
  hardState: LogHardState | undefined;
  baseIndex: number;
  terms: Map<number, number>;
}

type Model = Map<number, ModelShard>;

const OPTIONS: SharedLogOptions = {
  segmentSizeBytes: 32 * 1024,
  firstSegmentSizeBytes: 16 * 1024,
  batchSizeBytesMax: 12 * 1024,
  onFailure: () => undefined,
};
const REPLICA = 5;
const PAYLOAD = 900;

/** Whoever replaces entries does so in a higher term; the log relies on it. */
let newestTerm = 0;

/** Issues random operations to the log and to a model, and remembers the model after each. */
class Workload {
  readonly model: Model;
  /** Every state that the log may legally be found in, oldest first. */
  readonly states: string[];
  acknowledged = 0;
  readonly #prng: Prng;

  /** `before`: what was legal before this start, which holds until the start is over. */
  constructor(prng: Prng, model: Model, before: readonly string[] = []) {
    this.#prng = prng;
    this.model = model;
    this.states = [...before, describeModel(model)];
  }

  get legal(): readonly string[] {
    return this.states.slice(this.acknowledged);
  }

  started(): void {
    this.acknowledged = this.states.length - 1;
  }

  step({ log, disk, env }: Opened): void {
    const changes = this.#prng.between(1, 4);
    for (let i = 0; i < changes; i++) {
      this.#change(log, this.#prng.between(1, 3));
      this.states.push(describeModel(this.model));
    }
    const issued = this.states.length - 1;
    log.commit(() => {
      this.acknowledged = issued;
    });
    disk.pump(this.#prng.between(0, 3));
    env.fake.advance(this.#prng.chance(0.1) ? 60 : 0);
  }

  #change(log: Opened["log"], shardId: number): void {
    const shard = this.#shard(shardId);
    const last = Math.max(shard.baseIndex, ...shard.terms.keys());
    const draw = this.#prng.between(0, 9);
    if (draw <= 4) {
      const from = this.#prng.between(Math.max(shard.baseIndex + 1, last - 2), last + 1);
      this.#append(log, shardId, shard, from);
    } else if (draw <= 6) {
      shard.hardState = { term: this.#prng.between(1, 9), vote: 1, commitIndex: shard.baseIndex };
      log.saveHardState(shardId, REPLICA, shard.hardState);
    } else if (draw <= 8) {
      // An index beyond the end is clipped to it.
      const upTo = this.#prng.between(shard.baseIndex, last + 1);
      for (let index = 1; index <= upTo; index++) shard.terms.delete(index);
      shard.baseIndex = Math.min(upTo, last);
      log.trim(shardId, upTo);
    } else if (this.#prng.chance(0.7)) {
      shard.terms.clear();
      shard.baseIndex = last + 5;
      log.reset(shardId, REPLICA, shard.baseIndex, ++newestTerm);
    } else {
      this.model.delete(shardId);
      log.clean(shardId);
    }
  }

  #append(log: Opened["log"], shardId: number, shard: ModelShard, from: number): void {
    const count = this.#prng.between(1, 3);
    newestTerm += this.#prng.between(1, 200);
    const term = newestTerm;
    for (const index of shard.terms.keys()) if (index >= from) shard.terms.delete(index);
    for (let i = 0; i < count; i++) shard.terms.set(from + i, term);
    log.append(shardId, REPLICA, entries(shardId, from, count, term, PAYLOAD));
  }

  /** A shard that does not exist begins with a hard state, in log and model alike. */
  #shard(shardId: number): ModelShard {
    let shard = this.model.get(shardId);
    if (shard === undefined) {
      shard = { hardState: undefined, baseIndex: 0, terms: new Map() };
      this.model.set(shardId, shard);
    }
    return shard;
  }
}

function describeModel(model: Model): string {
  const lines: string[] = [];
  for (const [shardId, shard] of [...model].sort(([a], [b]) => a - b)) {
    const terms = [...shard.terms].map(([index, term]) => `${index}@${term}`).join(" ");
    const known = shard.hardState !== undefined || shard.baseIndex > 0 || terms !== "";
    if (known) lines.push(line(shardId, shard.hardState, shard.baseIndex, terms));
  }
  return lines.join("\n");
}

function describeRecovered(recovered: ReadonlyMap<number, RecoveredShard>): string {
  const lines: string[] = [];
  for (const [shardId, shard] of [...recovered].sort(([a], [b]) => a - b)) {
    if (shard.health.kind !== "intact") throw new Error(`shard ${shardId} is called corrupt`);
    const terms: string[] = [];
    for (const [index, content] of contents(shard)) {
      const term = Number(content.split(":")[0]);
      const expected = entries(shardId, index, 1, term, PAYLOAD).bytes.join();
      if (content !== `${term}:${expected}`) throw new Error(`entry ${index} has other bytes`);
      terms.push(`${index}@${term}`);
    }
    const text = terms.join(" ");
    const known = shard.hardState !== undefined || shard.baseIndex > 0 || text !== "";
    if (known) lines.push(line(shardId, shard.hardState, shard.baseIndex, text));
  }
  return lines.join("\n");
}

function line(
  shardId: number,
  hardState: LogHardState | undefined,
  base: number,
  terms: string,
): string {
  return `${shardId}: ${JSON.stringify(hardState) ?? "-"} base ${base} ${terms}`;
}

/** Runs until `operations` more have been done on the disk, or `steps` are over. */
function run(workload: Workload, disk: MemoryDisk, steps: number): Opened | undefined {
  try {
    const opened = openLog(disk, OPTIONS);
    workload.started();
    for (let i = 0; i < steps && !disk.halted; i++) workload.step(opened);
    return opened;
  } catch (error) {
    const noSpace = error instanceof DiskError && error.code === "noSpace";
    if (!disk.halted && !noSpace) throw error;
    return undefined;
  }
}

function modelOf(recovered: ReadonlyMap<number, RecoveredShard>): Model {
  const model: Model = new Map();
  for (const [shardId, shard] of recovered) {
    const terms = new Map<number, number>();
    for (const [index, content] of contents(shard)) terms.set(index, Number(content.split(":")[0]));
    model.set(shardId, { hardState: shard.hardState, baseIndex: shard.baseIndex, terms });
  }
  return model;
}

/** Checks one crash; returns the disk after it. */
function checkCrash(
  workload: Workload,
  disk: MemoryDisk,
  prng: Prng,
  style: CrashStyle,
): MemoryDisk {
  const after = disk.crash(prng, style);
  // The probe must not disturb what is tested next: it works on a copy.
  const probe = after.crash(prng, "keepAll", { quotaBytes: Infinity });
  const { recovered } = openLog(probe, OPTIONS);
  const found = describeRecovered(recovered);
  expect(workload.legal).toContain(found);
  return after;
}

/** Checks a kill of the process only: the next one finds what is in the page cache. */
function checkKill(workload: Workload, disk: MemoryDisk, prng: Prng): MemoryDisk {
  disk.haltAt(Infinity);
  disk.kill(prng);
  checkCrash(workload, disk, prng, "keepAll");
  return disk;
}

const STEPS = 75;

describe("a crash after every k-th operation", () => {
  for (const style of ["mixed", "loseAll", "keepAll"] as const) {
    test(`keeps what was acknowledged (${style})`, () => {
      const whole = new MemoryDisk({ completion: "manual" });
      const probe = run(new Workload(new Prng(11), new Map()), whole, STEPS)!;
      expect(probe.log.stats().segments).toBeGreaterThan(1);
      expect(whole.operations).toBeGreaterThan(100);
      for (let k = 0; k < whole.operations; k++) {
        const disk = new MemoryDisk({ completion: "manual" });
        disk.haltAt(k);
        const workload = new Workload(new Prng(11), new Map());
        run(workload, disk, STEPS);
        checkCrash(workload, disk, new Prng(k), style);
      }
    });
  }

  // A tight disk makes starts go on in the last segment instead of creating one.
  for (const quotaBytes of [Infinity, 160 * 1024, 110 * 1024]) {
    test(`and again while recovering and going on, with ${quotaBytes} bytes`, () => {
      for (let seed = 0; seed < 25; seed++) {
        const prng = new Prng(seed);
        let disk = new MemoryDisk({ completion: "manual", quotaBytes });
        let workload = new Workload(prng.split(), new Map());
        for (let generation = 0; generation < 6; generation++) {
          disk.haltAt(disk.operations + prng.between(1, 120));
          run(workload, disk, STEPS);
          disk = prng.chance(0.4)
            ? checkKill(workload, disk, prng)
            : checkCrash(workload, disk, prng, "mixed");
          expect(disk.exists(DIRECTORY)).toBe(true);
          const { recovered } = openLog(
            disk.crash(prng, "keepAll", { quotaBytes: Infinity }),
            OPTIONS,
          );
          workload = new Workload(prng.split(), modelOf(recovered), workload.legal);
        }
      }
    });
  }
});
