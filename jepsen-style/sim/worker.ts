/** A process that runs the seeds its parent sends and answers with what became of each. */
import { drawFaults } from "./faults.js";
import { drawSettings, streamsOf } from "./settings.js";
import { simulate } from "./simulate.js";
import type { RunResult } from "./simulate.js";

/** Every so many seeds one is run twice: both runs must be the same. */
export const TWICE_EVERY = 20;

export interface SeedReport {
  readonly result: RunResult;
  readonly tookMs: number;
  readonly twice: boolean;
}

export async function reportSeed(seed: number): Promise<SeedReport> {
  const settings = drawSettings(seed);
  const faults = drawFaults(settings, streamsOf(seed).faults);
  const startMs = performance.now();
  const result = await simulate(settings, faults);
  const tookMs = performance.now() - startMs;
  if (seed % TWICE_EVERY !== 0) return { result, tookMs, twice: false };
  const again = await simulate(settings, faults);
  if (again.digest === result.digest) return { result, tookMs, twice: true };
  const failure = `two runs differ: digests ${result.digest} and ${again.digest}`;
  return { result: { ...result, failure: result.failure ?? failure }, tookMs, twice: true };
}

/** Serves until the parent lets go. */
export function serveSeeds(): Promise<number> {
  // A trace costs more than the error, and a failing seed is run again anyway.
  Error.stackTraceLimit = 0;
  return new Promise((resolve) => {
    process.on("message", (seed: number) => {
      reportSeed(seed).then(
        (report) => process.send?.(report),
        (error: unknown) => {
          console.error(`seed ${seed}:`, error);
          process.exit(3);
        },
      );
    });
    process.on("disconnect", () => resolve(0));
  });
}
