/**
 * Runs jobs that would hold the event loop too long (flush, compaction). A job is plain data that
 * names its kind; the runner hands it to the one function registered for all kinds, in a worker
 * thread or inline, and resolves with that function's plain result. SharedArrayBuffers in a job
 * are shared, everything else is copied.
 */
export interface JobRunner {
  run(job: unknown): Promise<unknown>;
  close(): Promise<void>;
  /** As of now; there is none where nobody counts. */
  counts?(): JobCounts;
}

export interface JobCounts {
  readonly running: number;
  /** For a worker. */
  readonly waiting: number;
}

/**
 * Runs each job inside the call, on a copy as a worker would get it: for tests and the simulator.
 * Nothing is left to wait for at `close`.
 */
export function inlineJobs(handler: (job: unknown) => unknown): JobRunner {
  return {
    run: async (job) => structuredClone(await handler(structuredClone(job))),
    close: () => Promise.resolve(),
  };
}
