/**
 * The storage benchmark: one process for each engine, which take turns within each row, so that
 * whatever else this machine does meanwhile falls on all of them. The stores are deleted in the
 * end, unless they are to be kept.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./report.js";
import { isInstalled } from "./storage-engines.js";
import type { WorkRequest, WorkResult } from "./storage-process.js";
import { isSteady, parseStorageSettings, STORAGE_HELP, WORKS } from "./storage-settings.js";
import type { EngineName, SteadyWork, StorageSettings } from "./storage-settings.js";
import type { Latencies, SteadyLoad } from "./storage-steady.js";

const PROCESS = fileURLToPath(new URL("./storage-process.js", import.meta.url));
/** Works whose data all later ones need, and those whose speed the steady ones go by. */
const FILLS: readonly string[] = ["fill-random"];
const YARDSTICKS: readonly string[] = ["overwrite", "put-sync", "put-sync-64"];

export interface StorageSide {
  readonly microsPerOp: number;
  readonly cpuMicrosPerOp: number;
  readonly worstPauseMs: number;
  readonly diskMegabytes: number;
  readonly memoryMegabytes: number;
  /** Of a steady work. */
  readonly latencies?: Latencies;
}

export type StorageRow = {
  readonly work: WorkRequest["work"];
  readonly valueBytes: number;
  readonly entries: number;
  /** classic-level's wall time over ours; of a steady work, its 99.9 % of latencies over ours. */
  readonly ratio: number | undefined;
} & { readonly [engine in EngineName]?: StorageSide };

/** Runs the benchmark these arguments ask for; the exit code. */
export async function storageBench(args: readonly string[]): Promise<number> {
  const settings = parseStorageSettings(args);
  if (settings === "help") {
    console.log(STORAGE_HELP);
    return 0;
  }
  const engines = settings.engines.filter(isInstalled);
  const missing = settings.engines.filter((name) => !engines.includes(name));
  if (missing.length > 0) {
    const names = missing.join(" ");
    console.log(`not installed: ${names}; "npm install --no-save ${names}" makes them take part`);
  }
  const directory = resolve(settings.directory, `storage-${process.pid}`);
  try {
    const rows: StorageRow[] = [];
    console.log(line(["work", "value", "", "µs/op", "cpu µs", "pause ms", "disk MB", "mem MB"]));
    for (const valueBytes of settings.valueBytes) {
      rows.push(...(await measureSize(settings, engines, { directory, valueBytes })));
    }
    if (settings.json) console.log(JSON.stringify({ rows }));
    return 0;
  } finally {
    if (!settings.keep) rmSync(directory, { recursive: true, force: true });
  }
}

/** By work and engine, one for each round. */
type Results = Map<string, readonly WorkResult[]>;

interface Place {
  readonly directory: string;
  readonly valueBytes: number;
}

/** All rows of one size of values: the medians over the rounds. */
async function measureSize(
  settings: StorageSettings,
  engines: readonly EngineName[],
  place: Place,
): Promise<readonly StorageRow[]> {
  const works = [...WORKS.filter((work) => isNeeded(settings, work)), "reopen" as const];
  const results: Results = new Map();
  const row = (work: WorkRequest["work"]): StorageRow => rowOf(work, results, settings, place);
  for (let round = 0; round < settings.rounds; round++) {
    const children = new Map<EngineName, ChildProcess>();
    for (const engine of engines) children.set(engine, start(engine, settings, place, round));
    try {
      for (const work of works) {
        await takeTurns(requestOf(work, results, engines, settings), children, results);
        printWhen(round === settings.rounds - 1, row(work));
      }
    } finally {
      for (const child of children.values()) await end(child);
    }
  }
  return works.map(row);
}

/** A steady load is the same for all engines: half of what the slowest has just done. */
function requestOf(
  work: WorkRequest["work"],
  results: Results,
  engines: readonly EngineName[],
  { seconds }: StorageSettings,
): WorkRequest {
  if (!isSteady(work)) return { work };
  const slowest = (yardstick: string): number =>
    Math.min(
      ...engines.map((engine) => {
        const { operations, wallMicros } = results.get(`${yardstick} ${engine}`)!.at(-1)!;
        return (operations * 1e6) / wallMicros;
      }),
    );
  const batchesPerSecond = slowest("overwrite") / 100 / 2;
  return { work, load: steadyLoad(work, batchesPerSecond, slowest("put-sync-64") / 2, seconds) };
}

function steadyLoad(
  work: SteadyWork,
  batchesPerSecond: number,
  putsPerSecond: number,
  seconds: number,
): SteadyLoad {
  if (work === "steady") return { batchesPerSecond, putsPerSecond: 0, seconds };
  return { batchesPerSecond: batchesPerSecond / 2, putsPerSecond, seconds };
}

/** Every engine does the work once, one after the other. */
async function takeTurns(
  request: WorkRequest,
  children: ReadonlyMap<EngineName, ChildProcess>,
  results: Results,
): Promise<void> {
  for (const [engine, child] of children) {
    const key = `${request.work} ${engine}`;
    results.set(key, [...(results.get(key) ?? []), await ask(child, request)]);
  }
}

function isNeeded(settings: StorageSettings, work: (typeof WORKS)[number]): boolean {
  if (settings.works.includes(work) || FILLS.includes(work)) return true;
  return settings.works.some(isSteady) && YARDSTICKS.includes(work);
}

function start(
  engine: EngineName,
  { entries }: StorageSettings,
  { directory, valueBytes }: Place,
  round: number,
): ChildProcess {
  const folder = resolve(directory, `${engine}-${valueBytes}-${round}`);
  mkdirSync(folder, { recursive: true });
  return fork(PROCESS, [engine, folder, String(entries), String(valueBytes)]);
}

function ask(child: ChildProcess, request: WorkRequest): Promise<WorkResult> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error(`a process ended during ${request.work}`));
    child.once("exit", ended);
    child.once("message", (result: WorkResult) => {
      child.off("exit", ended);
      resolve(result);
    });
    child.send(request);
  });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.send({ work: "end" } satisfies WorkRequest);
  });
}

function rowOf(
  work: WorkRequest["work"],
  results: Results,
  { entries }: StorageSettings,
  { valueBytes }: Place,
): StorageRow {
  const side = (engine: EngineName): StorageSide | undefined =>
    sideOf(results.get(`${work} ${engine}`) ?? []);
  const ours = side("ours");
  const level = side("classic-level");
  const lmdb = side("lmdb");
  const isRatio = ours !== undefined && level !== undefined;
  return {
    work,
    valueBytes,
    entries,
    ...(ours === undefined ? {} : { ours }),
    ...(level === undefined ? {} : { "classic-level": level }),
    ...(lmdb === undefined ? {} : { lmdb }),
    ratio: isRatio ? rounded(costOf(level) / costOf(ours), 2) : undefined,
  };
}

/** What is compared. */
function costOf({ latencies, microsPerOp }: StorageSide): number {
  return latencies?.p999Ms ?? microsPerOp;
}

function sideOf(results: readonly WorkResult[]): StorageSide | undefined {
  if (results.length === 0) return undefined;
  const of = (value: (result: WorkResult) => number, digits: number): number =>
    rounded(median(results.map(value)), digits);
  return {
    microsPerOp: of(({ wallMicros, operations }) => wallMicros / operations, 3),
    cpuMicrosPerOp: of(({ cpuMicros, operations }) => cpuMicros / operations, 3),
    worstPauseMs: of(({ worstPauseMs }) => worstPauseMs, 1),
    diskMegabytes: of(({ diskBytes }) => diskBytes / 1e6, 1),
    memoryMegabytes: of(({ memoryBytes }) => memoryBytes / 1e6, 0),
    ...latenciesOf(results),
  };
}

function latenciesOf(results: readonly WorkResult[]): Pick<StorageSide, "latencies"> {
  const each = results.flatMap(({ latencies }) => latencies ?? []);
  if (each.length === 0) return {};
  const of = (value: (latencies: Latencies) => number): number =>
    rounded(median(each.map(value)), 3);
  return {
    latencies: {
      medianMs: of(({ medianMs }) => medianMs),
      p99Ms: of(({ p99Ms }) => p99Ms),
      p999Ms: of(({ p999Ms }) => p999Ms),
      maxMs: of(({ maxMs }) => maxMs),
    },
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

const WIDTHS = [16, 6, 15, 12, 12, 10, 10, 8, 8];

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i === 2 ? `  ${cell.padEnd(13)}` : cell.padStart(WIDTHS[i]!)))
    .join("");
}

function printWhen(isLastRound: boolean, row: StorageRow): void {
  if (!isLastRound) return;
  const { work, valueBytes, ratio } = row;
  for (const engine of ["ours", "classic-level", "lmdb"] as const) {
    const side = row[engine];
    if (side === undefined) continue;
    const { microsPerOp, cpuMicrosPerOp, worstPauseMs, diskMegabytes, memoryMegabytes } = side;
    const numbers = [microsPerOp, cpuMicrosPerOp, worstPauseMs, diskMegabytes, memoryMegabytes];
    const last = engine === "classic-level" && ratio !== undefined ? `${ratio}x` : "";
    console.log(line([work, String(valueBytes), engine, ...numbers.map(String), last]));
    if (side.latencies !== undefined) console.log(latencyLine(side.latencies));
  }
}

function latencyLine({ medianMs, p99Ms, p999Ms, maxMs }: Latencies): string {
  const text = `median ${medianMs}  99 % ${p99Ms}  99.9 % ${p999Ms}  max ${maxMs} ms`;
  return `${" ".repeat(WIDTHS[0]! + WIDTHS[1]! + 2)}${text}`;
}
