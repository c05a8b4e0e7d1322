/**
 * Whether the simulator finds what it is for: each mutant is run from several starting seeds, each
 * time until a seed fails. A mutant that passes all its seeds shows what no run tests.
 */
import type { Mutant } from "./mutant.js";
import { MUTANT_VARIABLE } from "./mutant.js";
import { askWorker, startWorker } from "./worker-process.js";
import type { WorkerOptions } from "./worker-process.js";

export interface MutantCampaignOptions {
  readonly mutants: readonly Mutant[];
  readonly from: number;
  /** Seeds that a mutant may pass before it counts as not found. */
  readonly count: number;
  readonly repeats: number;
  readonly jobs: number;
  readonly say: (line: string) => void;
}

interface Found {
  readonly seed: number;
  /** Seeds that it took. */
  readonly seeds: number;
  readonly by: string;
  readonly failure: string;
}

interface Row {
  readonly mutant: Mutant;
  readonly searches: (Found | undefined)[];
}

/** Starting seeds lie this far apart. */
const STRIDE = 10_000;

/** What starts a process with a mutant in it. */
export function workerOf(mutant: Mutant): WorkerOptions {
  const preload = new URL("./mutant-preload.js", import.meta.url).href;
  return { execArgv: ["--import", preload], env: { [MUTANT_VARIABLE]: mutant.name } };
}

export async function runMutants(options: MutantCampaignOptions): Promise<number> {
  const rows = options.mutants.map((mutant): Row => ({ mutant, searches: [] }));
  const tasks = rows.flatMap((row) =>
    Array.from({ length: options.repeats }, (_, repeat) => ({ row, repeat })),
  );
  const work = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      const { row, repeat } = task;
      const found = await search(row.mutant, options.from + repeat * STRIDE, options.count);
      row.searches.push(found);
      options.say(`${row.mutant.name}: ${found === undefined ? "NOT FOUND" : told(found)}`);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  for (const line of table(rows)) options.say(line);
  const isFound = ({ searches }: Row): boolean => searches.every((each) => each !== undefined);
  return rows.every(isFound) ? 0 : 1;
}

async function search(mutant: Mutant, from: number, count: number): Promise<Found | undefined> {
  const child = startWorker(workerOf(mutant));
  try {
    for (let seeds = 1; seeds <= count; seeds++) {
      const seed = from + seeds - 1;
      const answer = await askWorker(child, seed);
      if (typeof answer === "string") return { seed, seeds, by: "process", failure: answer };
      const { failure, foundBy } = answer.result;
      if (failure !== undefined) return { seed, seeds, by: foundBy ?? "digest", failure };
    }
    return undefined;
  } finally {
    child.kill("SIGKILL");
  }
}

function told({ seed, seeds, by, failure }: Found): string {
  const [first = ""] = failure.split("\n");
  return `seed ${seed}, the ${seeds}., by ${by}: ${first}`;
}

/** As Markdown. */
function table(rows: readonly Row[]): readonly string[] {
  return [
    "| Mutant | Bug | Found | Median seeds | Found by |",
    "| ------ | --- | ----- | ------------ | -------- |",
    ...rows.map(({ mutant, searches }) => {
      const found = searches.filter((each) => each !== undefined);
      const seeds = found.map((each) => each.seeds).sort((a, b) => a - b);
      const median = seeds[seeds.length >> 1] ?? "–";
      const by = [...new Set(found.map((each) => each.by))].sort().join(", ");
      const rate = `${found.length}/${searches.length}`;
      return `| ${mutant.name} | ${mutant.bug} | ${rate} | ${median} | ${by} |`;
    }),
  ];
}
