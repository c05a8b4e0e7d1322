/**
 * One list of etcdctl commands and JSON requests, run against three nodes of etcd and of ours each,
 * and what was answered differently: standard output, standard error and exit code.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { etcdVersion, startEtcd } from "./etcd-cluster.js";
import { etcdJoining, ourJoining } from "./etcd-joining.js";
import type { Joining } from "./etcd-joining.js";
import { LEASE_STEPS } from "./etcd-lease-steps.js";
import { masked, reordered } from "./etcd-masks.js";
import { placed, request, startJoining } from "./etcd-places.js";
import type { Side } from "./etcd-places.js";
import type { Step } from "./etcd-step.js";
import { STEPS } from "./etcd-steps.js";
import { startOurs } from "./our-cluster.js";
import { Processes } from "./processes.js";

const HELP = `Usage: npm run -s bench -- compare [options]

Runs the same etcdctl commands against etcd and against Flotilla, and shows what differs.

  --etcd COMMAND      etcd's server (etcd)
  --etcdctl COMMAND   its client (etcdctl)
  --only TEXT         only steps whose words contain this, and those that must come first
  --leases            only what rests on leases
  --all               show every step, also what is equal`;

const ENDED_MS = 1500;
/** No command that ends by itself takes this long. */
const STUCK_MS = 20_000;
const PATIENCE_MS = 10_000;
const RETRY_MS = 100;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Gives 1 where something differs that was not expected to. */
export async function etcdComparison(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      etcd: { type: "string", default: "etcd" },
      etcdctl: { type: "string", default: "etcdctl" },
      only: { type: "string", default: "" },
      leases: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), "flotilla-comparison-"));
  const processes = new Processes();
  try {
    const etcd = await startEtcd(processes, { command: values.etcd, directory, members: "all" });
    const ours = await startOurs(processes, { directory, api: "sdk", members: "all" });
    // Ours has taken a write when it is ready.
    await request(etcd.addresses[0]!, "/v3/kv/put", '{"key":"AA==","value":"AA=="}');
    const steps = values.leases ? LEASE_STEPS : STEPS;
    console.log(`etcd ${etcdVersion(values.etcd)} and Flotilla, ${steps.length} steps`);
    const sides: Sides = {
      etcdctl: values.etcdctl,
      theirs: await sideIn(directory, "theirs", etcd.addresses, (own) =>
        etcdJoining(processes, values.etcd, own),
      ),
      ours: await sideIn(directory, "ours", ours.addresses, (own) => ourJoining(processes, own)),
    };
    return await compareAll(sides, steps, values);
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function sideIn(
  parent: string,
  name: string,
  addresses: readonly string[],
  joiningIn: (directory: string) => Promise<Joining>,
): Promise<Side> {
  const directory = join(parent, name);
  mkdirSync(directory);
  return { addresses, directory, joining: await joiningIn(directory) };
}

interface Sides {
  readonly etcdctl: string;
  readonly theirs: Side;
  readonly ours: Side;
}

async function compareAll(
  sides: Sides,
  steps: readonly Step[],
  { only, all }: { readonly only: string; readonly all: boolean },
): Promise<number> {
  let different = 0;
  let expected = 0;
  for (const step of steps) {
    const [theirs, ours] = await Promise.all([
      run(sides.etcdctl, sides.theirs, step),
      run(sides.etcdctl, sides.ours, step),
    ]);
    const isSame = textOf(theirs) === textOf(ours);
    if (!isSame && step.differs === undefined) different++;
    if (!isSame && step.differs !== undefined) expected++;
    const isShown = all || (!isSame && step.differs === undefined);
    if (isShown && step.words.join(" ").includes(only)) show(step, theirs, ours);
  }
  console.log(`${different} differ, ${expected} differ as expected`);
  return different === 0 ? 0 : 1;
}

function show(step: Step, theirs: Outcome, ours: Outcome): void {
  console.log(`\n$ ${step.words.join(" ")}${step.input === undefined ? "" : ` <<< …`}`);
  console.log(indented("etcd", textOf(theirs)));
  if (textOf(theirs) !== textOf(ours)) console.log(indented("ours", textOf(ours)));
}

function indented(name: string, text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `  ${name} | ${line}`)
    .join("\n");
}

async function run(etcdctl: string, side: Side, step: Step): Promise<Outcome> {
  const deadline = performance.now() + (step.patient === true ? PATIENCE_MS : 0);
  let outcome = await runOnce(etcdctl, side, step);
  while (outcome.code !== 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    outcome = await runOnce(etcdctl, side, step);
  }
  const addresses = [...side.addresses, side.joining.address];
  const clean = (text: string): string => {
    const plain = masked(text.replaceAll(side.directory, "DIRECTORY"), addresses);
    return step.unordered === true ? reordered(plain) : plain;
  };
  return { code: outcome.code, stdout: clean(outcome.stdout), stderr: clean(outcome.stderr) };
}

async function runOnce(etcdctl: string, side: Side, step: Step): Promise<Outcome> {
  if (step.words[0] === "START") {
    await startJoining(side);
    return { code: 0, stdout: "", stderr: "" };
  }
  const { words, endpoints } = await placed(side, step);
  const [first = "", second = "", body = ""] = words;
  const isJson = first === "POST" || first === "GET";
  return isJson
    ? requested(endpoints[0]!, second, first === "GET" ? undefined : body)
    : runCommand(etcdctl, endpoints, { ...step, words });
}

async function requested(
  address: string,
  path: string,
  body: string | undefined,
): Promise<Outcome> {
  return { code: 0, stdout: await request(address, path, body), stderr: "" };
}

/** A command that does not end by itself, such as a watch, is ended after a while. */
function runCommand(command: string, endpoints: readonly string[], step: Step): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, ["--endpoints", endpoints.join(","), ...step.words], {
      env: { ...process.env, ETCDCTL_API: "3", ...step.env },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Uint8Array) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk: Uint8Array) => (stderr += String(chunk)));
    child.once("error", reject);
    const timer = setTimeout(() => child.kill(), step.endless === true ? ENDED_MS : STUCK_MS);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    // It may have ended without reading.
    child.stdin.on("error", () => undefined);
    child.stdin.write(step.input ?? "");
    if (step.endless !== true || step.input === undefined) child.stdin.end();
  });
}

function textOf({ code, stdout, stderr }: Outcome): string {
  return `${stdout}${stderr}exit ${code}\n`;
}
