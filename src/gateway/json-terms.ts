/**
 * What the headers of a request by JSON ask of its call, as etcd's own gateway hands them on to
 * gRPC: `Grpc-Timeout`, and of `Grpc-Metadata-<name>` the one that means something, `hasleader`.
 */
import type { Timers } from "../env/timers.js";
import { timeoutOf } from "./grpc-headers.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { GRPC, StatusError, deadlineExceeded, noLeader } from "./status.js";

export interface JsonTerms {
  /** undefined: it may last. */
  readonly timeoutMs: number | undefined;
  readonly wantsLeader: boolean;
}

export interface TermsHost {
  readonly leaders: LeaderMonitor;
  readonly timers: Timers;
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Throws StatusError for a timeout that is none. */
export function termsOf(headers: Headers): JsonTerms {
  return {
    timeoutMs: timeoutIn(String(headers["grpc-timeout"] ?? "")),
    wantsLeader: headers["grpc-metadata-hasleader"] === "true",
  };
}

/** As many digits as there are, with a sign or without one; none at all is no deadline, as is 0. */
function timeoutIn(header: string): number | undefined {
  if (header === "") return undefined;
  const [, digits = "", unit = ""] = /^([+-]?\d+)(.)$/.exec(header) ?? [];
  const timeoutMs = timeoutOf(digits, unit);
  if (timeoutMs !== undefined) return Number(digits) === 0 ? undefined : timeoutMs;
  throw new StatusError(GRPC.invalidArgument, `invalid grpc-timeout: ${header}`);
}

/**
 * Throws where there is no leader and the call wants one, or it is too late already. What it gives
 * is aborted, with the StatusError, at the deadline, and for a stream when the leader is lost.
 */
export async function heldTo(
  { timeoutMs, wantsLeader }: JsonTerms,
  { leaders, timers }: TermsHost,
  isStream: boolean,
): Promise<{ readonly signal: AbortSignal; readonly release: () => void }> {
  if (timeoutMs !== undefined && timeoutMs < 0) throw deadlineExceeded();
  const ending = new AbortController();
  const fail = (error: StatusError): void => ending.abort(error);
  const timer =
    timeoutMs === undefined ? undefined : timers.after(timeoutMs, () => fail(deadlineExceeded()));
  if (wantsLeader && !(await leaders.hasLeader())) {
    timer?.cancel();
    throw noLeader();
  }
  const unfollow =
    wantsLeader && isStream ? leaders.followLoss(() => fail(noLeader())) : (): void => undefined;
  const release = (): void => {
    timer?.cancel();
    unfollow();
  };
  return { signal: ending.signal, release };
}
