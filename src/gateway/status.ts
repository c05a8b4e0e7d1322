/**
 * gRPC's status codes, and which of them, with which words, an error of ours is to etcd's clients.
 * They know an error by its words: DO NOT CHANGE those that begin with `etcdserver`.
 */
import { DecodeError } from "../base/coding.js";
import { KvError } from "../protocol/errors.js";
import type { ErrorCode } from "../protocol/errors.js";

export const GRPC = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** What a call ends with instead of an answer. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** An error in etcd's words. */
export function etcdError(code: number, text: string): StatusError {
  return new StatusError(code, `etcdserver: ${text}`);
}

export function notImplemented(what: string): StatusError {
  return new StatusError(GRPC.unimplemented, `flotilla: ${what}`);
}

export const emptyKey = (): StatusError => etcdError(GRPC.invalidArgument, "key is not provided");
export const timedOut = (): StatusError => etcdError(GRPC.unavailable, "request timed out");
export const stopped = (): StatusError => etcdError(GRPC.unavailable, "server stopped");
export const noLeader = (): StatusError => etcdError(GRPC.unavailable, "no leader");
export const notForLearner = (): StatusError =>
  etcdError(GRPC.unavailable, "rpc not supported for learner");
export const memberNotFound = (): StatusError => etcdError(GRPC.notFound, "member not found");
export const badUrls = (): StatusError =>
  etcdError(GRPC.invalidArgument, "given member URLs are invalid");

export const deadlineExceeded = (): StatusError =>
  new StatusError(GRPC.deadlineExceeded, "context deadline exceeded");

/** etcd's locks and elections have words for their errors, and no codes. */
export const lineError = (text: string): StatusError => new StatusError(GRPC.unknown, text);

export const COMPACTED_TEXT = "etcdserver: mvcc: required revision has been compacted";

type Words = readonly [code: number, text: string];

/** Where etcd has words for it; whatever is not here keeps its own. */
const ETCD_WORDS: Partial<Record<ErrorCode, Words>> = {
  keyEmpty: [GRPC.invalidArgument, "key is not provided"],
  keyNotFound: [GRPC.invalidArgument, "key not found"],
  tooManyOperations: [GRPC.invalidArgument, "too many operations in txn request"],
  duplicateKey: [GRPC.invalidArgument, "duplicate key given in txn request"],
  requestTooLarge: [GRPC.invalidArgument, "request is too large"],
  compacted: [GRPC.outOfRange, "mvcc: required revision has been compacted"],
  futureRevision: [GRPC.outOfRange, "mvcc: required revision is a future revision"],
  noSpace: [GRPC.resourceExhausted, "mvcc: database space exceeded"],
  overloaded: [GRPC.resourceExhausted, "too many requests"],
  leaseNotFound: [GRPC.notFound, "requested lease not found"],
  leaseExists: [GRPC.failedPrecondition, "lease already exists"],
  leaseTtlTooLarge: [GRPC.outOfRange, "too large lease TTL"],
  nodeNotFound: [GRPC.notFound, "member not found"],
  unavailable: [GRPC.unavailable, "request timed out"],
  timeout: [GRPC.unavailable, "request timed out"],
  closed: [GRPC.unavailable, "server stopped"],
  corrupt: [GRPC.dataLoss, "corrupt cluster"],
};

const OWN_CODES: Partial<Record<ErrorCode, number>> = {
  keyTooLarge: GRPC.invalidArgument,
  invalidArgument: GRPC.invalidArgument,
  crossShard: GRPC.failedPrecondition,
  orderedScanRefused: GRPC.failedPrecondition,
  keyspaceNotFound: GRPC.unavailable,
  shardNotFound: GRPC.unavailable,
  staleEpoch: GRPC.unavailable,
  notLeader: GRPC.unavailable,
  wrongCluster: GRPC.unavailable,
  leaseFull: GRPC.resourceExhausted,
  cancelled: GRPC.cancelled,
  unsupported: GRPC.unimplemented,
};

/** The one converter: anything thrown becomes what a call ends with. */
export function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof DecodeError) {
    return new StatusError(GRPC.internal, `grpc: error unmarshalling request: ${error.message}`);
  }
  const { code, message } = KvError.from(error);
  // etcd has no such limits: its words come first, for those who look for them, and then which.
  if (code === "limitExceeded") {
    return etcdError(GRPC.invalidArgument, `request is too large: ${message}`);
  }
  const words = ETCD_WORDS[code];
  if (words !== undefined) return etcdError(...words);
  return new StatusError(OWN_CODES[code] ?? GRPC.internal, `flotilla: ${message}`);
}
