/**
 * One node of a cluster as processes: started, killed, stopped, held and released, and started
 * again on the same files. An end that nobody ordered is remembered: it is a finding of the run.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { must } from "../../src/base/assert.js";
import type { Prng } from "../../src/base/prng.js";
import type { NodePlace } from "../../scripts/bench/our-cluster.js";
import { startArguments } from "../../scripts/bench/our-cluster.js";
import { MUTANT_VARIABLE } from "../sim/mutant.js";
import type { Guard } from "./guard.js";
import { JOURNAL_VARIABLE } from "./journal.js";
import { DISK_FAULTS_VARIABLE, NO_DISK_FAULTS, NO_SKEW, SITE_VARIABLE } from "./orders.js";
import type { ClockSkew, DiskFaults, Order } from "./orders.js";
import { cutPower } from "./power-cut.js";
import type { Lost } from "./power-cut.js";

export interface NodeSetup {
  readonly place: NodePlace;
  /** Where its connections come from. */
  readonly site: string;
  /** The words by which a command is started where it lives. */
  readonly entry: readonly string[];
  readonly flags: readonly string[];
  readonly outputPath: string;
  readonly diskFaultsPath: string;
  /** Where what is not synced is written down, for power cuts; undefined: nowhere. */
  readonly journalPath: string | undefined;
  readonly mutant: string | undefined;
  /** Of a node that was added: what member add said of it. */
  readonly joins: boolean;
}

export type NodeState = "running" | "held" | "down";

const STOP_PATIENCE_MS = 20_000;
const THREADS = "16";
const HOLD_POLL_MS = 2;

export interface NodeEvents {
  readonly endedItself: (how: string) => void;
  /** It is down, and about to start on what its disk has. */
  readonly startsAgain: () => void;
}

export class NodeProcess {
  readonly setup: NodeSetup;
  readonly #guard: Guard;
  readonly #events: NodeEvents;
  #child: ChildProcess | undefined;
  #state: NodeState = "down";
  #ending = false;
  /** Its disk fails, or it leaves: until then it may end by itself, which is what it promises. */
  mayEndUntilMs = 0;

  constructor(setup: NodeSetup, guard: Guard, events: NodeEvents) {
    this.setup = setup;
    this.#guard = guard;
    this.#events = events;
  }

  get name(): string {
    return this.setup.place.name;
  }

  get state(): NodeState {
    return this.#state;
  }

  start(): void {
    if (this.#state !== "down") return;
    if (this.#child !== undefined) this.#events.startsAgain();
    const { outputPath } = this.setup;
    const output = openSync(outputPath, "a");
    const [program = "", ...words] = [...this.setup.entry, process.execPath, ...this.#arguments()];
    const child = spawn(program, words, {
      stdio: ["ignore", output, output, "ipc"],
      env: this.#environment(),
    });
    closeSync(output);
    this.#guard.watch(child);
    // Told of by "exit"; a channel that breaks as it ends is no news.
    child.on("error", () => undefined);
    child.once("exit", (code, signal) => {
      if (this.#child !== child) return;
      this.#state = "down";
      if (this.#ending || performance.now() < this.mayEndUntilMs) return;
      this.#events.endedItself(signal ?? `exit code ${code}`);
    });
    this.#child = child;
    this.#state = "running";
    this.#ending = false;
  }

  #arguments(): string[] {
    const preload = (name: string): string[] => ["--import", new URL(name, import.meta.url).href];
    const { place, flags, mutant, joins } = this.setup;
    return [
      preload("./node-preload.js"),
      mutant === undefined ? [] : preload("../sim/mutant-preload.js"),
      startArguments(place),
      joins ? ["--initial-cluster-state", "existing"] : [],
      flags,
    ].flat();
  }

  #environment(): NodeJS.ProcessEnv {
    const { site, diskFaultsPath, journalPath, mutant } = this.setup;
    return {
      ...process.env,
      UV_THREADPOOL_SIZE: THREADS,
      [SITE_VARIABLE]: site,
      [DISK_FAULTS_VARIABLE]: diskFaultsPath,
      ...(journalPath !== undefined && { [JOURNAL_VARIABLE]: journalPath }),
      ...(mutant !== undefined && { [MUTANT_VARIABLE]: mutant }),
    };
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Kills it, and takes back what it had not synced; says how much that was. */
  async cutPower(prng: Prng): Promise<Lost> {
    await this.kill();
    const { journalPath, place } = this.setup;
    return cutPower(must(journalPath, "a journal"), place.directory, prng);
  }

  /** Asks it to end, as an operator does; kills it where that takes too long, and says so. */
  async stop(): Promise<boolean> {
    const child = this.#child;
    if (this.#state === "held") this.release();
    const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_PATIENCE_MS);
    const code = await this.#end("SIGTERM");
    clearTimeout(timer);
    return code === 0;
  }

  hold(): void {
    if (this.#state !== "running") return;
    this.#child?.kill("SIGSTOP");
    this.#state = "held";
  }

  release(): void {
    if (this.#state !== "held") return;
    this.#child?.kill("SIGCONT");
    this.#state = "running";
  }

  /** Undefined where it does not run, or has ended meanwhile. */
  async whileHeld<T>(look: () => T): Promise<T | undefined> {
    const child = this.#child;
    if (this.#state !== "running" || child?.pid === undefined) return undefined;
    this.hold();
    while (child.exitCode === null && child.signalCode === null && !isStopped(child.pid)) {
      await new Promise((resolve) => setTimeout(resolve, HOLD_POLL_MS));
    }
    const seen = child.exitCode === null && child.signalCode === null ? look() : undefined;
    this.release();
    return seen;
  }

  setClocks(skew: ClockSkew = NO_SKEW): void {
    const order: Order = { clocks: skew };
    if (this.#state !== "down") this.#child?.send(order, () => undefined);
  }

  setDiskFaults(faults: DiskFaults = NO_DISK_FAULTS): void {
    writeFileSync(this.setup.diskFaultsPath, JSON.stringify(faults));
  }

  #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || this.#state === "down") return Promise.resolve(0);
    this.#ending = true;
    return new Promise((resolve) => {
      child.once("exit", (code) => resolve(code));
      child.kill(signal);
    });
  }
}

/** A stop takes effect when each thread is out of the kernel. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return false;
  return readdirSync(tasks).every((task) => {
    const path = `${tasks}/${task}/stat`;
    return !existsSync(path) || /\) T /.test(readFileSync(path, "utf8"));
  });
}
