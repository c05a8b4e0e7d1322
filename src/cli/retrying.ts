/**
 * Retries for long work: what may succeed later is tried again until a deadline. Writes are retried
 * after an unknown outcome too, so it is only for writes that may be repeated, such as an import's.
 */
import { KvError, type ErrorCode } from "../protocol/errors.js";

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 1000;

const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "notLeader",
  "staleEpoch",
  "shardNotFound",
  "unavailable",
  "overloaded",
  "timeout",
  "closed",
]);

export interface Attempts<T> {
  /** undefined: it never succeeded; `error` says why in the end. */
  readonly value: T | undefined;
  readonly error: KvError | undefined;
  /** Attempts after which nobody could say whether they took effect. */
  readonly unknown: number;
}

export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Never throws a KvError: it is in the answer. */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { timeoutMs, signal }: Patience,
): Promise<Attempts<T>> {
  const deadline = performance.now() + timeoutMs;
  let unknown = 0;
  for (let backoffMs = BACKOFF_FIRST_MS; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS)) {
    try {
      return { value: await attempt(), error: undefined, unknown };
    } catch (thrown) {
      const error = asKvError(thrown);
      if (error.outcome === "unknown") unknown++;
      const mayPass = error.outcome === "unknown" || TRANSIENT.has(error.code);
      const over = signal.aborted || performance.now() + backoffMs > deadline;
      if (!mayPass || over) return { value: undefined, error, unknown };
    }
    await pause(backoffMs * (0.5 + Math.random() / 2));
  }
}

function asKvError(thrown: unknown): KvError {
  if (thrown instanceof KvError) return thrown;
  throw thrown;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
