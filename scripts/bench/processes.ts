/**
 * The processes that a benchmark starts, and the promise that they end with it: by SIGTERM, then
 * by SIGKILL, and only those. Each writes its output to a file of its own.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { delimiter, dirname, join } from "node:path";

export interface Started {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly outputPath: string;
}

export interface StartOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly outputPath: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

const TERM_PATIENCE_MS = 5_000;
const KILL_PATIENCE_MS = 5_000;
const OUTPUT_TAIL_BYTES = 2_000;
/** Linux counts processor time in hundredths of a second on every platform Node.js runs on. */
const MICROS_PER_TICK = 10_000;

export class Processes {
  readonly #all: Started[] = [];
  readonly #killAll = (): void => {
    for (const { child } of this.#running()) child.kill("SIGKILL");
  };

  readonly #termPatienceMs: number;

  /** `termPatienceMs` is how long a process may take to end by itself when asked to. */
  constructor(termPatienceMs: number = TERM_PATIENCE_MS) {
    this.#termPatienceMs = termPatienceMs;
    // The last resort, for an exit that did not come by way of stopAll.
    process.on("exit", this.#killAll);
  }

  start(options: StartOptions): Started {
    mkdirSync(dirname(options.outputPath), { recursive: true });
    const output = openSync(options.outputPath, "a");
    const child = spawn(options.command, options.args, {
      stdio: ["ignore", output, output],
      env: { ...process.env, ...options.env },
    });
    closeSync(output);
    // Without a listener a command that cannot be started would end this process.
    child.on("error", () => undefined);
    if (child.pid === undefined) throw new Error(`${options.command} cannot be started`);
    const { name, outputPath } = options;
    const started: Started = { name, pid: child.pid, child, outputPath };
    this.#all.push(started);
    return started;
  }

  /** Throws, with the end of its output, if one of the processes has ended by itself. */
  requireAlive(): void {
    for (const one of this.#all) {
      if (!hasEnded(one.child)) continue;
      const how = one.child.exitCode ?? one.child.signalCode;
      throw new Error(`${one.name} ended (${how}). The end of its output:\n${outputTail(one)}`);
    }
  }

  async stopAll(): Promise<void> {
    for (const [signal, patienceMs] of [
      ["SIGTERM", this.#termPatienceMs],
      ["SIGKILL", KILL_PATIENCE_MS],
    ] as const) {
      const running = this.#running();
      for (const { child } of running) child.kill(signal);
      await Promise.all(running.map(({ child }) => ended(child, patienceMs)));
    }
    process.off("exit", this.#killAll);
  }

  #running(): readonly Started[] {
    return this.#all.filter(({ child }) => !hasEnded(child));
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function ended(child: ChildProcess, patienceMs: number): Promise<void> {
  if (hasEnded(child)) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function outputTail({ outputPath }: Started): string {
  if (!existsSync(outputPath)) return "";
  return readFileSync(outputPath, "utf8").slice(-OUTPUT_TAIL_BYTES);
}

/** Processor time used so far by each process, or undefined where the system does not say. */
export function cpuMicros(started: readonly Started[]): readonly number[] | undefined {
  const micros: number[] = [];
  for (const { pid } of started) {
    const path = `/proc/${pid}/stat`;
    if (!existsSync(path)) return undefined;
    // The second field is the command in parentheses; user and system time are the 14th and 15th.
    const stat = readFileSync(path, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    micros.push((Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK);
  }
  return micros;
}

/** Where a command is on the PATH, if it is. */
export function findCommand(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** `count` different ports of the loopback interface, at one address, that are free now. */
export async function freePorts(count: number, host = "127.0.0.1"): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map((server) => listen(server, host)));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Asks until the answer is not undefined; throws what `requireAlive` or the deadline says. */
export async function waitFor<T>(
  what: string,
  processes: Processes,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    processes.requireAlive();
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} took more than 30 s`);
}
