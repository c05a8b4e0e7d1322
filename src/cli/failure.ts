/**
 * Failures as a person meets them: what happened, why that is likely, what to do next, and an exit
 * code. It never guesses an outcome: it says "unknown" exactly where the SDK does.
 */
import { DiskError } from "../env/disk.js";
import { KvError, type ErrorCode } from "../protocol/errors.js";
import { EXIT } from "./exit-codes.js";

export interface FailureHints {
  /** The likely cause, a sentence. */
  readonly because?: string | undefined;
  /** How the command is written. */
  readonly usage?: string | undefined;
  /** What to do next, best a command. */
  readonly next?: string | undefined;
}

/** A failure that a tool itself found. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  readonly hints: FailureHints;

  constructor(exitCode: number, message: string, hints: FailureHints = {}) {
    super(message);
    this.exitCode = exitCode;
    this.hints = hints;
  }
}

export function badArguments(message: string, next?: string): CliError {
  return new CliError(EXIT.badArguments, message, { next });
}

export function invalidInput(message: string, next?: string): CliError {
  return new CliError(EXIT.invalidInput, message, { next });
}

export interface Failure {
  readonly exitCode: number;
  readonly message: string;
  readonly hints: FailureHints;
}

const STATUS = "flotctl endpoint status --cluster -w table";
const BUSY: FailureHints = {
  because: "leaders may be moving, or the cluster is short of a majority",
  next: STATUS,
};

const HINTS: Partial<Readonly<Record<ErrorCode, FailureHints>>> = {
  notLeader: BUSY,
  staleEpoch: BUSY,
  shardNotFound: BUSY,
  unavailable: BUSY,
  timeout: BUSY,
  closed: { because: "the node closed the connection", next: STATUS },
  overloaded: { because: "the node has more work than it can queue", next: "try again later" },
  noSpace: { because: "a disk of the shard's nodes is nearly full", next: STATUS },
  keyspaceNotFound: { next: "flotctl keyspace list" },
  keyspaceExists: { next: "flotctl keyspace show NAME" },
  nodeNotFound: { next: "flotctl member list" },
  crossShard: {
    because: "the keys of a transaction must lie in one shard",
    next: "flotctl shard locate KEY",
  },
  orderedScanRefused: {
    because: "a hash keyspace scatters neighbouring keys over all shards",
    next: "add --fan-out to ask every shard",
  },
  compacted: {
    because: "the revision was compacted",
    next: "read at a newer --rev, or without it",
  },
  futureRevision: { because: "the keyspace has not reached that revision" },
  wrongCluster: { because: "the endpoint belongs to another cluster", next: "check --endpoints" },
};

/** A connection could not be made; nothing was sent. */
export function badConnection(endpoints: readonly string[], error: unknown): CliError {
  const { message } = KvError.from(error);
  const list = endpoints.join(",");
  return new CliError(EXIT.badConnection, `cannot connect to ${list}: ${message}`, {
    because: "no node listens there, or the address belongs to something else",
    next: "check --endpoints; flotilla start or flotilla demo start a node",
  });
}

/** What to report of `error`; `writes` tells whether the command may have changed data. */
export function failureOf(error: unknown, writes: boolean): Failure {
  if (error instanceof CliError) {
    return { exitCode: error.exitCode, message: error.message, hints: error.hints };
  }
  if (error instanceof KvError) return failureOfRequest(error, writes);
  const message = error instanceof Error ? error.message : String(error);
  const isOutside = isSystemError(error) || error instanceof DiskError;
  const exitCode = isOutside ? EXIT.inputOutput : EXIT.failed;
  return { exitCode, message, hints: {} };
}

function failureOfRequest(error: KvError, writes: boolean): Failure {
  const hints = HINTS[error.code] ?? {};
  const message = error.message.replace(/\bfanOut\b/g, "--fan-out");
  if (!writes) {
    // A read applies nothing, so that nobody wonders whether it did.
    return { exitCode: EXIT.failed, message: message.replace(", not applied:", ":"), hints };
  }
  if (error.outcome === "notApplied") return { exitCode: EXIT.failed, message, hints };
  return {
    exitCode: EXIT.outcomeUnknown,
    message: `outcome unknown: the write may have been applied (${message})`,
    hints: {
      because: hints.because ?? "the connection ended before the answer came",
      next: "read the key back before you write again",
    },
  };
}

/** Whether the operating system refused something on a file or stream. */
export function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** The failure as lines for stderr. */
export function failureText(failure: Failure): string {
  const { because, usage, next } = failure.hints;
  const lines = [`Error: ${failure.message}`];
  if (because !== undefined) lines.push(`  likely cause: ${because}`);
  if (usage !== undefined) lines.push(`  usage: ${usage}`);
  if (next !== undefined) lines.push(`  next: ${next}`);
  return `${lines.join("\n")}\n`;
}
