/**
 * One node of a demo: a process of its own, which is started, killed and ended only from here. It
 * is not of this terminal's process group, so that Ctrl-C reaches it through the demo alone; if the
 * demo dies, the node notices that their channel closed, and ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { PlannedNode } from "./demo-plan.js";

/** Enough for the log's writes beside name lookups and reads. */
const THREAD_POOL_SIZE = "16";
const PAGE_BYTES = 4096;

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export class DemoNode {
  readonly plan: PlannedNode;
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #exit: Exit | undefined;

  /** `command` is what runs flotilla: program and first arguments. */
  constructor(plan: PlannedNode, command: readonly string[]) {
    this.plan = plan;
    this.#command = command;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How the process ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  get runs(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    if (this.#child !== undefined) return;
    const [program = "", ...first] = this.#command;
    const log = openSync(this.plan.logFile, "a");
    const child = spawn(program, [...first, ...this.plan.args], {
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
      env: { UV_THREADPOOL_SIZE: THREAD_POOL_SIZE, ...process.env },
    });
    closeSync(log);
    this.#child = child;
    this.#exit = undefined;
    this.#ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#child = undefined;
        this.#exit = exit;
        resolve();
      };
      child.on("exit", (code, signal) => end({ code, signal }));
      child.on("error", () => end({ code: null, signal: "not started" }));
    });
  }

  signal(signal: "SIGKILL" | "SIGTERM"): void {
    this.#child?.kill(signal);
  }

  /** Asks it to end in order, and kills it once `timeoutMs` have passed. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#child === undefined) return;
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Memory of the process, where the system tells. */
  memoryBytes(): number | undefined {
    if (this.pid === undefined) return undefined;
    try {
      const pages = readFileSync(`/proc/${this.pid}/statm`, "utf8").split(" ")[1];
      return Number(pages) * PAGE_BYTES;
    } catch {
      return undefined;
    }
  }

  /** How a person starts it again. */
  commandText(): string {
    const words = [...this.#command, ...this.plan.args].map(shellWord);
    return [`UV_THREADPOOL_SIZE=${THREAD_POOL_SIZE}`, ...words].join(" ");
  }
}

function shellWord(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
