/**
 * The campaigns against the storage engine, each from a row of seeds:
 *
 *   npm run -s crash -- cuts          the power is cut before every operation of the disk
 *   npm run -s crash -- errors        an error of the disk at every operation
 *   npm run -s crash -- metamorphic   one list of operations under many configurations
 *   npm run -s crash -- kills         a process on a real disk is killed again and again
 *
 *   --from S --count N    seeds; 1 and 20
 *   --minutes M           seeds until then instead of a count
 *   --operations N        length of a list of operations; 200
 *   --configurations N    of metamorphic; 60
 *   --stride N            of errors: a fault at every so many-th operation; 3
 *   --kills N             of kills; 100
 *   --directory DIR       of kills: where; a new one below the system's temporary directory
 *   --mutant NAME         on a product with a known bug (see the simulator)
 *
 * Exit code: 0 when every seed passed, 1 when one failed, 2 for bad arguments.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTANT_VARIABLE } from "../sim/mutant.js";
import { workerOf } from "../sim/mutant-campaign.js";
import { mutantNamed } from "../sim/mutants.js";
import { crashEverywhere } from "./crashes.js";
import { errorsEverywhere } from "./errors.js";
import { killLoop } from "./kills.js";
import { metamorphic } from "./metamorphic.js";

const OPTIONS = {
  from: { type: "string", default: "1" },
  count: { type: "string", default: "20" },
  minutes: { type: "string" },
  operations: { type: "string", default: "200" },
  configurations: { type: "string", default: "60" },
  stride: { type: "string", default: "3" },
  kills: { type: "string", default: "100" },
  directory: { type: "string" },
  mutant: { type: "string" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

/** What a seed did in words, and what is wrong. */
interface Outcome {
  readonly done: string;
  readonly problems: readonly string[];
}

type Campaign = (seed: number, values: Values) => Promise<Outcome>;

const CAMPAIGNS: Readonly<Record<string, Campaign>> = {
  cuts: async (seed, { operations }) => {
    const { cuts, problems } = await crashEverywhere(seed, number(operations));
    return { done: `${cuts} power cuts`, problems };
  },
  errors: async (seed, { operations, stride }) => {
    const report = await errorsEverywhere(seed, number(operations), number(stride));
    const { injected, survived, problems } = report;
    return { done: `${injected} errors, ${survived} of them survived`, problems };
  },
  metamorphic: async (seed, { operations, configurations }) => {
    const problems = await metamorphic(seed, number(operations), number(configurations));
    return { done: `${configurations} configurations`, problems };
  },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [name = ""] = positionals;
  if (values.mutant !== undefined && process.env[MUTANT_VARIABLE] === undefined) {
    return runAgainWith(values.mutant);
  }
  if (name === "kills") return runKills(values);
  const campaign = CAMPAIGNS[name];
  if (campaign === undefined) {
    console.error(`no campaign "${name}": ${[...Object.keys(CAMPAIGNS), "kills"].join(", ")}`);
    return 2;
  }
  return runSeeds(campaign, values);
}

async function runSeeds(campaign: Campaign, values: Values): Promise<number> {
  const first = number(values.from);
  const untilMs = endOf(values);
  const last = untilMs === undefined ? first + number(values.count) - 1 : Infinity;
  let failed = 0;
  for (let seed = first; seed <= last && Date.now() < (untilMs ?? Infinity); seed++) {
    const startMs = performance.now();
    const { done, problems } = await campaign(seed, values);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    console.log(`seed ${seed}: ${done} in ${seconds} s, ${problems.length} problems`);
    for (const problem of problems.slice(0, 10)) console.log(`  ${problem}`);
    if (problems.length > 0) failed++;
    if (problems.length > 0 && values.mutant !== undefined) break;
  }
  return failed === 0 ? 0 : 1;
}

async function runKills(values: Values): Promise<number> {
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), "flotilla-kills-"));
  const untilMs = endOf(values);
  const { kills, entries, problems } = await killLoop(directory, {
    script: fileURLToPath(new URL("./kill-child.js", import.meta.url)),
    seed: number(values.from),
    kills: untilMs === undefined ? number(values.kills) : Infinity,
    untilMs,
  });
  console.log(`${kills} kills, ${entries} entries, ${problems.length} problems`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (problems.length > 0) return 1;
  if (values.directory === undefined) rmSync(directory, { recursive: true });
  return 0;
}

function endOf({ minutes }: Values): number | undefined {
  return minutes === undefined ? undefined : Date.now() + number(minutes) * 60_000;
}

/** The same command in a process that has the mutant in it. */
function runAgainWith(name: string): number {
  const { execArgv = [], env } = workerOf(mutantNamed(name));
  const child = spawnSync(process.execPath, [...execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return child.status ?? 1;
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`not a number: ${text}`);
  return value;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
