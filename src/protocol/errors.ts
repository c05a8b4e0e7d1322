/**
 * The one error type of the edge. `code` is a closed set; `outcome` says whether the operation
 * took effect: "notApplied" is certain, "unknown" is anything else. Retry policy and the checkers
 * read `outcome`, people read `message`, programs read `code` and `details`.
 */
import type { ShardDescriptor } from "./cluster.js";

/** The number of each code on the wire. DO NOT CHANGE; new codes take new numbers. */
export const ERROR_CODES = {
  notLeader: 1,
  staleEpoch: 2,
  shardNotFound: 3,
  keyspaceNotFound: 4,
  keyspaceExists: 5,
  keyEmpty: 6,
  keyTooLarge: 7,
  requestTooLarge: 8,
  tooManyOperations: 9,
  duplicateKey: 10,
  compacted: 11,
  futureRevision: 12,
  crossShard: 13,
  orderedScanRefused: 14,
  noSpace: 15,
  overloaded: 16,
  unavailable: 17,
  timeout: 18,
  wrongCluster: 19,
  malformed: 20,
  unsupported: 21,
  invalidArgument: 22,
  keyNotFound: 23,
  leaseNotFound: 24,
  sessionExpired: 25,
  nodeNotFound: 26,
  cancelled: 27,
  closed: 28,
  corrupt: 29,
  internal: 30,
  /** This node is not, or no longer, a member as it says of itself. */
  nodeRefused: 31,
  leaseExists: 32,
  leaseTtlTooLarge: 33,
  /** The request may be small, but it touches or answers more than is done at once. */
  limitExceeded: 34,
  /** A key more could not be deleted with the others at its end; `bound` is of their bytes. */
  leaseFull: 35,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export type Outcome = "notApplied" | "unknown";

/** What a program may need to go on. */
export interface ErrorDetails {
  /** notLeader: the node that leads, as far as the answering node knows. */
  readonly leaderNodeId?: number | undefined;
  /** staleEpoch, shardNotFound: current descriptors of the shards that were meant. */
  readonly shards?: readonly ShardDescriptor[] | undefined;
  /** compacted: the compacted revision; futureRevision: the current one; limits: the limit. */
  readonly bound?: number | undefined;
}

export class KvError extends Error {
  override readonly name = "KvError";
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, outcome: Outcome, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.outcome = outcome;
    this.details = details;
  }

  /** The one converter: anything thrown becomes a KvError; a foreign error's outcome is unknown. */
  static from(error: unknown): KvError {
    if (error instanceof KvError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new KvError("internal", message, "unknown");
  }
}

/** An error of an operation that certainly did not take effect. */
export function notApplied(code: ErrorCode, message: string, details?: ErrorDetails): KvError {
  return new KvError(code, message, "notApplied", details);
}
