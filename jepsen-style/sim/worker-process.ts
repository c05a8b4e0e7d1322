/** The processes that run seeds, as their parent sees them: one seed at a time. */
import { fork, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { SeedReport } from "./worker.js";

/** A process that takes longer over a seed is ended: something in it never stops. */
const SEED_MS_MAX = 120_000;

/** Most of what a run makes is of no use a moment later: fewer collections copy less of it. */
export const YOUNG_SPACE = "--max-semi-space-size=64";

/** What a process is started with, over and above what this one was started with. */
export interface WorkerOptions {
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function startWorker(options: WorkerOptions = {}): ChildProcess {
  const { execArgv = [], env = {} } = options;
  return fork(fileURLToPath(new URL("./main.js", import.meta.url)), ["--worker"], {
    execArgv: [...process.execArgv, YOUNG_SPACE, ...execArgv],
    env: { ...process.env, ...env },
  });
}

/** The report on a seed, or why there is none; the process is of no use any more then. */
export function askWorker(child: ChildProcess, seed: number): Promise<SeedReport | string> {
  return new Promise((resolve) => {
    const settle = (answer: SeedReport | string): void => {
      clearTimeout(timer);
      child.off("message", heard);
      child.off("exit", ended);
      resolve(answer);
    };
    const heard = (report: unknown): void => settle(report as SeedReport);
    const ended = (): void => settle("its process ended");
    const timer = setTimeout(() => settle(`not done after ${SEED_MS_MAX} ms`), SEED_MS_MAX);
    child.on("message", heard);
    child.on("exit", ended);
    child.send(seed);
  });
}

/** The command of this process once more, in one that is started in another way; its exit code. */
export function runAgain({ execArgv = [], env = {} }: WorkerOptions): number {
  const child = spawnSync(process.execPath, [...execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return child.status ?? 1;
}
