/**
 * An Env for tests: the in-memory disk, fake or real time, jobs run inline, chance from a seed,
 * silence. It has no network unless one is given: use of it is a test's mistake and throws.
 */
import { Prng } from "../../src/base/prng.js";
import type { Env } from "../../src/env/env.js";
import { inlineJobs } from "../../src/env/jobs.js";
import type { Network } from "../../src/env/network.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import type { Random } from "../../src/env/random.js";
import { SILENT_TRACER } from "../../src/env/tracer.js";
import type { Tracer } from "../../src/env/tracer.js";
import { FakeTimers } from "./fake-timers.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

export interface TestEnvOptions {
  readonly disk?: MemoryDisk | undefined;
  /** "real": the system's clock and timers; otherwise the fake ones. */
  readonly time?: "real" | "fake" | undefined;
  readonly seed?: number | undefined;
  readonly network?: Network | undefined;
  readonly tracer?: Tracer | undefined;
  /** What runs the jobs, inline; without it a job fails. */
  readonly job?: ((job: unknown) => unknown) | undefined;
}

/** An Env whose disk and time are known as what they are. */
export interface TestEnv extends Env {
  readonly disk: MemoryDisk;
  /** The time behind `clock` and `timers`, unless it is real. */
  readonly fake: FakeTimers;
}

export function testEnv(options: TestEnvOptions = {}): TestEnv {
  const fake = new FakeTimers();
  const real = options.time === "real";
  return {
    clock: real ? nodeClock : fake,
    timers: real ? nodeTimers : fake,
    fake,
    disk: options.disk ?? new MemoryDisk(),
    network: options.network ?? NO_NETWORK,
    random: seededRandom(options.seed ?? 1),
    tracer: options.tracer ?? SILENT_TRACER,
    jobs: inlineJobs(options.job ?? refuseJob),
  };
}

export function seededRandom(seed: number): Random {
  const prng = new Prng(seed);
  return {
    fraction: () => prng.fraction(),
    uniqueId: () => {
      let id = "";
      for (let i = 0; i < 4; i++) id += prng.u32().toString(16).padStart(8, "0");
      return id;
    },
  };
}

/** Lets real turns of the event loop pass until `condition` holds. */
export async function turnsUntil(condition: () => boolean, turnsMax = 10_000): Promise<void> {
  for (let turn = 0; turn < turnsMax; turn++) {
    if (condition()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  throw new Error(`the condition did not hold within ${turnsMax} turns`);
}

const NO_NETWORK: Network = {
  listen: () => Promise.reject(new Error("this test has no network")),
  connect: () => Promise.reject(new Error("this test has no network")),
};

function refuseJob(): unknown {
  throw new Error("this test runs no jobs");
}
