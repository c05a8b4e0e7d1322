/**
 * Many seeds on several processes: what failed and how to see it again, what struck how often, what
 * happened inside, and how fast it went. A process that takes too long over a seed is ended, and
 * the seed counts as failed: something in it never stops.
 */
import type { ChildProcess } from "node:child_process";
import { WANTED_MARKS } from "./marks.js";
import { seeAgain } from "./replay.js";
import type { SeedReport } from "./worker.js";
import { askWorker, startWorker } from "./worker-process.js";

export interface CampaignOptions {
  readonly from: number;
  readonly count: number;
  /** Wall-clock end; undefined: when `count` seeds are done. */
  readonly untilMs: number | undefined;
  readonly jobs: number;
  /** The known bug that the product has; ends with the first seed that fails then. */
  readonly mutant: string | undefined;
  readonly json: boolean;
  readonly say: (line: string) => void;
}

interface Totals {
  seeds: number;
  twice: number;
  readonly failed: { readonly seed: number; readonly failure: string }[];
  simulatedMs: number;
  tookMs: number;
  events: number;
  operations: number;
  commits: number;
  readonly faults: Map<string, number>;
  readonly marks: Map<string, number>;
}

const PROGRESS_MS = 10_000;
/** With fewer seeds than this a mark may be missing by chance. */
const SEEDS_FOR_MARKS = 300;

export async function runCampaign(options: CampaignOptions): Promise<number> {
  const startMs = Date.now();
  const totals = emptyTotals();
  let next = options.from;
  const take = (): number | undefined => {
    const late = options.untilMs !== undefined && Date.now() > options.untilMs;
    const found = options.mutant !== undefined && totals.failed.length > 0;
    return late || found || next >= options.from + options.count ? undefined : next++;
  };
  const progress = setInterval(() => {
    options.say(`${totals.seeds} seeds, ${totals.failed.length} failed`);
  }, PROGRESS_MS);
  const jobs = Math.min(options.jobs, options.count);
  await Promise.all(Array.from({ length: jobs }, () => work(take, totals, options)));
  clearInterval(progress);
  const missing = totals.seeds < SEEDS_FOR_MARKS ? [] : missingMarks(totals);
  for (const line of summary(totals, missing, Date.now() - startMs)) options.say(line);
  if (options.json) options.say(JSON.stringify(asJson(totals, missing)));
  return totals.failed.length + missing.length === 0 ? 0 : 1;
}

async function work(
  take: () => number | undefined,
  totals: Totals,
  options: CampaignOptions,
): Promise<void> {
  let child: ChildProcess | undefined;
  for (let seed = take(); seed !== undefined; seed = take()) {
    child ??= startWorker();
    const answer = await askWorker(child, seed);
    if (typeof answer === "string") {
      child.kill("SIGKILL");
      child = undefined;
      totals.seeds++;
      fail(totals, seed, answer, options);
    } else {
      add(totals, answer, options);
    }
  }
  child?.disconnect();
}

function emptyTotals(): Totals {
  return {
    seeds: 0,
    twice: 0,
    failed: [],
    simulatedMs: 0,
    tookMs: 0,
    events: 0,
    operations: 0,
    commits: 0,
    faults: new Map(),
    marks: new Map(),
  };
}

function add(totals: Totals, report: SeedReport, options: CampaignOptions): void {
  const { result, tookMs, twice } = report;
  totals.seeds++;
  if (twice) totals.twice++;
  totals.simulatedMs += result.simulatedMs;
  totals.tookMs += tookMs;
  totals.events += result.events;
  totals.operations += result.operations;
  totals.commits += result.commits;
  addCounts(totals.faults, result.faults);
  addCounts(totals.marks, result.marks);
  if (result.failure !== undefined) fail(totals, result.seed, result.failure, options);
}

function fail(
  totals: Totals,
  seed: number,
  failure: string,
  { mutant, say }: CampaignOptions,
): void {
  totals.failed.push({ seed, failure });
  say(`seed ${seed} FAILED: ${failure}`);
  say(`  see it: ${seeAgain({ seed, mutant })}`);
}

function addCounts(total: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) {
    total.set(name, (total.get(name) ?? 0) + count);
  }
}

function missingMarks(totals: Totals): readonly string[] {
  return WANTED_MARKS.filter((mark) => !totals.marks.has(mark));
}

function summary(totals: Totals, missing: readonly string[], tookMs: number): readonly string[] {
  const { seeds, simulatedMs, events, operations, commits } = totals;
  const ratio = totals.tookMs === 0 ? 0 : simulatedMs / totals.tookMs;
  const perSecond = totals.tookMs === 0 ? 0 : (events * 1000) / totals.tookMs;
  return [
    `${seeds} seeds in ${(tookMs / 1000).toFixed(0)} s, ${totals.failed.length} failed; ` +
      `${totals.twice} were run twice`,
    `${(simulatedMs / 1000).toFixed(0)} s simulated, ${ratio.toFixed(0)} times as fast as real ` +
      `time on one core; ${events} events, ${perSecond.toFixed(0)} a second`,
    `${operations} operations, ${commits} entries committed`,
    `faults: ${listed(totals.faults)}`,
    `marks: ${listed(totals.marks)}`,
    ...missing.map((mark) => `mark never reached: ${mark}`),
  ];
}

function listed(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

function asJson(totals: Totals, missing: readonly string[]): object {
  const { faults, marks, ...rest } = totals;
  return { ...rest, faults: Object.fromEntries(faults), marks: Object.fromEntries(marks), missing };
}
