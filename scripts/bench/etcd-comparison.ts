/**
 * One list of etcdctl commands and JSON requests, run against three nodes of etcd and of ours each,
 * and what was answered differently: standard output, standard error and exit code. Ids, addresses,
 * terms, indexes, sizes and times are masked, for they differ between any two clusters.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { etcdVersion, startEtcd } from "./etcd-cluster.js";
import { LEASE_STEPS } from "./etcd-lease-steps.js";
import { MEMBER } from "./etcd-step.js";
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
    await postJson(etcd.addresses, "/v3/kv/put", '{"key":"AA==","value":"AA=="}');
    const steps = values.leases ? LEASE_STEPS : STEPS;
    console.log(`etcd ${etcdVersion(values.etcd)} and Flotilla, ${steps.length} steps`);
    const sides: Sides = { etcdctl: values.etcdctl, theirs: etcd.addresses, ours: ours.addresses };
    return await compareAll(sides, steps, values);
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Sides {
  readonly etcdctl: string;
  readonly theirs: readonly string[];
  readonly ours: readonly string[];
}

async function compareAll(
  sides: Sides,
  steps: readonly Step[],
  { only, all }: { readonly only: string; readonly all: boolean },
): Promise<number> {
  let different = 0;
  let expected = 0;
  for (const step of steps) {
    const theirs = await run(sides.etcdctl, sides.theirs, step);
    const ours = await run(sides.etcdctl, sides.ours, step);
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

async function run(etcdctl: string, addresses: readonly string[], step: Step): Promise<Outcome> {
  const [first = "", second = "", body = ""] = step.words;
  if (first === "POST" || first === "GET") {
    const whole = body.includes(MEMBER)
      ? body.replaceAll(MEMBER, await firstMember(addresses))
      : body;
    const text = await postJson(addresses, second, first === "GET" ? undefined : whole);
    return { code: 0, stdout: masked(text, addresses), stderr: "" };
  }
  const endpoints = step.oneEndpoint === true ? addresses.slice(0, 1) : addresses;
  const outcome = await runCommand(etcdctl, endpoints, step);
  const { code, stdout, stderr } = outcome;
  return { code, stdout: masked(stdout, addresses), stderr: masked(stderr, addresses) };
}

async function firstMember(addresses: readonly string[]): Promise<string> {
  const text = await postJson(addresses, "/v3/maintenance/status", "{}");
  return /"member_id":"(\d+)"/.exec(text)?.[1] ?? "";
}

async function postJson(
  addresses: readonly string[],
  path: string,
  body: string | undefined,
): Promise<string> {
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(`http://${addresses[0]}${path}`, { method, body: body ?? null });
  return `${response.status} ${await response.text()}`;
}

/** A command that does not end by itself, such as a watch, is ended after a while. */
function runCommand(command: string, endpoints: readonly string[], step: Step): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, ["--endpoints", endpoints.join(","), ...step.words], {
      env: { ...process.env, ETCDCTL_API: "3" },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Uint8Array) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk: Uint8Array) => (stderr += String(chunk)));
    child.once("error", reject);
    const timer = step.endless === true ? setTimeout(() => child.kill(), ENDED_MS) : undefined;
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.end(step.input ?? "");
  });
}

function masked(text: string, addresses: readonly string[]): string {
  let plain = text;
  for (const address of addresses) plain = plain.replaceAll(address, "ADDRESS");
  return plain
    .replace(/"(cluster_id|member_id|ID|leader|memberID)":"?\d+"?/g, '"$1":ID')
    .replace(/"(raft_?[tT]erm|raftIndex|raftAppliedIndex|dbSize\w*)":"?\d+"?/g, '"$1":N')
    .replace(/"(ClusterID|MemberID|ID|RaftTerm|RaftIndex|Leader)" : \d+/g, '"$1" : N')
    .replace(/memberID:\d+/g, "memberID:ID")
    .replace(/"ttl":\d+/g, '"ttl":N')
    .replace(/"TTL":"\d+","grantedTTL"/g, '"TTL":"N","grantedTTL"')
    .replace(/"TTL" : \d+\n"GrantedTTL"/g, '"TTL" : N\n"GrantedTTL"')
    .replace(/remaining\(\d+s\)/g, "remaining(N)")
    .replace(/"(id|lease)":"?\d{10,}"?/g, '"$1":ID')
    .replace(/"Lease" : \d{10,}/g, '"Lease" : ID')
    .replace(/"(key)":"(bS8|ZS8|b3duL)[\w+/=]{12,}"/g, '"$1":KEY')
    .replace(/took = [\d.]+[µm]?s/g, "took = TIME")
    .replace(/\b[0-9a-f]{12,16}\b/g, "ID")
    .replace(/127\.0\.0\.1:\d+/g, "PEER")
    .replace(/\b(bench|n)[123]\b/g, "NAME")
    .replace(/^\{"level":"warn".*\n/gm, "");
}

function textOf({ code, stdout, stderr }: Outcome): string {
  return `${stdout}${stderr}exit ${code}\n`;
}
