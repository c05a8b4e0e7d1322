/**
 * The simulator's command.
 *
 *   npm run sim -- --seed 7                 one seed
 *   npm run sim -- --seed 7 --trace         the same, told line by line
 *   npm run sim -- --seed 7 --minimise      fewer faults with the same failure
 *   npm run sim -- --seed 7 --only 3,9      only these of its faults, as --minimise prints them
 *   npm run sim -- --from 1 --count 1000    a campaign; --hours H instead of --count
 *   npm run sim -- --mutant NAME …          any of these on a product with a known bug; a campaign
 *                                           ends with the first seed that fails
 *   npm run sim -- --mutants --repeats 3    every known bug, each until it is found, as a table;
 *                                           --count: after so many seeds it counts as not found
 *
 * Exit code: 0 when every seed passed, 1 when one failed, 2 for bad arguments; with --mutants 0
 * when every mutant was found.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { runCampaign } from "./campaign.js";
import { drawFaults } from "./faults.js";
import type { Fault } from "./faults.js";
import { minimise } from "./minimise.js";
import { MUTANT_VARIABLE } from "./mutant.js";
import { runMutants, workerOf } from "./mutant-campaign.js";
import { MUTANTS, mutantNamed } from "./mutants.js";
import { drawSettings, streamsOf } from "./settings.js";
import { simulate } from "./simulate.js";
import type { RunResult } from "./simulate.js";
import { traceTo } from "./trace.js";
import { serveSeeds } from "./worker.js";

const OPTIONS = {
  seed: { type: "string" },
  trace: { type: "boolean" },
  minimise: { type: "boolean" },
  only: { type: "string" },
  from: { type: "string" },
  count: { type: "string" },
  hours: { type: "string" },
  jobs: { type: "string" },
  json: { type: "boolean" },
  mutant: { type: "string" },
  mutants: { type: "boolean" },
  repeats: { type: "string" },
  worker: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parse>;

function parse(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"] {
  return parseArgs({ options: OPTIONS }).values;
}

async function main(): Promise<number> {
  let values: Values;
  try {
    values = parse();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (values.worker === true) return serveSeeds();
  if (values.mutants === true) return runAllMutants(values);
  if (values.mutant !== undefined && process.env[MUTANT_VARIABLE] === undefined) {
    return runAgainWith(values.mutant);
  }
  if (values.seed !== undefined) return runSeed(number(values.seed), values);
  return runCampaign({
    from: number(values.from ?? "1"),
    count: values.hours === undefined ? number(values.count ?? "100") : Number.POSITIVE_INFINITY,
    untilMs: values.hours === undefined ? undefined : Date.now() + number(values.hours) * 3_600_000,
    jobs: number(values.jobs ?? "2"),
    untilFailure: values.mutant !== undefined,
    json: values.json === true,
    say: (line) => console.log(line),
  });
}

/** The same command in a process that has the mutant in it. */
function runAgainWith(name: string): number {
  const { execArgv = [], env } = workerOf(mutantNamed(name));
  const args = [...execArgv, ...process.argv.slice(1)];
  const child = spawnSync(process.execPath, args, {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return child.status ?? 1;
}

function runAllMutants(values: Values): Promise<number> {
  const { mutant } = values;
  return runMutants({
    mutants: mutant === undefined ? MUTANTS : mutant.split(",").map(mutantNamed),
    from: number(values.from ?? "1"),
    count: number(values.count ?? "300"),
    repeats: number(values.repeats ?? "1"),
    jobs: number(values.jobs ?? "2"),
    say: (line) => console.log(line),
  });
}

async function runSeed(seed: number, values: Values): Promise<number> {
  const settings = drawSettings(seed);
  const all = drawFaults(settings, streamsOf(seed).faults);
  const faults = values.only === undefined ? all : chosen(all, values.only);
  if (values.minimise === true) {
    const kept = await minimise(settings, faults, (line) => console.log(line));
    if (kept === undefined) return 0;
    const numbers = kept.map((fault) => all.indexOf(fault)).join(",");
    for (const fault of kept) console.log(`  ${JSON.stringify(fault)}`);
    console.log(`again: npm run sim -- --seed ${seed} --only ${numbers || "none"} --trace`);
    return 1;
  }
  const observer = values.trace === true ? traceTo((line) => console.log(line)) : {};
  const startMs = performance.now();
  const result = await simulate(settings, faults, observer);
  console.log(described(result, performance.now() - startMs));
  if (values.json === true) console.log(JSON.stringify({ ...result, settings }));
  return result.failure === undefined ? 0 : 1;
}

function described(result: RunResult, tookMs: number): string {
  const { seed, failure, simulatedMs, events, digest, acknowledged, operations } = result;
  const verdict = failure === undefined ? "passed" : `FAILED: ${failure}`;
  const faults = Object.entries(result.faults).map(([kind, count]) => `${count} ${kind}`);
  return [
    `seed ${seed} ${verdict}`,
    `  ${(simulatedMs / 1000).toFixed(1)} s simulated in ${(tookMs / 1000).toFixed(2)} s, ` +
      `${events} events, ${result.elections} leaders, ${result.commits} entries committed`,
    `  ${acknowledged} of ${operations} operations acknowledged; digest ${digest}`,
    `  faults: ${faults.join(", ") || "none"}`,
  ].join("\n");
}

/** The faults with these numbers; "none" for none. */
function chosen(all: readonly Fault[], only: string): readonly Fault[] {
  if (only === "none") return [];
  return only.split(",").map((text) => {
    const fault = all[number(text)];
    if (fault === undefined) throw new Error(`there is no fault ${text}`);
    return fault;
  });
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`not a number: ${text}`);
  return value;
}

process.exitCode = await main();
