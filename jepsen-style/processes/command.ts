/** The harness's command: reads its arguments, runs what they say, and tells how it went. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BadArgument, numberOf } from "../command.js";
import { mutantNamed } from "../sim/mutants.js";
import { WORKLOADS, workloadNamed } from "../workloads/workloads.js";
import { NEMESES, nemesesNamed } from "./nemeses.js";
import { run } from "./run.js";
import type { Progress, RunResult } from "./run.js";
import { writeRun } from "./run-folder.js";
import { APIS, commandOf } from "./settings.js";
import type { RunSettings } from "./settings.js";

export const RUN_OPTIONS = {
  workload: { type: "string" },
  nemesis: { type: "string" },
  list: { type: "boolean" },
  nodes: { type: "string" },
  time: { type: "string" },
  seed: { type: "string" },
  rate: { type: "string" },
  clients: { type: "string" },
  api: { type: "string" },
  mutant: { type: "string" },
  endpoints: { type: "string" },
  out: { type: "string" },
} as const;

type Values = { readonly [name in keyof typeof RUN_OPTIONS]?: string | boolean };

const EXIT_CODES = { valid: 0, invalid: 1, unknown: 2 } as const;

export async function runHarness(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: RUN_OPTIONS });
  if (values.list === true) return list();
  const settings = settingsFrom(values);
  const result = await runAndTell(settings);
  return EXIT_CODES[result.verdict];
}

function list(): number {
  const rows = (named: readonly { name: string; about: string; waitsFor?: string }[]): void => {
    for (const { name, about, waitsFor } of named) {
      const waits = waitsFor === undefined ? "" : ` (waits for ${waitsFor})`;
      console.log(`  ${name.padEnd(12)} ${about}${waits}`);
    }
  };
  console.log("Workloads");
  rows(WORKLOADS);
  console.log("Nemeses");
  rows(NEMESES);
  return 0;
}

function settingsFrom(values: Values): RunSettings {
  const text = (name: keyof Values, instead: string): string => String(values[name] ?? instead);
  const number = (name: keyof Values, instead: number): number =>
    numberOf(text(name, String(instead)));
  const api = APIS.find((each) => each === text("api", "sdk"));
  if (api === undefined) throw new BadArgument(`--api must be one of ${APIS.join(", ")}`);
  const mutant = values.mutant === undefined ? undefined : mutantNamed(text("mutant", "")).name;
  const endpoints = text("endpoints", "")
    .split(",")
    .filter((each) => each !== "");
  const workload = workloadNamed(text("workload", "register"));
  const nemeses = endpoints.length > 0 ? [] : nemesesNamed(text("nemesis", "kill,partition"));
  const nodes = number("nodes", 5);
  if (![1, 3, 5, 7].includes(nodes)) throw new BadArgument("--nodes must be 1, 3, 5 or 7");
  const seed = number("seed", 1);
  const name = [workload.name, ...nemeses.map((each) => each.name), seed].join("-");
  const out = text("out", join(tmpdir(), "flotilla-jepsen"));
  return {
    workload,
    nemeses,
    nodes,
    seconds: number("time", 60),
    seed,
    ratePerSecond: number("rate", 200),
    clients: number("clients", 2 * nodes),
    api,
    mutant,
    endpoints,
    directory: join(out, `${name}-${Date.now()}`),
  };
}

async function runAndTell(settings: RunSettings): Promise<RunResult> {
  console.log(commandOf(settings));
  const result = await run(settings, tellProgress);
  const page = writeRun(result);
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  for (const { checker, verdict, lines } of result.findings) {
    console.log(`${verdict.padEnd(8)} ${checker}`);
    for (const line of lines) console.log(`         ${line}`);
  }
  console.log(`report   ${page}`);
  console.log(result.verdict);
  return result;
}

/** A line that is written over on a terminal, and nothing elsewhere. */
function tellProgress({ phase, elapsedMs, operations, faults }: Progress): void {
  if (!process.stderr.isTTY) return;
  const seconds = Math.round(elapsedMs / 1000);
  const line = `${seconds} s  ${phase}  ${operations} operations  ${faults.join("; ")}`;
  process.stderr.write(`\r\u001b[K${line.slice(0, process.stderr.columns ?? 80)}`);
}
