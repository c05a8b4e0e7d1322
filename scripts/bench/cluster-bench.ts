/**
 * The cluster benchmark. Both clusters run all the time and are loaded in turns, so that whatever
 * else this machine does meanwhile falls on both. Everything it starts ends with it, and it gives
 * up when it takes much longer than it should.
 */
import { mkdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { BenchCluster } from "./bench-cluster.js";
import { etcdVersion, startEtcd } from "./etcd-cluster.js";
import { LoadData, preload, runLoad } from "./load.js";
import type { LoadTarget, Work } from "./load.js";
import { startOurs } from "./our-cluster.js";
import { findCommand, Processes } from "./processes.js";
import { ratioOf, sideOf, tableHead, tableLines } from "./report.js";
import type { Round, Row } from "./report.js";
import { CLUSTER_HELP, connectionsFor, parseSettings } from "./settings.js";
import type { Settings } from "./settings.js";

/** A cluster, its connections for the present row, and what they measured. */
interface Contender {
  readonly name: "ours" | "etcd";
  readonly cluster: BenchCluster;
}

interface Lane extends Contender {
  readonly target: LoadTarget;
  readonly rounds: Round[];
}

const SEED = 1;
/** Beyond the rounds themselves: starting, loading, waiting for last answers. */
const SLACK_SECONDS = 300;
const DRAIN_SECONDS = 10;

/** Runs the benchmark these arguments ask for; the exit code. */
export async function clusterBench(args: readonly string[]): Promise<number> {
  const settings = parseSettings(args);
  if (settings === "help") {
    console.log(CLUSTER_HELP);
    return 0;
  }
  const processes = new Processes();
  const directory = resolve(settings.directory, String(process.pid));
  mkdirSync(directory, { recursive: true });
  const cleanUp = async (): Promise<void> => {
    await processes.stopAll();
    if (!settings.keep) rmSync(directory, { recursive: true, force: true });
  };
  const stopGuarding = guard(settings, cleanUp);
  try {
    const contenders = await startContenders(settings, processes, directory);
    const rows = await measureAll(settings, contenders, processes);
    if (settings.json) console.log(JSON.stringify({ rows }));
    return rows.some((row) => row.ours?.opsPerSecond === 0 || row.etcd?.opsPerSecond === 0) ? 1 : 0;
  } finally {
    stopGuarding();
    await cleanUp();
  }
}

/** Cleans up on signals and when time is up; returns what takes the guard away. */
function guard(settings: Settings, cleanUp: () => Promise<void>): () => void {
  const leave = (why: string, exitCode: number): void => {
    console.error(`${why}: stopping the servers …`);
    void cleanUp().finally(() => process.exit(exitCode));
  };
  const interrupted = (): void => leave("interrupted", 130);
  const terminated = (): void => leave("terminated", 143);
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", terminated);
  const limitSeconds = secondsAtMost(settings);
  const timer = setTimeout(
    () => leave(`not done after ${limitSeconds} s`, 1),
    Math.min(limitSeconds * 1000, 0x7fff_ffff),
  );
  return () => {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", terminated);
    clearTimeout(timer);
  };
}

function secondsAtMost(settings: Settings): number {
  const rows = settings.works.length * settings.clients.length;
  const turn = settings.rounds * (settings.seconds + DRAIN_SECONDS);
  return SLACK_SECONDS + rows * 2 * (turn + settings.warmUpSeconds + DRAIN_SECONDS);
}

async function startContenders(
  settings: Settings,
  processes: Processes,
  directory: string,
): Promise<readonly Contender[]> {
  const contenders: Contender[] = [];
  if (settings.ours) {
    const { api, etcdMembers: members } = settings;
    const cluster = await startOurs(processes, { directory, api, members });
    contenders.push({ name: "ours", cluster });
  }
  if (settings.compareEtcd) {
    const command = findCommand("etcd");
    if (command === undefined) throw new Error("etcd is not on the PATH");
    const members = settings.etcdMembers;
    const cluster = await startEtcd(processes, { command, directory, members });
    console.log(`etcd ${etcdVersion(command)}, clients on ${members}`);
    contenders.push({ name: "etcd", cluster });
  }
  return contenders;
}

async function measureAll(
  settings: Settings,
  contenders: readonly Contender[],
  processes: Processes,
): Promise<readonly Row[]> {
  const data = new LoadData(settings.keys, settings.valueBytes, SEED);
  for (const { name, cluster } of contenders) {
    const startedMs = performance.now();
    const target = await cluster.connect({ ...settings, connections: 16 });
    await preload(target, data);
    await target.close();
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${name}: ${settings.keys} keys loaded in ${seconds} s`);
  }
  console.log(tableHead());
  const rows: Row[] = [];
  for (const work of settings.works) {
    for (const clients of settings.clients) {
      processes.requireAlive();
      const row = await measureRow({ settings, contenders, data, work, clients });
      for (const text of tableLines(row)) console.log(text);
      rows.push(row);
    }
  }
  processes.requireAlive();
  return rows;
}

interface RowPlan {
  readonly settings: Settings;
  readonly contenders: readonly Contender[];
  readonly data: LoadData;
  readonly work: Work;
  readonly clients: number;
}

async function measureRow(plan: RowPlan): Promise<Row> {
  const { settings, contenders, work, clients } = plan;
  const { level, valueBytes } = settings;
  const connections = connectionsFor(settings, clients);
  const lanes: Lane[] = [];
  for (const contender of contenders) {
    const target = await contender.cluster.connect({ connections, level, valueBytes });
    lanes.push({ ...contender, target, rounds: [] });
  }
  for (const lane of lanes) await measureRound(lane, plan, settings.warmUpSeconds);
  for (let round = 0; round < settings.rounds; round++) {
    for (const lane of lanes) lane.rounds.push(await measureRound(lane, plan, settings.seconds));
  }
  for (const { target } of lanes) await target.close();
  const side = (name: string): Row["ours"] =>
    sideOf(lanes.find((lane) => lane.name === name)?.rounds ?? []);
  const ours = side("ours");
  const etcd = side("etcd");
  return {
    work,
    clients,
    connections,
    valueBytes,
    level,
    ours,
    etcd,
    ratio: ratioOf(ours, etcd),
  };
}

async function measureRound(lane: Lane, plan: RowPlan, seconds: number): Promise<Round> {
  const { data, work, clients } = plan;
  const serverBefore = lane.cluster.cpuMicros();
  const clientBefore = process.cpuUsage();
  const result = await runLoad(lane.target, { work, clients, seconds, data });
  const client = process.cpuUsage(clientBefore);
  const serverAfter = lane.cluster.cpuMicros();
  if (result.firstError !== undefined) {
    console.log(`${lane.name}: ${result.errors} errors, the first: ${result.firstError}`);
  }
  const known = serverBefore !== undefined && serverAfter !== undefined;
  return {
    result,
    serverCpuMicros: known ? serverAfter.map((micros, i) => micros - serverBefore[i]!) : undefined,
    clientCpuMicros: client.user + client.system,
  };
}
