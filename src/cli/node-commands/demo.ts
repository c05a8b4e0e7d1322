/**
 * flotilla demo: a cluster of three processes on this machine, with a live line for each node. It
 * ends what it started, and nothing else, within ten seconds of Ctrl-C.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { countOf, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { DemoCluster } from "../demo-cluster.js";
import {
  checkPortsFree,
  choosePorts,
  type PlannedNode,
  planNodes,
  rememberedPorts,
  rememberPorts,
} from "../demo-plan.js";
import { DemoScreen } from "../demo-screen.js";
import { busiest } from "../demo-view.js";
import { EXIT } from "../exit-codes.js";
import type { NodeContext } from "../node-context.js";
import { formatDuration } from "../quantities.js";
import { note, styled, type Terminal } from "../terminal.js";

const BASE_PORT = 2379;
const READY_CHECK_MS = 50;

export const demo: CommandDefinition<NodeContext> = {
  flags: {
    "data-dir": {
      type: "string",
      describe: "keep the data here and go on with it the next time",
      defaultDescription: "a temporary directory, deleted at the end",
    },
    "base-port": {
      type: "string",
      describe: "client port of the first node; the others are 20000 and 30000 above",
      defaultDescription: String(BASE_PORT),
    },
  },
  writes: false,
  endsItself: true,
  epilogue: [
    "Keyspaces: default (one shard), docs (by key, three shards), files (by hash, four shards).",
    "Keys on a terminal: k kills the node that leads most shards, r starts nodes that are down,",
    "q or Ctrl-C ends the demo. The nodes' logs are files beside their data.",
  ].join("\n"),
  run: async (context, argv) => {
    const kept = textOf(argv, "data-dir");
    const directory = kept === undefined ? mkdtempSync(join(tmpdir(), "flotilla-demo-")) : kept;
    try {
      const plans = await plan(context.terminal, directory, countOf(argv, "base-port"));
      return await runCluster(context, plans, kept !== undefined);
    } finally {
      if (kept === undefined) rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function plan(
  terminal: Terminal,
  directory: string,
  basePort: number,
): Promise<readonly PlannedNode[]> {
  const remembered = rememberedPorts(directory);
  if (remembered !== undefined) {
    await checkPortsFree(remembered);
    return planNodes(resolve(directory), remembered);
  }
  const { ports, taken } = await choosePorts(basePort === 0 ? BASE_PORT : basePort);
  if (taken.length > 0) note(terminal, `ports taken, others chosen: ${taken.join(", ")}`, "yellow");
  rememberPorts(directory, ports);
  return planNodes(resolve(directory), ports);
}

async function runCluster(
  { terminal, signal, connect }: NodeContext,
  plans: readonly PlannedNode[],
  kept: boolean,
): Promise<number> {
  const command = [process.execPath, toolPath("flotilla")];
  const cluster = new DemoCluster(plans, command, connect);
  const screen = new DemoScreen(terminal, () => cluster.views());
  const quit = new AbortController();
  const over = AbortSignal.any([signal, quit.signal]);
  const forgetKeys = terminal.onKey((key) => {
    if (key === "q" || key === "\u0003") quit.abort();
    else pressed(key, cluster, screen);
  });
  const startMs = performance.now();
  try {
    cluster.start();
    introduce(terminal, cluster, plans);
    screen.start();
    await until(over, () => cluster.isReady() || !cluster.anyRuns);
    if (!over.aborted && cluster.isReady()) {
      screen.say(`ready after ${formatDuration(performance.now() - startMs)}`);
    }
    await until(over, () => false);
  } finally {
    screen.stop();
    forgetKeys();
    note(terminal, "ending the nodes …");
    await cluster.stop();
    note(terminal, kept ? `data kept in ${dataDirectoryOf(plans)}` : "temporary data deleted");
  }
  return EXIT.ok;
}

function dataDirectoryOf(plans: readonly PlannedNode[]): string {
  return resolve(plans[0]?.dataDirectory ?? "", "..");
}

/** Where the compiled entry file of a tool is. */
function toolPath(name: "flotilla" | "flotctl"): string {
  return fileURLToPath(new URL(`../${name}.js`, import.meta.url));
}

function introduce(terminal: Terminal, cluster: DemoCluster, plans: readonly PlannedNode[]): void {
  const path = toolPath("flotctl");
  const near = relative(process.cwd(), path);
  const tool = `node ${near.startsWith("..") ? path : near}`;
  const endpoints = cluster.endpoints.join(",");
  const lines = [
    styled(terminal, terminal.out, "bold", "Flotilla demo: three nodes, eight shards with data"),
    `endpoints  ${endpoints}`,
    `logs       ${plans.map(({ logFile }) => logFile).join("  ")}`,
    "try",
    `  ${tool} --endpoints ${endpoints} put hello world`,
    `  ${tool} --endpoints ${endpoints} get hello -w json`,
    `  ${tool} --endpoints ${endpoints} shard list -w table`,
  ];
  if (terminal.out.isTTY) lines.push("keys       k kill the busiest node, r restart, q quit");
  terminal.out.write(`${lines.join("\n")}\n\n`);
}

function pressed(key: string, cluster: DemoCluster, screen: DemoScreen): void {
  if (key === "k") {
    const victim = busiest(cluster.views());
    if (victim === undefined) return screen.say("nothing to kill: no node is up");
    cluster.kill(victim.name);
    screen.say(`killed ${victim.name} (SIGKILL)`);
  } else if (key === "r") {
    const names = cluster.restart();
    screen.say(names.length === 0 ? "no node is down" : `started ${names.join(", ")} again`);
  }
}

/** Resolves once `done` says so or the signal is aborted. */
async function until(signal: AbortSignal, done: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!signal.aborted && !done()) return;
      clearInterval(timer);
      resolve();
    }, READY_CHECK_MS);
  });
}
