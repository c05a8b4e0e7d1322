/** The simulator's command; `USAGE` says what it takes. */
import { parseArgs } from "node:util";
import { BadArgument, numberOf, runCommand } from "../command.js";
import { runBench } from "./bench.js";
import { runCampaign } from "./campaign.js";
import { drawFaults } from "./faults.js";
import type { Fault } from "./faults.js";
import { minimise } from "./minimise.js";
import { MUTANT_VARIABLE } from "./mutant.js";
import { runMutants, workerOf } from "./mutant-campaign.js";
import { MUTANTS, mutantNamed } from "./mutants.js";
import { makeSmaller, seeAgain } from "./replay.js";
import { drawSettings, streamsOf } from "./settings.js";
import { simulate } from "./simulate.js";
import type { RunResult } from "./simulate.js";
import { traceTo } from "./trace.js";
import { YOUNG_SPACE, runAgain } from "./worker-process.js";
import { serveSeeds } from "./worker.js";

const USAGE = `npm run -s sim -- [options]

  --seed 7                 one seed
  --seed 7 --trace         the same, told line by line
  --seed 7 --minimise      fewer faults with the same failure
  --seed 7 --only 3,9      only these of its faults, as --minimise prints them
  --from 1 --count 1000    a campaign; --hours H instead of --count; --jobs N processes
  --mutant NAME ...        any of these on a product with a known bug; a campaign then ends with
                           the first seed that fails
  --mutants --repeats 3    every known bug, each until it is found, as a table; --mutant A,B: only
                           these; --count N: after so many seeds one counts as not found
  --bench                  how fast it is: five nodes under load, no faults, fixed seeds, one core
  --json                   what one seed or a campaign came to, as one object

Exit code: 0 when every seed passed, 1 when one failed, 2 for bad arguments; with --mutants 0 when
every mutant was found.`;

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
  bench: { type: "boolean" },
  worker: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parse>;

function parse(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"] {
  return parseArgs({ options: OPTIONS }).values;
}

async function main(): Promise<number> {
  const values = parse();
  if (values.worker === true) return serveSeeds();
  if (values.bench === true) return bench();
  if (values.mutants === true) return runAllMutants(values);
  if (values.mutant !== undefined && process.env[MUTANT_VARIABLE] === undefined) {
    return runAgain(workerOf(mutantNamed(values.mutant)));
  }
  if (values.seed !== undefined) return runSeed(numberOf(values.seed), values);
  return runCampaign({
    from: numberOf(values.from ?? "1"),
    count: values.hours === undefined ? numberOf(values.count ?? "100") : Number.POSITIVE_INFINITY,
    untilMs:
      values.hours === undefined ? undefined : Date.now() + numberOf(values.hours) * 3_600_000,
    jobs: numberOf(values.jobs ?? "2"),
    mutant: values.mutant,
    json: values.json === true,
    say: (line) => console.log(line),
  });
}

/** As seeds of a campaign run. */
async function bench(): Promise<number> {
  const tuned = process.execArgv.includes(YOUNG_SPACE);
  return tuned ? runBench((line) => console.log(line)) : runAgain({ execArgv: [YOUNG_SPACE] });
}

function runAllMutants(values: Values): Promise<number> {
  const { mutant } = values;
  return runMutants({
    mutants: mutant === undefined ? MUTANTS : mutant.split(",").map(mutantNamed),
    from: numberOf(values.from ?? "1"),
    count: numberOf(values.count ?? "300"),
    repeats: numberOf(values.repeats ?? "1"),
    jobs: numberOf(values.jobs ?? "2"),
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
    console.log(`see it: ${seeAgain({ seed, only: numbers || "none", mutant: values.mutant })}`);
    return 1;
  }
  const observer = values.trace === true ? traceTo((line) => console.log(line)) : {};
  const startMs = performance.now();
  const result = await simulate(settings, faults, observer);
  console.log(described(result, performance.now() - startMs));
  if (values.json === true) console.log(JSON.stringify({ ...result, settings }));
  if (result.failure === undefined) return 0;
  const replay = { seed, only: values.only, mutant: values.mutant };
  if (values.trace !== true) console.log(`  see it: ${seeAgain(replay)}`);
  console.log(`  make it smaller: ${makeSmaller(replay)}`);
  return 1;
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
    const fault = all[numberOf(text)];
    if (fault === undefined) throw new BadArgument(`there is no fault ${text}`);
    return fault;
  });
}

await runCommand(USAGE, main);
