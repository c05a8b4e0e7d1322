/**
 * Jobs in worker threads. A worker is started when a job finds none idle, up to the limit; it runs
 * one job at a time and stays. A worker that dies fails its job and is replaced by the next one.
 * Where the process has no descriptor left to start one, a job fails as on a full disk: with
 * DiskError "noSpace", so that it is tried again.
 *
 * The worker's file calls `serveJobs` with the function that runs a job.
 */
import { setPriority } from "node:os";
import { parentPort, Worker } from "node:worker_threads";
import { must } from "../../base/assert.js";
import { DiskError } from "../disk.js";
import type { JobCounts, JobRunner } from "../jobs.js";

/** Of a worker: about a tenth of the share of a thread of the usual priority. */
const NICE = 10;

export interface NodeJobsOptions {
  /** The file that each worker runs. */
  readonly worker: URL;
  readonly workersMax: number;
}

type Answer =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly error: unknown };

interface Task {
  readonly job: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class NodeJobs implements JobRunner {
  readonly #options: NodeJobsOptions;
  readonly #waiting: Task[] = [];
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Task>();
  #whenDone: (() => void) | undefined;

  constructor(options: NodeJobsOptions) {
    this.#options = options;
  }

  run(job: unknown): Promise<unknown> {
    if (this.#whenDone !== undefined) return Promise.reject(new Error("the workers are closed"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#next();
    });
  }

  counts(): JobCounts {
    return { running: this.#running.size, waiting: this.#waiting.length };
  }

  /**
   * Waits for all jobs, then ends the workers. Nobody waits for their threads: an idle worker holds
   * nothing, and taking a thread down takes 10 ms (bench: storage, reopen).
   */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#whenDone = resolve;
      this.#checkDone();
    });
    for (const worker of this.#idle.splice(0)) void worker.terminate();
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idle.pop() ?? this.#start();
      if (worker === undefined) return;
      const task = must(this.#waiting.shift());
      this.#running.set(worker, task);
      worker.ref();
      try {
        worker.postMessage(task.job);
      } catch (error) {
        // The job cannot be copied; the worker has seen nothing of it.
        this.#settle(worker, { kind: "error", error });
      }
    }
  }

  #start(): Worker | undefined {
    if (this.#running.size >= this.#options.workersMax) return undefined;
    const path = this.#options.worker.href;
    const worker = new Worker(this.#options.worker);
    worker.on("message", (answer: Answer) => this.#settle(worker, answer));
    const failed = (error: unknown): void => this.#bury(worker, shortageOf(error, path) ?? error);
    worker.on("error", failed);
    worker.on("exit", (code) => this.#bury(worker, new Error(`a worker ended with code ${code}`)));
    return worker;
  }

  #settle(worker: Worker, answer: Answer): void {
    const task = this.#running.get(worker);
    this.#running.delete(worker);
    // An idle worker does not keep the process alive.
    worker.unref();
    this.#idle.push(worker);
    if (answer.kind === "result") task?.resolve(answer.value);
    else task?.reject(answer.error);
    this.#next();
    this.#checkDone();
  }

  #bury(worker: Worker, error: unknown): void {
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const task = this.#running.get(worker);
    if (task === undefined) return;
    this.#running.delete(worker);
    task.reject(error);
    this.#next();
    this.#checkDone();
  }

  #checkDone(): void {
    if (this.#running.size === 0 && this.#waiting.length === 0) this.#whenDone?.();
  }
}

/** Undefined where something else ended the worker. */
function shortageOf(error: unknown, path: string): DiskError | undefined {
  const isShortage = error instanceof Error && /\bE[MN]FILE\b/.test(error.message);
  return isShortage ? new DiskError("noSpace", path, error) : undefined;
}

/** The worker's side: answers every job with what `handler` makes of it. */
export function serveJobs(handler: (job: unknown) => unknown): void {
  yieldToEventLoops();
  const port = must(parentPort ?? undefined, "the parent's port");
  port.on("message", (job: unknown) => {
    void answerTo(handler, job).then((answer) => port.postMessage(answer));
  });
}

/**
 * Of two threads that want a processor the one with an event loop gets it: a merge that takes a
 * little longer is not noticed, a loop that stands still is. On Linux a thread has a priority of
 * its own; elsewhere this would be the whole process's. (`bench -- storage`, the steady rows)
 */
function yieldToEventLoops(): void {
  if (process.platform === "linux") setPriority(0, NICE);
}

async function answerTo(handler: (job: unknown) => unknown, job: unknown): Promise<Answer> {
  try {
    return { kind: "result", value: await handler(job) };
  } catch (error) {
    return { kind: "error", error };
  }
}
