/** The command of the campaigns against the storage engine; `USAGE` says what it takes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BadArgument, numberOf, runCommand } from "../command.js";
import { MUTANT_VARIABLE } from "../sim/mutant.js";
import { workerOf } from "../sim/mutant-campaign.js";
import { mutantNamed } from "../sim/mutants.js";
import { runAgain } from "../sim/worker-process.js";
import { crashEverywhere } from "./crashes.js";
import { errorsEverywhere } from "./errors.js";
import { killLoop } from "./kills.js";
import { metamorphic } from "./metamorphic.js";

const USAGE = `npm run -s crash -- CAMPAIGN [options]

  cuts          the power is cut before every operation of the disk
  errors        an error of the disk at every operation
  metamorphic   one list of operations under many configurations
  kills         a process on a real disk is killed again and again

  --from S --count N    seeds; 1 and 20
  --minutes M           seeds until then instead of a count
  --operations N        length of a list of operations; 200
  --configurations N    of metamorphic; 60
  --stride N            of errors: a fault at every so many-th operation; 3
  --kills N             of kills; 100
  --directory DIR       of kills: where; a new one below the system's temporary directory
  --mutant NAME         on a product with a known bug, as the simulator lists them

Exit code: 0 when every seed passed, 1 when one failed, 2 for bad arguments.`;

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
    const { cuts, problems } = await crashEverywhere(seed, numberOf(operations));
    return { done: `${cuts} power cuts`, problems };
  },
  errors: async (seed, { operations, stride }) => {
    const report = await errorsEverywhere(seed, numberOf(operations), numberOf(stride));
    const { injected, survived, problems } = report;
    return { done: `${injected} errors, ${survived} of them survived`, problems };
  },
  metamorphic: async (seed, { operations, configurations }) => {
    const problems = await metamorphic(seed, numberOf(operations), numberOf(configurations));
    return { done: `${configurations} configurations`, problems };
  },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [name = ""] = positionals;
  if (values.mutant !== undefined && process.env[MUTANT_VARIABLE] === undefined) {
    return runAgain(workerOf(mutantNamed(values.mutant)));
  }
  if (name === "kills") return runKills(values);
  const campaign = CAMPAIGNS[name];
  if (campaign === undefined) {
    const known = [...Object.keys(CAMPAIGNS), "kills"].join(", ");
    throw new BadArgument(
      name === "" ? `which campaign: ${known}?` : `no campaign ${name}: ${known}`,
    );
  }
  return runSeeds(campaign, values);
}

async function runSeeds(campaign: Campaign, values: Values): Promise<number> {
  const first = numberOf(values.from);
  const untilMs = endOf(values);
  const last = untilMs === undefined ? first + numberOf(values.count) - 1 : Infinity;
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
    seed: numberOf(values.from),
    kills: untilMs === undefined ? numberOf(values.kills) : Infinity,
    untilMs,
  });
  console.log(`${kills} kills, ${entries} entries, ${problems.length} problems`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (problems.length > 0) return 1;
  if (values.directory === undefined) rmSync(directory, { recursive: true });
  return 0;
}

function endOf({ minutes }: Values): number | undefined {
  return minutes === undefined ? undefined : Date.now() + numberOf(minutes) * 60_000;
}

await runCommand(USAGE, main);
