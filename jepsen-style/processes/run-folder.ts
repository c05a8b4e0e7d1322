/** The folder that a run leaves: its report, its history, and what the nodes printed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { reportPage } from "../report/page.js";
import type { RunData } from "../report/run-data.js";
import type { RunResult } from "./run.js";
import { commandOf } from "./settings.js";

/** Gives the path of the page. */
export function writeRun(result: RunResult): string {
  const { directory } = result.settings;
  const page = join(directory, "report.html");
  const data = dataOf(result);
  writeFileSync(page, reportPage(data));
  for (const { name, course } of result.courses) {
    // In the form that `check --format flotilla` reads, where the workload is of registers.
    writeLines(join(directory, `history-${name}.jsonl`), course.operations);
  }
  for (const [keyspace, testimony] of result.testimonies) {
    const seen = Object.entries(testimony).flatMap(([kind, each]: [string, readonly object[]]) =>
      each.map((one) => ({ witnessed: kind, ...one })),
    );
    writeLines(join(directory, `witness-${keyspace}.jsonl`), seen);
  }
  const { command, verdict, findings, faults, facts, operations } = data;
  const served = operations.filter(({ kind }) => kind === "ok").length;
  const counts = { operations: operations.length, served };
  const summary = { command, verdict, counts, findings, faults, facts };
  writeFileSync(join(directory, "result.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
  return page;
}

function writeLines(path: string, each: readonly object[]): void {
  writeFileSync(path, each.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

const LINKS_TOLD = {
  proxies: "TCP proxies on loopback, a pair of nodes and a direction each",
  namespaces: "a network namespace for each node; packets are dropped, by pair and direction",
} as const;

const API_NAMES = { sdk: "the SDK", grpc: "etcd's API", json: "etcd's API in JSON" } as const;

function dataOf(result: RunResult): RunData {
  const { settings, verdict, findings, courses, faults, leads, healedMs, endedMs, covered } =
    result;
  const { workloads, nemeses, seed, nodes, mutant, api, endpoints } = settings;
  const struck = nemeses.map(({ name }) => name).join(", ") || "no faults";
  const own = endpoints.length === 0;
  return {
    title: `${workloads.map(({ name }) => name).join(", ")} under ${struck}, seed ${seed}`,
    command: commandOf(settings),
    verdict,
    findings,
    operations: courses.flatMap(({ course }) => course.operations),
    faults,
    leads,
    healedMs,
    endedMs,
    facts: [
      ...workloads.map(({ name, about }) => [name, about] as const),
      ["nodes", own ? `${nodes}, started for this run` : `of others: ${endpoints.join(", ")}`],
      ["links", own ? LINKS_TOLD[settings.links] : "untouched"],
      ["clients", `${settings.clients} by ${API_NAMES[api]}`],
      ["wanted rate", `${settings.ratePerSecond} operations a second`],
      ["known bug", mutant ?? "none"],
      ["faults were over at", `${(healedMs / 1000).toFixed(1)} s`],
      ["all served again at", `${(endedMs / 1000).toFixed(1)} s`],
      ...covered.map((line) => ["read from the nodes' logs", line] as const),
      ["system", `${process.platform} ${process.arch}, Node.js ${process.version}`],
    ],
  };
}
