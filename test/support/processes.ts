/**
 * Real processes of the built command line: nodes that can be killed, and commands that are run to
 * their end. Everything started here is ended by `close`, and nothing else is.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../../src/base/assert.js";
import { eventually } from "./eventually.js";
import { freeAddress } from "./ports.js";
import { runProgram } from "./programs.js";
import type { ProgramResult } from "./programs.js";

const FLOTILLA = "dist/src/cli/flotilla.js";
const FLOTCTL = "dist/src/cli/flotctl.js";
/** No node of a test outlives this. */
const LIFETIME_MS = 120_000;

export class ProcessCluster {
  readonly directory: string = mkdtempSync(join(tmpdir(), "flotilla-processes-"));
  readonly #founders: readonly string[] = ["n1", "n2", "n3"];
  readonly #added: string[] = [];
  readonly #clients: Map<string, string> = new Map();
  readonly #peers: Map<string, string> = new Map();
  readonly #children: Map<string, ChildProcess> = new Map();

  /** Resolves when the cluster takes writes. */
  static async start(flags: readonly string[] = []): Promise<ProcessCluster> {
    if (!existsSync(FLOTILLA)) throw new Error("the command line is not built: npm run build");
    const cluster = new ProcessCluster();
    for (const name of cluster.names) {
      cluster.#clients.set(name, await freeAddress());
      cluster.#peers.set(name, await freeAddress());
    }
    for (const name of cluster.names) cluster.startNode(name, flags);
    await eventually(async () => (await cluster.run(["put", "ready", "yes"])).code === 0, 30_000);
    return cluster;
  }

  /** The founders, and after them the nodes that were added. */
  get names(): readonly string[] {
    return [...this.#founders, ...this.#added];
  }

  /** Gives addresses to a node that will be added. */
  async prepare(name: string): Promise<void> {
    this.#added.push(name);
    this.#clients.set(name, await freeAddress());
    this.#peers.set(name, await freeAddress());
  }

  /** From its next start on it listens for other nodes somewhere else. */
  async movePeer(name: string): Promise<void> {
    this.#peers.set(name, await freeAddress());
  }

  peerAddress(name: string): string {
    return must(this.#peers.get(name));
  }

  get endpoints(): string {
    return this.names.map((name) => must(this.#clients.get(name))).join(",");
  }

  /** The value of --initial-cluster. */
  get founders(): string {
    return this.#founders.map((name) => `${name}=${must(this.#peers.get(name))}`).join(",");
  }

  endpoint(name: string): string {
    return must(this.#clients.get(name));
  }

  /** A node that was added is started by the variables that member add has printed. */
  startNode(
    name: string,
    flags: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): void {
    const log = openSync(join(this.directory, `${name}.log`), "a");
    const args = [
      [FLOTILLA, "start", "--name", name, "--data-dir", join(this.directory, name)],
      ["--listen-client", this.endpoint(name), "--listen-peer", must(this.#peers.get(name))],
      this.#added.includes(name) ? [] : ["--initial-cluster", this.founders],
      flags,
    ];
    const child = spawn(process.execPath, args.flat(), {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env },
      timeout: LIFETIME_MS,
    });
    this.#children.set(name, child);
  }

  /** Ends a node by a signal and waits until it is gone; gives its exit code, if it had one. */
  async signal(name: string, signal: NodeJS.Signals): Promise<number | null> {
    const child = must(this.#children.get(name), name);
    this.#children.delete(name);
    const gone = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return gone;
  }

  /** Waits until a node ends by itself; gives its exit code. */
  async ended(name: string): Promise<number | null> {
    const child = must(this.#children.get(name), name);
    if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
    this.#children.delete(name);
    return child.exitCode;
  }

  /** Starts flotctl on this cluster, for a test that does not wait for its end. */
  start(args: readonly string[]): RunningCommand {
    return new RunningCommand([FLOTCTL, "--endpoints", this.endpoints, ...args]);
  }

  /** Runs flotctl on this cluster. */
  run(args: readonly string[], input = ""): Promise<ProgramResult> {
    return runNode([FLOTCTL, ...args, "--endpoints", this.endpoints], input);
  }

  /** Runs a command that has to succeed, with time for it; gives what it has printed. */
  async flotctl(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run([...args, "--command-timeout", "20s"]);
    if (code !== 0 || stderr !== "") throw new Error(`${args.join(" ")}: ${code} ${stderr}`);
    return stdout;
  }

  async close(): Promise<void> {
    for (const name of Array.from(this.#children.keys())) await this.signal(name, "SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A process that is being watched. */
export class RunningCommand {
  stdout = "";
  stderr = "";
  /** Its exit code, -1 where a signal ended it. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, args, { timeout: LIFETIME_MS });
    this.#child.stdout?.on("data", (chunk: Uint8Array) => (this.stdout += String(chunk)));
    this.#child.stderr?.on("data", (chunk: Uint8Array) => (this.stderr += String(chunk)));
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code) => resolve(code ?? -1));
    });
  }

  kill(signal: NodeJS.Signals): Promise<number> {
    this.#child.kill(signal);
    return this.ended;
  }
}

/** The variables that `member add` has printed, for the node that is to be started. */
export function settingsIn(printed: string): Record<string, string> {
  const lines = printed.matchAll(/^(FLOTILLA_\w+)="(.*)"$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
}

export function runNode(args: readonly string[], input = ""): Promise<ProgramResult> {
  return runProgram(process.execPath, args, input, LIFETIME_MS);
}
