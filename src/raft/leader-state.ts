/**
 * What a replica knows only while it leads, in one term. It is made at the election and thrown
 * away at the step-down as a whole, so nothing of one term can leak into the next.
 */
import { membersOf } from "./configuration.js";
import { Progress } from "./progress.js";
import {
  confirmedRoundOf,
  lastHeardMsOf,
  majorityValue,
  matchIndexOf,
  promisedFromMsOf,
} from "./quorum.js";
import { Rounds } from "./rounds.js";
import type { Configuration, RaftConfig, ReplicaId } from "./types.js";

/** A follower's request for a read index. */
export interface RemoteRead {
  readonly from: ReplicaId;
  readonly request: number;
}

/** Reads that wait for one round, at the commit index of its start. */
export interface ReadRound {
  readonly round: number;
  readonly index: number;
  readonly contexts: readonly number[];
  readonly remote: readonly RemoteRead[];
}

export interface Transfer {
  readonly to: ReplicaId;
  readonly deadlineMs: number;
  /** The round that told the voters that their promises are not relied on; 0 if none was given. */
  readonly releaseRound: number;
  timeoutNowSent: boolean;
}

export class LeaderState {
  readonly noopIndex: number;
  readonly rounds: Rounds;
  heartbeatDueMs: number;
  /** When there was work last, so that the group does not rest at once. */
  workedMs: number;
  /** Some follower may have something to be sent. */
  appendsDue = true;
  /** When followers that have not heard of the newest commit are told by an append of its own. */
  commitNoticeDueMs: number = Number.POSITIVE_INFINITY;
  /** A heartbeat round is to begin with the next ready(). */
  roundDue = false;
  uncommittedBytes = 0;
  remoteReads: RemoteRead[] = [];
  readRounds: ReadRound[] = [];
  transfer: Transfer | undefined = undefined;
  /** Where the leader has lost its state: until when it tries to hand over. */
  stewardUntilMs: number = Number.NEGATIVE_INFINITY;
  /** Where its disk stalls and the others go on without it: the same. */
  outrunUntilMs: number | undefined = undefined;
  /** Before that it does not hand over again for the sake of a replica in doubt. */
  nextTermMs: number = Number.NEGATIVE_INFINITY;
  leaseUntilMs: number = Number.NEGATIVE_INFINITY;
  leaseHeld = false;
  /** Whether any voter may have promised this leader anything. */
  promisesAsked = false;
  readonly #config: RaftConfig;
  readonly #progress = new Map<ReplicaId, Progress>();
  #self: Progress;
  #peers: Progress[] = [];
  #voters: Progress[] = [];
  #outgoing: Progress[] = [];

  constructor(config: RaftConfig, noopIndex: number, nowMs: number) {
    this.#config = config;
    this.noopIndex = noopIndex;
    this.rounds = new Rounds(config);
    this.heartbeatDueMs = nowMs;
    this.workedMs = nowMs;
    this.#self = new Progress(config.selfId, noopIndex, nowMs, config);
    // The leader hears itself and has promised itself; its own log counts only when durable.
    this.#self.lastHeardMs = Number.POSITIVE_INFINITY;
    this.#self.confirmedRound = Number.POSITIVE_INFINITY;
    this.#self.promisedFromMs = Number.POSITIVE_INFINITY;
  }

  /** Whoever waits for the newest commit index at a follower gets it with the next flush. */
  hastenCommitNotice(nowMs: number): void {
    if (this.commitNoticeDueMs === Number.POSITIVE_INFINITY) return;
    this.commitNoticeDueMs = nowMs;
    this.appendsDue = true;
  }

  /** Everybody but the leader, in ascending order. */
  get peers(): readonly Progress[] {
    return this.#peers;
  }

  get self(): Progress {
    return this.#self;
  }

  progress(id: ReplicaId): Progress | undefined {
    return this.#progress.get(id);
  }

  /** Follows a change of members; who is new is probed from `nextIndex`. */
  follow(configuration: Configuration, nextIndex: number, nowMs: number): void {
    const members = membersOf(configuration);
    for (const id of this.#progress.keys()) if (!members.includes(id)) this.#progress.delete(id);
    for (const id of members) {
      if (this.#progress.has(id)) continue;
      const isSelf = id === this.#config.selfId;
      this.#progress.set(id, isSelf ? this.#self : this.#newPeer(id, nextIndex, nowMs));
    }
    this.#peers = this.#existing(members).filter((progress) => progress !== this.#self);
    this.#voters = this.#existing(configuration.voters);
    this.#outgoing = this.#existing(configuration.outgoing);
  }

  /** The highest index that a quorum holds durably. */
  quorumIndex(): number {
    return this.#quorum(matchIndexOf);
  }

  /** The highest round that a quorum has echoed. */
  quorumRound(): number {
    return this.#quorum(confirmedRoundOf);
  }

  /** Since when a quorum has been promising its votes. */
  quorumPromisedFromMs(): number {
    return this.#quorum(promisedFromMsOf);
  }

  /** When a quorum was last heard. */
  quorumHeardMs(): number {
    return this.#quorum(lastHeardMsOf);
  }

  #quorum(valueOf: (progress: Progress) => number): number {
    const incoming = majorityValue(this.#voters, valueOf);
    return this.#outgoing.length === 0
      ? incoming
      : Math.min(incoming, majorityValue(this.#outgoing, valueOf));
  }

  #newPeer(id: ReplicaId, nextIndex: number, nowMs: number): Progress {
    return new Progress(id, nextIndex, nowMs, this.#config);
  }

  #existing(ids: readonly ReplicaId[]): Progress[] {
    return ids.flatMap((id) => this.#progress.get(id) ?? []);
  }
}
