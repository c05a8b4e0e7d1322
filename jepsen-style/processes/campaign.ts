/**
 * Many runs, one after the other, each in a process of its own: whatever becomes of one, the next
 * begins afresh. It tells after each how far it has come, and at the end all that was not valid.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must } from "../../src/base/assert.js";
import { Guard } from "./guard.js";
import type { Planned } from "./matrix.js";
import { commandOf, RUN_EXTRA_SECONDS, wordsOf } from "./settings.js";

export interface CampaignOptions {
  readonly out: string;
  /** The plans are gone through again, by the next seeds, until so much time is over. */
  readonly minutes: number | undefined;
}

const TABLE_HEAD: readonly string[] = [
  "| Workloads | Nemeses | Seed | Operations | Served | Faults | Verdict |",
  "| --------- | ------- | ---- | ---------- | ------ | ------ | ------- |",
];

interface Outcome {
  readonly plan: Planned;
  /** "broke off" says nothing of the product, and is a failure all the same. */
  readonly verdict: "valid" | "invalid" | "unknown" | "broke off";
  readonly report: string | undefined;
  readonly result: Summary | undefined;
  readonly row: string;
}

interface Summary {
  readonly verdict: "valid" | "invalid" | "unknown";
  readonly counts: { readonly operations: number; readonly served: number };
  readonly faults: readonly { readonly nemesis: string }[];
}

/** Exit code: 0 if all were valid, 1 if one was invalid or broke off, otherwise 2. */
export async function runCampaign(
  plans: readonly Planned[],
  options: CampaignOptions,
): Promise<number> {
  const outcomes: Outcome[] = [];
  const startedAt = performance.now();
  for (let at = 0; ; at++) {
    const minutes = (performance.now() - startedAt) / 60_000;
    const average = at === 0 ? 0 : minutes / at;
    const isOver =
      options.minutes === undefined ? at >= plans.length : minutes + average > options.minutes;
    if (isOver) break;
    const left = options.minutes ?? average * plans.length;
    const about = at === 0 ? "" : `; about ${Math.ceil(left - minutes)} min left`;
    console.log(`\nrun ${nameOf(at, plans.length)}; so far ${tally(outcomes)}${about}`);
    const plan = plans[at % plans.length]!;
    const seed = plan.seed + Math.floor(at / plans.length);
    outcomes.push(await runApart({ ...plan, seed }, options.out));
  }
  return summary(outcomes);
}

function nameOf(at: number, plans: number): string {
  const round = Math.floor(at / plans);
  return `${(at % plans) + 1} of ${plans}${round === 0 ? "" : `, round ${round + 1}`}`;
}

function tally(outcomes: readonly Outcome[]): string {
  const verdicts = [...new Set(outcomes.map(({ verdict }) => verdict))].sort();
  if (verdicts.length === 0) return "none";
  return verdicts
    .map((name) => `${outcomes.filter(({ verdict }) => verdict === name).length} ${name}`)
    .join(", ");
}

function summary(outcomes: readonly Outcome[]): number {
  console.log(["", ...TABLE_HEAD, ...outcomes.map(({ row }) => row)].join("\n"));
  for (const { verdict, plan, report } of outcomes) {
    if (verdict === "valid") continue;
    console.log(`\n${verdict}: ${commandOf(plan)}\n  ${report ?? "it left no report"}`);
  }
  console.log(`\n${totals(outcomes)}\n${outcomes.length} runs: ${tally(outcomes)}`);
  const has = (verdict: Outcome["verdict"]): boolean =>
    outcomes.some((each) => each.verdict === verdict);
  if (has("invalid") || has("broke off")) return 1;
  return has("unknown") ? 2 : 0;
}

/** What all of it came to. */
function totals(outcomes: readonly Outcome[]): string {
  const results = outcomes.flatMap(({ result }) => (result === undefined ? [] : [result]));
  const sum = (of: (result: Summary) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const kinds = new Map<string, number>();
  for (const { nemesis } of results.flatMap(({ faults }) => faults)) {
    kinds.set(nemesis, (kinds.get(nemesis) ?? 0) + 1);
  }
  const names = [...kinds.keys()].sort((a, b) => (a < b ? -1 : 1));
  const faults = names.map((name) => `${kinds.get(name)} ${name}`);
  const operations = sum(({ counts }) => counts.operations);
  const served = sum(({ counts }) => counts.served);
  return `${operations} operations, ${served} served; faults: ${faults.join(", ") || "none"}`;
}

async function runApart(plan: Planned, out: string): Promise<Outcome> {
  const guard = new Guard(plan.seconds + RUN_EXTRA_SECONDS);
  let printed = "";
  const main = must(process.argv[1], "the program");
  const child = spawn(process.execPath, [main, ...wordsOf(plan), "--out", out], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  guard.watch(child);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
    process.stdout.write(text);
  });
  await new Promise((resolve) => child.once("close", resolve));
  guard.close();
  return outcomeOf(plan, /^report +(.+)$/m.exec(printed)?.[1]);
}

function outcomeOf(plan: Planned, report: string | undefined): Outcome {
  const path = report === undefined ? "" : join(dirname(report), "result.json");
  const result = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Summary) : undefined;
  const verdict = result?.verdict ?? "broke off";
  const cells = [
    plan.workloads.map(({ name }) => name).join(" "),
    plan.nemeses.map(({ name }) => name).join(" "),
    plan.seed,
    result?.counts.operations ?? "",
    result?.counts.served ?? "",
    result?.faults.length ?? "",
    verdict,
  ];
  return { plan, verdict, report, result, row: `| ${cells.join(" | ")} |` };
}
