/**
 * Runs jobs that would hold the event loop too long (flush, compaction). A job is plain data that
 * names its kind; the runner hands it to the one function registered for all kinds, in a worker
 * thread or inline, and resolves with that function's plain result. SharedArrayBuffers in a job
 * are shared, everything else is copied.
 */
export interface JobRunner {
  run(job: unknown): Promise<unknown>;
  close(): Promise<void>;
}
