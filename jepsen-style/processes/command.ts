/** The harness's command: reads its arguments, runs what they say, and tells how it went. */
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { must } from "../../src/base/assert.js";
import { BadArgument, numberOf } from "../command.js";
import { mutantNamed } from "../sim/mutants.js";
import { WORKLOADS, workloadNamed } from "../workloads/workloads.js";
import { runCampaign } from "./campaign.js";
import type { Common, Planned } from "./matrix.js";
import { planOf, runnable, shortMatrix, wholeMatrix } from "./matrix.js";
import { LINK_KINDS } from "./links.js";
import { LEFT_OUT, NEMESES, nemesesNamed, SIMULATED } from "./nemeses.js";
import { givesNetworks, isInside, runInside } from "./own-network.js";
import { run } from "./run.js";
import type { Progress, RunResult } from "./run.js";
import { writeRun } from "./run-folder.js";
import { APIS, commandOf, RUN_EXTRA_SECONDS } from "./settings.js";

const OPTIONS = {
  workload: { type: "string" },
  nemesis: { type: "string" },
  list: { type: "boolean" },
  all: { type: "boolean" },
  short: { type: "boolean" },
  minutes: { type: "string" },
  nodes: { type: "string" },
  links: { type: "string" },
  time: { type: "string" },
  seed: { type: "string" },
  rate: { type: "string" },
  clients: { type: "string" },
  api: { type: "string" },
  mutant: { type: "string" },
  endpoints: { type: "string" },
  out: { type: "string" },
} as const;

type Values = { readonly [name in keyof typeof OPTIONS]?: string | boolean };

const EXIT_CODES = { valid: 0, invalid: 1, unknown: 2 } as const;
const CLEAR_LINE = "\r\u001b[K";

export async function runHarness(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.list === true) return list();
  const out = String(values.out ?? join(tmpdir(), "flotilla-jepsen"));
  const plans = plansFrom(values);
  const minutes = values.minutes === undefined ? undefined : numberOf(String(values.minutes));
  const [first] = plans;
  if (plans.length > 1 || minutes !== undefined) return runCampaign(plans, { out, minutes });
  return runAlone(must(first, "a plan"), out);
}

/** A run that broke off says nothing of the product. */
async function runAlone(plan: Planned, out: string): Promise<number> {
  if (plan.links === "namespaces" && !isInside()) {
    return (await runInside(plan.seconds + RUN_EXTRA_SECONDS)) ?? EXIT_CODES.unknown;
  }
  try {
    return EXIT_CODES[await runOne(plan, out)];
  } catch (error) {
    console.error("the run broke off:", error);
    return EXIT_CODES.unknown;
  }
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
  console.log("Nemeses; none and all are names, too");
  rows(NEMESES);
  console.log("Faults of the simulator alone: npm run -s sim");
  rows(SIMULATED);
  console.log("Faults that are not tried");
  rows(LEFT_OUT);
  return 0;
}

function plansFrom(values: Values): readonly Planned[] {
  const common = commonFrom(values);
  if (values.all === true) return wholeMatrix(common);
  if (values.short === true) return shortMatrix(common);
  const workloads = String(values.workload ?? "register")
    .split(",")
    .map(workloadNamed);
  const wrong = workloads.find((each) => !runnable(common).includes(each));
  if (wrong !== undefined) {
    throw new BadArgument(`${wrong.name} needs the SDK and the keyspaces of the harness's cluster`);
  }
  const own = common.endpoints.length === 0;
  const nemeses = nemesesNamed(String(values.nemesis ?? (own ? "kill,partition" : "none")));
  if (!own && nemeses.length > 0) throw new BadArgument("--endpoints goes without --nemesis");
  return [planOf(common, workloads, nemeses)];
}

function commonFrom(values: Values): Common {
  const text = (name: keyof Values, instead: string): string => String(values[name] ?? instead);
  const number = (name: keyof Values, instead: number): number =>
    numberOf(text(name, String(instead)));
  const api = APIS.find((each) => each === text("api", "sdk"));
  if (api === undefined) throw new BadArgument(`--api must be one of ${APIS.join(", ")}`);
  const nodes = number("nodes", 5);
  if (![1, 3, 5, 7].includes(nodes)) throw new BadArgument("--nodes must be 1, 3, 5 or 7");
  const endpoints = text("endpoints", "")
    .split(",")
    .filter((each) => each !== "");
  if (endpoints.length > 0 && values.links !== undefined) {
    throw new BadArgument("--endpoints goes without --links: the links are not of the harness");
  }
  return {
    nodes,
    seconds: number("time", 60),
    seed: number("seed", 1),
    ratePerSecond: number("rate", 200),
    // Where several workloads share a cluster, fewer of each.
    clients: number("clients", values.all === true ? nodes : 2 * nodes),
    api,
    mutant: values.mutant === undefined ? undefined : mutantNamed(text("mutant", "")).name,
    endpoints,
    linksFor: endpoints.length > 0 ? () => "proxies" : linksBy(values.links),
  };
}

/** The kind that was asked for, or the best that this machine and the nemeses leave. */
function linksBy(wanted: string | boolean | undefined): Common["linksFor"] {
  const kind = LINK_KINDS.find((each) => each === wanted);
  if (wanted !== undefined && kind === undefined) {
    throw new BadArgument(`--links must be one of ${LINK_KINDS.join(", ")}`);
  }
  // Looked up once, and only where it matters.
  let gives: boolean | undefined;
  return (nemeses) => {
    const { name } = nemeses.find(({ needsProxies }) => needsProxies === true) ?? {};
    if (kind === "namespaces" && name !== undefined) {
      throw new BadArgument(`${name} goes with --links proxies alone`);
    }
    if (kind !== undefined || name !== undefined) return kind ?? "proxies";
    gives ??= givesNetworks();
    return gives ? "namespaces" : "proxies";
  };
}

async function runOne(plan: Planned, out: string): Promise<RunResult["verdict"]> {
  const { workloads, nemeses, seed } = plan;
  const names = [...workloads, ...nemeses].map(({ name }) => name).slice(0, 6);
  const directory = join(out, [...names, seed, Date.now()].join("-"));
  const settings = { ...plan, directory };
  console.log(commandOf(settings));
  const result = await run(settings, tellProgress);
  const page = writeRun(result);
  // The files of the nodes are of use where something is to be found in them.
  const isValid = result.verdict === "valid";
  if (isValid) rmSync(join(directory, "nodes"), { recursive: true, force: true });
  if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
  for (const { checker, verdict, lines } of result.findings) {
    console.log(`${verdict.padEnd(8)} ${checker}`);
    for (const line of lines) console.log(`         ${line}`);
  }
  console.log(`report   ${page}`);
  console.log(result.verdict);
  return result.verdict;
}

/** A line that is written over on a terminal, and nothing elsewhere. */
function tellProgress({ phase, elapsedMs, operations, faults }: Progress): void {
  if (!process.stderr.isTTY) return;
  const seconds = Math.round(elapsedMs / 1000);
  const line = `${seconds} s  ${phase}  ${operations} operations  ${faults.join("; ")}`;
  process.stderr.write(`${CLEAR_LINE}${line.slice(0, process.stderr.columns ?? 80)}`);
}
