/**
 * One engine in a process of its own: does what the parent asks for and answers with what it took.
 * Fills have a store each; the random one is used from then on, opened anew before puts that wait
 * for the disk, and that opening is measured too.
 */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { StorageData } from "./storage-data.js";
import type { StorageEngine } from "./storage-engines.js";
import { OPEN } from "./storage-engines.js";
import { isSteady } from "./storage-settings.js";
import type { EngineName, SteadyWork, TimedWork } from "./storage-settings.js";
import { runSteady } from "./storage-steady.js";
import type { Latencies, SteadyLoad, SteadyResult } from "./storage-steady.js";
import { runWork } from "./storage-works.js";

export type WorkRequest =
  | { readonly work: TimedWork | "reopen" | "end" }
  | { readonly work: SteadyWork; readonly load: SteadyLoad };

export interface WorkResult {
  readonly operations: number;
  readonly wallMicros: number;
  /** Of all threads, until what the work left to be done in the background is done. */
  readonly cpuMicros: number;
  readonly worstPauseMs: number;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  /** Of a steady work. */
  readonly latencies: Latencies | undefined;
}

const QUIET_MS = 100;
const PAUSE_SEEN_MS = 5;
const QUIET_CPU_MICROS = 6_000;
const SETTLE_ROUNDS_MAX = 300;

const [name = "", directory = "", entries = "", valueBytes = ""] = process.argv.slice(2);
const openEngine = OPEN[name as EngineName];
const data = new StorageData(Number(entries), Number(valueBytes));
let engine: StorageEngine | undefined;
let place = "";

async function use(folder: string, durable: boolean): Promise<StorageEngine> {
  await engine?.close();
  place = join(directory, folder);
  mkdirSync(place, { recursive: true });
  engine = await openEngine(place, durable);
  return engine;
}

async function prepare(work: WorkRequest["work"]): Promise<StorageEngine> {
  if (work === "fill-sequential") return use("sequential", false);
  if (work === "fill-random") return use("random", false);
  if (work === "put-sync" || work === "steady-sync") return use("random", true);
  if (work === "steady") return use("random", false);
  if (engine === undefined) throw new Error("the fill comes first");
  return engine;
}

async function measure(request: WorkRequest): Promise<WorkResult> {
  const present = await prepare(request.work);
  await settle();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const { operations, latencies } = await run(request, present);
  const wallMicros = (performance.now() - startedMs) * 1000;
  // What held up the loop last is seen in its next turns only.
  await new Promise((resolve) => setTimeout(resolve, PAUSE_SEEN_MS));
  delay.disable();
  await settle();
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    operations,
    wallMicros,
    cpuMicros: user + system,
    worstPauseMs: delay.max / 1e6,
    diskBytes: sizeOf(place),
    memoryBytes: process.memoryUsage().rss,
    latencies,
  };
}

async function run(
  request: WorkRequest,
  present: StorageEngine,
): Promise<SteadyResult | { readonly operations: number; readonly latencies: undefined }> {
  if ("load" in request) return runSteady(present, data, request.load);
  const { work } = request;
  if (work === "end" || isSteady(work)) throw new Error("that is no work");
  const operations = work === "reopen" ? await reopen() : await runWork(work, present, data);
  return { operations, latencies: undefined };
}

/** Closes the store, opens it and reads one value. */
async function reopen(): Promise<number> {
  const reopened = await use("random", true);
  if (reopened.get(data.key(0)) === undefined) throw new Error("the store came back empty");
  return 1;
}

/** Waits until no thread of this process has much to do. */
async function settle(): Promise<void> {
  await engine?.idle?.();
  for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const { user, system } = process.cpuUsage(before);
    if (user + system < QUIET_CPU_MICROS) return;
  }
}

function sizeOf(folder: string): number {
  let bytes = 0;
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    // Blocks that the file system has given it: lmdb's file has holes.
    bytes += statSync(join(file.parentPath, file.name)).blocks * 512;
  }
  return bytes;
}

process.on("message", (request: WorkRequest) => {
  const { work } = request;
  if (work === "end") {
    void (engine?.close() ?? Promise.resolve()).then(() => process.disconnect());
    return;
  }
  measure(request).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      console.error(`${name}: ${work}:`, error);
      process.exit(1);
    },
  );
});
