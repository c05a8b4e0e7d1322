/**
 * The state of one replica and the transitions that several message handlers share: terms, roles,
 * the election timer, who is believed to lead, and changes of the log with the configurations in
 * it. The rules of each role are in election.ts, follower.ts and leader.ts; only files of this
 * folder see a RaftCore.
 */
import { assert } from "../base/assert.js";
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryRun,
  lastIndexOf,
  sliceRun,
} from "../base/entry-run.js";
import { decodeConfiguration } from "./configuration-codec.js";
import { isLoneVoter } from "./configuration.js";
import { ConfigurationHistory } from "./configuration-history.js";
import { ForwardedReads } from "./forwarded-reads.js";
import type { LeaderState } from "./leader-state.js";
import { Outbox } from "./outbox.js";
import { RaftLog } from "./raft-log.js";
import type {
  Configuration,
  HardState,
  RaftConfig,
  ReplicaId,
  Restored,
  Role,
  SnapshotMark,
} from "./types.js";
import { VotePromise } from "./vote-promise.js";

/** Nothing to acknowledge; 0 is an index that can be. */
export const NO_ACK = -1;
/** How much longer each rank of election priority waits. */
export const CAMPAIGN_RANK_MS = 20;

export class RaftCore {
  readonly config: RaftConfig;
  readonly selfId: ReplicaId;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  readonly promise: VotePromise;
  readonly forwardedReads: ForwardedReads;
  outbox: Outbox = new Outbox();
  /** Reads asked for here since the last ready(). */
  readsWaiting: number[] = [];
  nowMs: number;
  role: Role = "follower";
  term: number;
  vote: ReplicaId;
  leaderId: ReplicaId = 0;
  /** When the leader of this term was last heard; votes are refused for a while after that. */
  leaderHeardMs: number = Number.NEGATIVE_INFINITY;
  /** Election timeouts that ran out since a leader was heard, or this replica led. */
  leaderlessTimeouts = 0;
  electionDeadlineMs = 0;
  /** The highest heartbeat round seen from the leader of this term. */
  roundSeen = 0;
  /** The latest index verified against this term's leader and not yet acknowledged, if any. */
  unsentAckIndex: number = NO_ACK;
  /** There only while this replica leads. */
  leader: LeaderState | undefined = undefined;
  /** The answers to the (pre-)votes asked for, there only while this replica campaigns. */
  ballot: Map<ReplicaId, boolean> | undefined = undefined;
  preVoteRound = 0;
  leaseInUse = false;
  /** No write of the disk has finished for long. */
  diskStalls = false;
  /** The group rests; see quiescence.ts. */
  isQuiet = false;
  /** Woken, and no tick has told the time since. */
  isWaking = false;
  /** What was last handed out to be persisted. */
  handedHardState: HardState;
  #electionTimeoutMs = 0;
  /** The term of the latest event about the role. */
  #announcedTerm: number;

  constructor(config: RaftConfig, restored: Restored, nowMs: number) {
    const { hardState, snapshot, runs, appliedIndex, floor } = restored;
    assertUsable(config);
    this.config = config;
    this.selfId = config.selfId;
    this.nowMs = nowMs;
    this.term = hardState.term;
    this.vote = hardState.vote;
    this.#announcedTerm = this.term;
    this.log = new RaftLog(snapshot.index, snapshot.term);
    this.configurations = new ConfigurationHistory(snapshot.index, snapshot.configuration);
    this.promise = new VotePromise(config.voteHoldUntilMs);
    this.forwardedReads = new ForwardedReads(config.random);
    for (const run of runs) {
      if (lastIndexOf(run) <= snapshot.index) continue;
      const first = Math.max(run.firstIndex, snapshot.index + 1);
      this.append(sliceRun(run, first, lastIndexOf(run)));
    }
    // The state machine may have been saved after the hard state that knew of the commit.
    const knownCommit = Math.max(hardState.commitIndex, appliedIndex, snapshot.index);
    // What was committed and is lost here comes back from the others.
    const commitIndex =
      floor === undefined ? knownCommit : Math.min(knownCommit, this.log.lastIndex);
    this.log.restored(commitIndex, appliedIndex);
    if (floor !== undefined) this.log.loseEnd(floor);
    if (restored.stateLost === true) this.log.loseState();
    assert(this.term >= this.log.lastTerm, "a term older than the log's");
    this.handedHardState = { term: this.term, vote: this.vote, commitIndex };
    this.resetElectionTimer();
    // What was read back is no news.
    this.outbox = new Outbox();
  }

  get configuration(): Configuration {
    return this.configurations.active;
  }

  /** Whether this replica has committed an entry of the term it leads. */
  get hasCommittedInTerm(): boolean {
    return this.leader !== undefined && this.log.commitIndex >= this.leader.noopIndex;
  }

  /** Whether its disk keeps it from leading; who votes alone has nobody to leave that to. */
  get isHeldUp(): boolean {
    return this.diskStalls && !isLoneVoter(this.configuration, this.selfId);
  }

  get hasReadsUnderWay(): boolean {
    return (
      this.readsWaiting.length > 0 || this.forwardedReads.deadlineMs < Number.POSITIVE_INFINITY
    );
  }

  /** Time never goes back here, whatever the caller's batching does. */
  setNow(nowMs: number): void {
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }

  resetElectionTimer(): void {
    const { min, max } = this.config.electionTimeoutMs;
    const rankMs = this.config.electionPriority * CAMPAIGN_RANK_MS;
    this.#electionTimeoutMs = min + this.config.random() * (max - min) + rankMs;
    this.electionDeadlineMs = this.nowMs + this.#electionTimeoutMs;
  }

  postponeElection(): void {
    this.electionDeadlineMs = this.nowMs + this.#electionTimeoutMs;
  }

  /** A valid message of the leader of this term arrived. */
  hearLeader(leaderId: ReplicaId): void {
    if (this.role !== "follower" || this.leaderId === 0) this.becomeFollower(this.term, leaderId);
    assert(this.leaderId === leaderId, "two leaders in one term");
    this.leaderHeardMs = this.nowMs;
    this.leaderlessTimeouts = 0;
    this.postponeElection();
  }

  /** Follows in `term`; the vote given in it, if it is the present one, stands. */
  becomeFollower(term: number, leaderId: ReplicaId): void {
    const timerIsDue = this.role !== "follower" || leaderId !== 0;
    this.enterTerm(term);
    this.#enterRole("follower", leaderId);
    if (timerIsDue) this.resetElectionTimer();
  }

  /** Asks for votes from now on; `ballot` starts empty. */
  becomeCampaigner(role: "preCandidate" | "candidate"): void {
    this.#enterRole(role, 0);
    this.ballot = new Map();
    this.resetElectionTimer();
  }

  becomeLeader(state: LeaderState): void {
    assert(this.role === "candidate", "only a candidate becomes leader");
    this.#enterRole("leader", this.selfId);
    this.leaderlessTimeouts = 0;
    this.leader = state;
  }

  enterTerm(term: number): void {
    assert(term >= this.term, "terms never fall");
    if (term === this.term) return;
    this.term = term;
    this.vote = 0;
    this.roundSeen = 0;
    this.unsentAckIndex = NO_ACK;
    // Whoever answers these now answers in another term, and such an answer is dropped.
    this.failReads(this.forwardedReads.takeAll());
  }

  append(run: EntryRun): void {
    this.log.append(run);
    if (run.kind !== "configuration") return;
    assert(run.count === 1, "a configuration is alone in its run");
    const configuration = decodeConfiguration(run.bytes.subarray(ENTRY_HEADER_SIZE_BYTES));
    this.configurations.append(run.firstIndex, configuration);
    this.#noteConfiguration();
  }

  truncateAfter(index: number): void {
    this.log.truncateAfter(index);
    if (this.configurations.truncateAfter(index)) this.#noteConfiguration();
  }

  /** A received snapshot takes the place of the log. */
  restoreSnapshot(mark: SnapshotMark): void {
    this.log.reset(mark.index, mark.term);
    this.configurations.reset(mark.index, mark.configuration);
    this.outbox.snapshot = mark;
    this.outbox.keepsLog = false;
    this.outbox.events.push({ kind: "snapshotInstalled", index: mark.index, term: mark.term });
    this.#noteConfiguration();
  }

  /** A received snapshot takes the place of the lost state; the log goes on as it is. */
  restoreState(mark: SnapshotMark): void {
    this.log.restoreState(mark.index);
    this.configurations.restore(mark.index, mark.configuration);
    this.outbox.snapshot = mark;
    this.outbox.keepsLog = true;
    this.outbox.events.push({ kind: "snapshotInstalled", index: mark.index, term: mark.term });
  }

  failReads(contexts: readonly number[]): void {
    for (const context of contexts) this.outbox.readsFailed.push(context);
  }

  #enterRole(role: Role, leaderId: ReplicaId): void {
    if (this.leader !== undefined) this.#loseLeadership(this.leader);
    if (leaderId !== this.leaderId || role !== "follower") {
      this.failReads(this.forwardedReads.takeAll());
      this.leaderHeardMs = Number.NEGATIVE_INFINITY;
    }
    this.ballot = undefined;
    const isNews = role !== this.role || leaderId !== this.leaderId;
    if (!isNews && this.#announcedTerm === this.term) return;
    this.role = role;
    this.leaderId = leaderId;
    this.#announcedTerm = this.term;
    this.outbox.events.push({ kind: "role", role, term: this.term, leaderId });
  }

  #loseLeadership(state: LeaderState): void {
    this.leader = undefined;
    for (const round of state.readRounds) this.failReads(round.contexts);
    if (state.leaseHeld) this.outbox.events.push({ kind: "leaseLost", term: this.term });
  }

  #noteConfiguration(): void {
    this.outbox.events.push({
      kind: "configuration",
      index: this.configurations.activeIndex,
      configuration: this.configurations.active,
    });
  }
}

/** Settings with which a group would come to a stop. */
function assertUsable(config: RaftConfig): void {
  const { min, max } = config.electionTimeoutMs;
  assert(min <= max && config.heartbeatMs < min, "elections before a heartbeat is missed");
  assert(config.inflightBytesMax >= config.appendBytesMax, "a window smaller than a message");
}
