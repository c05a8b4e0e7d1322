/**
 * One request to whichever node serves a key or interval, until it is answered, refused for good,
 * or out of time. It is the sink of its own answer, the waiter for its connection and the entry of
 * its deadline, so that a call costs one promise and no timer.
 *
 * Retry policy: an error of outcome notApplied whose cause passes (no leader, a stale route, an
 * unreachable node, overload) is tried again after a small random pause; a read also where its
 * connection or its answer was lost. A write of unknown outcome is never tried again.
 */
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { rangeCovers } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import type { ShardDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ErrorCode } from "../protocol/errors.js";
import { NO_DEADLINE } from "../rpc/deadline-wheel.js";
import type { DeadlineEntry } from "../rpc/deadline-wheel.js";
import type { RequestClient, ResponseSink } from "../rpc/request-client.js";
import type { LinkWaiter } from "./node-link.js";
import { closedError } from "./session.js";
import type { Session } from "./session.js";

/** How requests of one kind are written and their answers read. */
export interface CallKind<Request, Answer> {
  readonly name: string;
  readonly type: number;
  /** Tried again even where its outcome is unknown. */
  readonly isRead: boolean;
  encode(out: ByteWriter, shard: ShardDescriptor, request: Request): void;
  decode(reader: ByteReader): Answer;
}

/** Where a call goes. */
export interface CallTarget {
  /** A stored key: of the request, or where its interval starts. */
  readonly key: Uint8Array;
  /** Where the request names more than `key`: one shard must cover it all. */
  readonly interval: KeyRange | undefined;
  /** A number of READ_LEVELS; writes have that of linearizable. */
  readonly level: number;
}

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "notLeader",
  "staleEpoch",
  "shardNotFound",
  "unavailable",
  "overloaded",
  "timeout",
]);
const LOST: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unavailable", "timeout"]);

const PAUSE_MS_MIN = 4;
const PAUSE_MS_MAX = 100;
/** Refusals that named the right place, in a row, that are followed without a pause. */
const REDIRECTS_MAX = 3;
/** After so many attempts the map itself is doubted. */
const ATTEMPTS_PER_MAP = 4;
/** A read that is not answered within this part of its time is asked of somebody else. */
const READ_ATTEMPTS = 3;

type Waiting = "nothing" | "connection" | "pause";

/** Sends the request on its way; the promise settles with its answer or a KvError. */
export function routedCall<Request, Answer>(
  session: Session,
  kind: CallKind<Request, Answer>,
  target: CallTarget,
  request: Request,
): Promise<Answer> {
  return new RoutedCall(session, kind, target, request).run();
}

class RoutedCall<Request, Answer> implements ResponseSink, LinkWaiter, DeadlineEntry {
  deadlineTick: number = NO_DEADLINE;
  previousDeadline: DeadlineEntry | undefined = undefined;
  nextDeadline: DeadlineEntry | undefined = undefined;

  readonly #session: Session;
  readonly #kind: CallKind<Request, Answer>;
  readonly #target: CallTarget;
  readonly #request: Request;
  #resolve: (answer: Answer) => void = nobody;
  #reject: (error: KvError) => void = nobody;
  readonly #startMs: number;
  #attempt = 0;
  #redirects = 0;
  #waiting: Waiting = "nothing";
  #shard: ShardDescriptor | undefined = undefined;
  #nodeId = 0;
  #last: KvError | undefined = undefined;

  constructor(
    session: Session,
    kind: CallKind<Request, Answer>,
    target: CallTarget,
    request: Request,
  ) {
    this.#session = session;
    this.#kind = kind;
    this.#target = target;
    this.#request = request;
    this.#startMs = session.env.clock.monotonicMs();
  }

  run(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.start();
    });
  }

  /** One attempt. */
  start(): void {
    const session = this.#session;
    const target = this.#target;
    if (session.closed) return this.#reject(closedError());
    const route = session.map.routeOf(target.key);
    if (route === undefined) return this.#repairMap();
    const shard = route.shard;
    if (target.interval !== undefined && !rangeCovers(shard.range, target.interval)) {
      return this.#reject(crossShard());
    }
    this.#shard = shard;
    this.#nodeId = session.chooseNode(route, target.level, this.#attempt);
    const link = session.linkOf(this.#nodeId);
    if (link === undefined) return this.#repairMap();
    const client = link.client();
    if (client !== undefined) return this.#send(client, shard);
    this.#waiting = "connection";
    session.wheel.add(this, this.#remainingMs());
    link.wait(this);
  }

  linked(client: RequestClient): void {
    if (this.#waiting !== "connection") return;
    this.#waiting = "nothing";
    this.#session.wheel.remove(this);
    if (this.#shard !== undefined) this.#send(client, this.#shard);
  }

  unlinked(error: KvError): void {
    if (this.#waiting !== "connection") return;
    this.#waiting = "nothing";
    this.#session.wheel.remove(this);
    this.#session.suspects.add(this.#nodeId);
    this.failed(error);
  }

  answered(reader: ByteReader): void {
    this.#session.suspects.answered(this.#nodeId);
    this.#resolve(this.#kind.decode(reader));
  }

  failed(error: KvError): void {
    this.#last = error;
    const shard = this.#shard;
    if (shard !== undefined) this.#session.learn(shard.shardId, this.#nodeId, error);
    if (this.#session.closed) return this.#reject(new KvError("closed", CLOSED, error.outcome));
    if (!this.#mayRetry(error)) return this.#reject(error);
    this.#attempt++;
    if (this.#attempt % ATTEMPTS_PER_MAP === 0) this.#session.refreshSoon();
    if (this.#isRedirect(error)) return this.start();
    this.#pause();
  }

  expired(): void {
    const waited = this.#waiting;
    this.#waiting = "nothing";
    if (waited === "pause" && this.#remainingMs() > 0) return this.start();
    const shard = this.#shard;
    if (waited === "connection" && shard !== undefined) {
      // The next call is to begin with somebody else, even if this is said to be the leader.
      this.#session.learn(shard.shardId, this.#nodeId, notApplied("timeout", NOT_REACHED));
    }
    this.#giveUp();
  }

  #send(client: RequestClient, shard: ShardDescriptor): void {
    if (client.isSilent(this.#startMs)) this.#session.doubt(this.#startMs);
    const out = client.begin(this.#kind.type);
    this.#kind.encode(out, shard, this.#request);
    client.send(this, this.#attemptMs());
  }

  /** The time that this attempt gets. */
  #attemptMs(): number {
    const whole = this.#session.options.requestTimeoutMs;
    const remaining = this.#attempt === 0 ? whole : Math.max(1, this.#remainingMs());
    if (!this.#kind.isRead) return remaining;
    return Math.min(remaining, Math.ceil(whole / READ_ATTEMPTS));
  }

  #remainingMs(): number {
    const session = this.#session;
    return this.#startMs + session.options.requestTimeoutMs - session.env.clock.monotonicMs();
  }

  #mayRetry(error: KvError): boolean {
    if (error.outcome === "notApplied") return PASSING.has(error.code);
    return this.#kind.isRead && LOST.has(error.code);
  }

  /** Whether the refusal said where to go instead. */
  #isRedirect(error: KvError): boolean {
    const { leaderNodeId, shards } = error.details;
    const leads = error.code === "notLeader" && leaderNodeId !== undefined && leaderNodeId !== 0;
    const named = (leads && leaderNodeId !== this.#nodeId) || (shards?.length ?? 0) > 0;
    if (!named || this.#redirects >= REDIRECTS_MAX) {
      this.#redirects = 0;
      return false;
    }
    this.#redirects++;
    return true;
  }

  #pause(): void {
    const remaining = this.#remainingMs();
    if (remaining <= 0) return this.#giveUp();
    const fraction = 0.5 + this.#session.env.random.fraction() / 2;
    const longest = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(this.#attempt, 10));
    this.#waiting = "pause";
    this.#session.wheel.add(this, Math.min(remaining, longest * fraction));
  }

  /** The map has a hole here: a new one first. */
  #repairMap(): void {
    this.#shard = undefined;
    this.#session.refresh().then(
      () => this.failed(notApplied("shardNotFound", "the map of the cluster has no such shard")),
      (error: unknown) => this.failed(KvError.from(error)),
    );
  }

  #giveUp(): void {
    const timeoutMs = this.#session.options.requestTimeoutMs;
    const reason = this.#last === undefined ? "no connection" : this.#last.message;
    const message = `${this.#kind.name} gave up after ${timeoutMs} ms, not applied: ${reason}`;
    this.#reject(notApplied("timeout", message, this.#last?.details));
  }
}

const CLOSED = "the client was closed";
const NOT_REACHED = "no connection was made in time";

/** Stands in until `run` has made the promise. */
function nobody(): void {}

function crossShard(): KvError {
  return notApplied(
    "crossShard",
    "the keys lie in several shards; a transaction or a delete must name keys of one shard",
  );
}
