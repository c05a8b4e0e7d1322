/**
 * The part of a watch that one shard serves. It lives through connections: when one breaks, or is
 * silent too long even when nudged, it starts again at another replica. Any replica serves it. The
 * leader is preferred, for it is ahead, unless the session names a node that is near: that goes on
 * telling what it has, also while nobody leads. Streams whose events wait for each other do not
 * begin there.
 */
import type { ByteReader } from "../base/coding.js";
import { rangeCovers } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ErrorCode } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { encodeRoutedHeader } from "../protocol/routed-header.js";
import { WATCH_NUDGE, decodeWatchPart, encodeWatchCreate } from "../protocol/watch-codec.js";
import type { EventsPart, WatchCreate, WatchPart } from "../protocol/watch-codec.js";
import type { Route } from "../route/route-map.js";
import { NO_DEADLINE } from "../rpc/deadline-wheel.js";
import type { DeadlineEntry } from "../rpc/deadline-wheel.js";
import type { RequestClient, ResponseSink } from "../rpc/request-client.js";
import type { LinkWaiter } from "./node-link.js";
import { RevisionParts } from "./revision-parts.js";
import type { Session } from "./session.js";

/** The watch, as its streams see it. */
export interface StreamOwner {
  /** The events of a revision come all at once. */
  part(index: number, part: WatchPart): void;
  completeRevision(index: number): number;
  /** Nudges the streams that hold back events of others. */
  nudgeLaggards(): void;
  replan(): void;
  failed(error: KvError): void;
}

export interface StreamPlan {
  /** In stored keys. */
  readonly interval: KeyRange;
  /** The request but for where it starts. */
  readonly create: WatchCreate;
  /** It is the watch's only one. */
  readonly isAlone: boolean;
}

/** After so long without a word a nudge is sent, after as long again the replica is given up. */
const SILENCE_MS = 5000;
/** A nudge that closed nothing is repeated after this, and less and less often after as many. */
const NUDGE_PAUSE_MS = 5;
const QUICK_NUDGES = 10;
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 500;

/** What a retry elsewhere can help. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "notLeader",
  "unavailable",
  "overloaded",
  "timeout",
  "cancelled",
]);
const REPLANNED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["staleEpoch", "shardNotFound"]);

type Waiting = "nothing" | "connection" | "pause" | "word" | "nudged";

export class WatchStream implements ResponseSink, LinkWaiter, DeadlineEntry {
  deadlineTick: number = NO_DEADLINE;
  previousDeadline: DeadlineEntry | undefined = undefined;
  nextDeadline: DeadlineEntry | undefined = undefined;

  readonly #session: Session;
  readonly #owner: StreamOwner;
  readonly #index: number;
  readonly #plan: StreamPlan;
  #client: RequestClient | undefined;
  readonly #parts = new RevisionParts();
  #requestId = 0;
  #route: Route | undefined;
  #nodeId = 0;
  #attempt = 0;
  #waiting: Waiting = "nothing";
  #heard = false;
  /** A nudge is out and not yet answered by a closed revision. */
  #nudged = false;
  /** Nudges since the last that closed something. */
  #vainNudges = 0;
  #stopped = false;

  constructor(session: Session, owner: StreamOwner, index: number, plan: StreamPlan) {
    this.#session = session;
    this.#owner = owner;
    this.#index = index;
    this.#plan = plan;
  }

  start(): void {
    if (this.#stopped) return;
    const session = this.#session;
    const route = session.map.routeOf(this.#plan.interval.start);
    if (route === undefined || !rangeCovers(route.shard.range, this.#plan.interval)) {
      return this.#owner.replan();
    }
    this.#route = route;
    this.#nodeId = this.#chooseNode(route);
    const link = session.linkOf(this.#nodeId);
    if (link === undefined) return this.#owner.replan();
    const client = link.client();
    if (client !== undefined) return this.#open(client);
    this.#waiting = "connection";
    link.wait(this);
  }

  stop(): void {
    this.#stopped = true;
    this.#session.wheel.remove(this);
    this.#cancelRequest();
  }

  /** Asks the shard to close as far as it can; once until it answers. */
  nudge(): void {
    if (this.#nudged) return;
    const client = this.#client;
    if (client === undefined || !client.isPending(this.#requestId)) return;
    this.#nudged = true;
    client.beginFurther(MESSAGE_TYPES.watch, 0, this.#requestId).u8(WATCH_NUDGE);
    client.endFurther();
  }

  linked(client: RequestClient): void {
    if (this.#waiting !== "connection") return;
    this.#waiting = "nothing";
    if (!this.#stopped) this.#open(client);
  }

  unlinked(error: KvError): void {
    if (this.#waiting !== "connection") return;
    this.#waiting = "nothing";
    if (!this.#stopped) this.failed(error);
  }

  answered(reader: ByteReader, last: boolean): void {
    if (this.#stopped) return;
    const part = decodeWatchPart(reader);
    this.#heard = true;
    this.#attempt = 0;
    if (part.kind === "closed") this.#nudgeAnswered(part.revision);
    const whole = part.kind === "closed" ? part : this.#gathered(part);
    if (whole !== undefined) this.#owner.part(this.#index, whole);
    if (last) this.failed(notApplied("cancelled", "the server ended the stream"));
  }

  failed(error: KvError): void {
    if (this.#stopped) return;
    this.#client = undefined;
    this.#session.wheel.remove(this);
    const shardId = this.#route?.shard.shardId ?? 0;
    this.#session.learn(shardId, this.#nodeId, error);
    if (this.#session.closed) return this.#owner.failed(notApplied("closed", "client closed"));
    if (REPLANNED.has(error.code)) return this.#owner.replan();
    if (!PASSING.has(error.code)) return this.#owner.failed(error);
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(this.#attempt, 10));
    this.#attempt++;
    this.#waiting = "pause";
    this.#session.wheel.add(this, pauseMs * (0.5 + this.#session.env.random.fraction() / 2));
  }

  expired(): void {
    if (this.#waiting === "pause") return this.start();
    if (this.#heard) return this.#awaitWord("word");
    if (this.#waiting === "word") {
      this.#nudged = false;
      this.nudge();
      return this.#awaitWord("nudged");
    }
    this.#cancelRequest();
    this.failed(new KvError("timeout", "the watched replica has fallen silent", "unknown"));
  }

  #gathered(part: EventsPart): EventsPart | undefined {
    try {
      return this.#parts.add(part);
    } catch (error) {
      this.#owner.failed(KvError.from(error));
      return undefined;
    }
  }

  /** An answer that closed nothing new must not make an endless quick exchange. */
  #nudgeAnswered(closedRevision: number): void {
    if (!this.#nudged) return;
    if (closedRevision > this.#owner.completeRevision(this.#index)) {
      this.#nudged = false;
      this.#vainNudges = 0;
      return;
    }
    const slower = 2 ** Math.min(10, Math.max(0, this.#vainNudges++ - QUICK_NUDGES));
    const pauseMs = Math.min(PAUSE_MS_MAX, NUDGE_PAUSE_MS * slower);
    this.#session.env.timers.after(pauseMs, () => {
      this.#nudged = false;
      this.#owner.nudgeLaggards();
    });
  }

  #open(client: RequestClient): void {
    const shard = this.#route?.shard;
    if (shard === undefined) return;
    this.#client = client;
    // The rest of a revision that was under way comes with all that was before it.
    this.#parts.clear();
    this.#nudged = false;
    const out = client.begin(MESSAGE_TYPES.watch);
    const startRevision = this.#owner.completeRevision(this.#index) + 1;
    encodeRoutedHeader(out, shard);
    encodeWatchCreate(out, { ...this.#plan.create, startRevision });
    this.#awaitWord("word");
    this.#requestId = client.send(this, 0);
  }

  /** The near one or the leader first; after a failure the other replicas in turn. */
  #chooseNode(route: Route): number {
    const nodeIds = this.#session.votersOf(route);
    const near = this.#plan.isAlone ? this.#session.nearNode(route) : 0;
    const first = near === 0 ? route.leaderNodeId : near;
    if (this.#attempt === 0 && first !== 0) return first;
    return nodeIds[(nodeIds.indexOf(this.#nodeId) + 1) % nodeIds.length] ?? 0;
  }

  #awaitWord(waiting: "word" | "nudged"): void {
    this.#heard = false;
    this.#waiting = waiting;
    this.#session.wheel.add(this, SILENCE_MS);
  }

  #cancelRequest(): void {
    this.#client?.cancel(MESSAGE_TYPES.watch, this.#requestId);
    this.#client = undefined;
  }
}
