/**
 * The Raft state machine of one replica, as its caller sees it. It is stepped with messages and
 * the time, and says by ready() what is to be done. It has no I/O, no clock, no chance and no
 * promise of its own; the same inputs give the same outputs. README.md has the caller's duties.
 */
import type { EntryRun } from "../base/entry-run.js";
import { RaftCore } from "./core.js";
import { collectReady, hasReady } from "./collect-ready.js";
import { isLoneVoter } from "./configuration.js";
import { campaign, hastenLoneVoter, tickElection } from "./election.js";
import { stepMessage } from "./handlers.js";
import { doubtPromises, isLeaseValid } from "./heartbeats.js";
import {
  leaderDeadlineMs,
  proposeCommands,
  proposeConfigurationChange,
  resign,
  tickLeader,
} from "./leader.js";
import type { Message } from "./message.js";
import type { ProgressState } from "./progress.js";
import { finishWaking, wake, wakeUntimed } from "./quiescence.js";
import type { Ready } from "./ready.js";
import { isLacking } from "./refill-request.js";
import { sendRead } from "./replication.js";
import { startTransfer } from "./transfer.js";
import type {
  Configuration,
  EntriesRequest,
  ProposeResult,
  RaftConfig,
  ReplicaId,
  Restored,
  Role,
  TransferRefusal,
} from "./types.js";

/** What a leader knows of a follower, for those who watch. */
export interface ProgressStatus {
  readonly state: ProgressState;
  readonly matchIndex: number;
  readonly nextIndex: number;
  readonly inflightCount: number;
  readonly inflightBytes: number;
  /** The leader's election, for whoever has not been heard since. */
  readonly lastHeardMs: number;
  /** Heard since this leader was elected. */
  readonly heard: boolean;
}

export class Raft {
  readonly #core: RaftCore;

  constructor(config: RaftConfig, restored: Restored, nowMs: number) {
    this.#core = new RaftCore(config, restored, nowMs);
    hastenLoneVoter(this.#core);
  }

  /** Takes a message in; `nowMs` must have been read after the message had arrived. */
  step(message: Message, nowMs: number): void {
    this.#core.setNow(nowMs);
    stepMessage(this.#core, message);
  }

  /** Lets time pass, at any cadence; late calls do what is due once. */
  tick(nowMs: number): void {
    const core = this.#core;
    core.setNow(nowMs);
    if (core.isQuiet) return;
    finishWaking(core);
    if (core.leader !== undefined) {
      tickLeader(core, core.leader);
      return;
    }
    tickElection(core);
    core.failReads(core.forwardedReads.takeOverdue(core.nowMs));
  }

  /** When tick() has something to do at the earliest. */
  nextDeadlineMs(): number {
    const core = this.#core;
    if (core.isQuiet) return Number.POSITIVE_INFINITY;
    if (core.isWaking) return core.nowMs;
    if (core.leader !== undefined) return leaderDeadlineMs(core.leader);
    return Math.min(core.electionDeadlineMs, core.forwardedReads.deadlineMs);
  }

  /** When followers are due to be told of a commit; sooner than ticks usually come. */
  get commitNoticeDueMs(): number {
    return this.#core.leader?.commitNoticeDueMs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Appends `count` commands, encoded as an entry run's bytes, to the leader's log. `bytes` is
   * kept and must not change. `term` is the term in which the commands were evaluated.
   */
  propose(bytes: Uint8Array, count: number, term: number): ProposeResult {
    const core = this.#core;
    if (core.leader === undefined) return { kind: "notLeader", leaderId: core.leaderId };
    if (term !== core.term) return { kind: "refused", reason: "termChanged" };
    wakeUntimed(core);
    return proposeCommands(core, core.leader, bytes, count);
  }

  /** Proposes a change of learners, or a joint configuration; that is left by itself. */
  proposeConfiguration(next: Configuration): ProposeResult {
    const core = this.#core;
    if (core.leader === undefined) return { kind: "notLeader", leaderId: core.leaderId };
    wakeUntimed(core);
    return proposeConfigurationChange(core, core.leader, next);
  }

  /** Asks for an index at which a read that arrived before this call is linearizable. */
  readIndex(context: number, nowMs: number): void {
    this.#core.setNow(nowMs);
    wake(this.#core);
    this.#core.readsWaiting.push(context);
  }

  /** Whether this replica leads and nobody else can, at this moment. */
  hasLease(nowMs: number): boolean {
    this.#core.setNow(nowMs);
    return this.#core.leader !== undefined && isLeaseValid(this.#core, this.#core.leader);
  }

  /** Heartbeats ask for promises only while this is on. */
  useLease(on: boolean): void {
    if (this.#core.leaseInUse === on) return;
    this.#core.leaseInUse = on;
    if (!on || this.#core.leader === undefined) return;
    wakeUntimed(this.#core);
    this.#core.leader.roundDue = true;
  }

  /**
   * The clock may have stood still: promises may have lapsed that seem to be in force. Only those
   * of rounds that begin later carry a lease.
   */
  doubtPromises(nowMs: number): void {
    const core = this.#core;
    core.setNow(nowMs);
    if (core.leader !== undefined) doubtPromises(core, core.leader);
  }

  transferLeader(to: ReplicaId, nowMs: number): TransferRefusal | undefined {
    const core = this.#core;
    core.setNow(nowMs);
    if (core.leader === undefined) return "notLeader";
    wake(core);
    return startTransfer(core, core.leader, to);
  }

  /** Starts a pre-vote now, or when promises in force have lapsed. */
  campaign(nowMs: number): void {
    this.#core.setNow(nowMs);
    wake(this.#core);
    if (this.#core.leader === undefined) campaign(this.#core);
  }

  /** The leader's node is gone: that it was heard lately is no reason to refuse votes any more. */
  leaderLost(nowMs: number): void {
    this.#core.setNow(nowMs);
    wake(this.#core);
    this.#core.leaderHeardMs = Number.NEGATIVE_INFINITY;
  }

  /** Knows no leader of this term any more, until one speaks: sends nobody there, hears anybody. */
  forgetLeader(nowMs: number): void {
    const core = this.#core;
    core.setNow(nowMs);
    wake(core);
    if (core.role === "follower" && core.leaderId !== 0) core.becomeFollower(core.term, 0);
  }

  /** Ends a rest of the group, for a reason that only the caller knows. */
  wake(nowMs: number): void {
    this.#core.setNow(nowMs);
    wake(this.#core);
  }

  /** The group rests: no tick is needed before something wakes it. */
  get quiesced(): boolean {
    return this.#core.isQuiet;
  }

  /**
   * What was applied can no longer be read. From now on nothing is applied, a leadership is handed
   * over, and a leader is asked for a snapshot; votes and acknowledgements go on from the log.
   * Returns false where nobody else can lead, now that this replica does or, as the only voter, at
   * any time: then nothing has changed.
   */
  loseState(nowMs: number): boolean {
    const core = this.#core;
    core.setNow(nowMs);
    if (core.log.isStateLost) return true;
    wake(core);
    if (core.leader !== undefined) return resign(core, core.leader);
    if (isLoneVoter(core.configuration, core.selfId)) return false;
    core.log.loseState();
    if (core.role !== "follower") core.becomeFollower(core.term, 0);
    return true;
  }

  /**
   * All that was applied can be read again: nobody has to bring it, and it may be the only one that
   * there is. Who led without it begins anew. Returns whether nothing is lacking any more.
   */
  regainState(nowMs: number): boolean {
    const core = this.#core;
    core.setNow(nowMs);
    if (!core.log.isStateLost || core.log.isRestoring) return false;
    wake(core);
    core.log.regainState();
    if (core.leader !== undefined) core.becomeFollower(core.term, 0);
    return !isLacking(core);
  }

  /** Whether entries or the state were lost and are not yet refilled. */
  get isRefilling(): boolean {
    return isLacking(this.#core);
  }

  get isStateLost(): boolean {
    return this.#core.log.isStateLost;
  }

  /**
   * No write of the disk has finished for long. Until one has, nothing is campaigned; and where the
   * others commit what this disk has not written, a leadership is handed over, or given up where
   * nobody takes it within a shortest election timeout.
   */
  setDiskStalled(on: boolean, nowMs: number): void {
    const core = this.#core;
    core.setNow(nowMs);
    if (core.diskStalls === on) return;
    core.diskStalls = on;
    if (core.leader !== undefined) core.leader.outrunUntilMs = undefined;
    else if (core.isHeldUp && core.role !== "follower") core.becomeFollower(core.term, 0);
  }

  /** What was in flight to a replica is probably lost. */
  peerUnreachable(id: ReplicaId): void {
    const progress = this.#core.leader?.progress(id);
    if (progress === undefined) return;
    wakeUntimed(this.#core);
    progress.disconnected();
  }

  /** The stream of a snapshot to a replica has ended. */
  snapshotSent(id: ReplicaId, ok: boolean): void {
    const core = this.#core;
    const progress = core.leader?.progress(id);
    if (progress?.state !== "snapshot") return;
    if (ok) {
      progress.awaitSnapshotUntil(core.nowMs + 2 * core.config.electionTimeoutMs.max);
    } else {
      progress.becomeProbe();
      progress.pauseProbe();
    }
  }

  /**
   * The entries that an EntriesRequest asked for, or the first of them, all of the request's range;
   * none if they cannot be read.
   */
  entriesRead({ to, firstIndex }: EntriesRequest, runs: readonly EntryRun[]): void {
    const { leader } = this.#core;
    const progress = leader?.progress(to);
    if (leader === undefined || progress === undefined) return;
    sendRead(this.#core, leader, progress, { firstIndex, runs });
  }

  /**
   * Lets go of about so many bytes of the oldest entries in memory, as far as they are applied and
   * durable: where one is needed again it is asked for.
   */
  evictEntries(sizeBytes: number): void {
    this.#core.log.evict(sizeBytes);
  }

  /** Lets go of those that nobody is going to ask this replica for, as things are. */
  evictUnneeded(): void {
    const { leader, log } = this.#core;
    const slowest = leader?.peers.reduce(
      (least, { matchIndex }) => Math.min(least, matchIndex),
      log.lastIndex,
    );
    log.evict(Number.POSITIVE_INFINITY, slowest);
  }

  /** Bytes of the entries in memory. */
  get cachedBytes(): number {
    return this.#core.log.cachedBytes;
  }

  /** Drops entries at or below `index` from memory; a snapshot or the state covers them. */
  compactTo(index: number): void {
    this.#core.log.compactTo(index);
    this.#core.configurations.compactTo(this.#core.log.baseIndex);
  }

  /** The state machine has applied everything up to `index`. */
  applied(index: number): void {
    this.#core.log.applied(index);
  }

  hasReady(): boolean {
    return hasReady(this.#core);
  }

  ready(): Ready {
    return collectReady(this.#core);
  }

  get role(): Role {
    return this.#core.role;
  }

  get term(): number {
    return this.#core.term;
  }

  get vote(): ReplicaId {
    return this.#core.vote;
  }

  get leaderId(): ReplicaId {
    return this.#core.leaderId;
  }

  get commitIndex(): number {
    return this.#core.log.commitIndex;
  }

  get appliedIndex(): number {
    return this.#core.log.appliedIndex;
  }

  get durableIndex(): number {
    return this.#core.log.durableIndex;
  }

  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** The term of the last entry. */
  get lastTerm(): number {
    return this.#core.log.lastTerm;
  }

  /** The first index that the log has. */
  get firstIndex(): number {
    return this.#core.log.baseIndex + 1;
  }

  /** The members that count now, committed or not. */
  get configuration(): Configuration {
    return this.#core.configuration;
  }

  /** The members at an index that is not compacted away, for a snapshot taken there. */
  configurationAt(index: number): Configuration {
    return this.#core.configurations.at(index);
  }

  /** The term of the entry at `index`, while the log knows it. */
  termAt(index: number): number | undefined {
    return this.#core.log.termAt(index);
  }

  /** Leads, and has applied everything that earlier leaders committed: may evaluate and serve. */
  get noopApplied(): boolean {
    const { leader, log } = this.#core;
    return leader !== undefined && log.appliedIndex >= leader.noopIndex;
  }

  progress(id: ReplicaId): ProgressStatus | undefined {
    const progress = this.#core.leader?.progress(id);
    if (progress === undefined) return undefined;
    return {
      state: progress.state,
      matchIndex: progress.matchIndex,
      nextIndex: progress.nextIndex,
      inflightCount: progress.inflights.count,
      inflightBytes: progress.inflights.bytes,
      lastHeardMs: progress.lastHeardMs,
      heard: progress.heard,
    };
  }

  /** One line on the whole state. */
  describe(): string {
    const { leader, leaderId, log, role, selfId, term, vote } = this.#core;
    const peers = leader?.peers.map((progress) => progress.describe()).join("; ");
    const own = `${selfId} ${role} term=${term} vote=${vote} leader=${leaderId} ${log.describe()}`;
    return peers === undefined || peers === "" ? own : `${own} [${peers}]`;
  }
}
