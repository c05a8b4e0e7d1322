/**
 * A replica: one shard's copy on this node. It drives the Raft core, the shared log, the state
 * machine, and the paths of reads and writes. All of its state changes run to completion; what it
 * hands to the log comes back as `persisted`.
 *
 * A turn:  propose what was evaluated → begin read rounds → take the core's Ready values, and for
 *          each: send → hand to the log → apply → answer
 */
import { assert, must } from "../base/assert.js";
import { lastIndexOf, ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import { ByteWriter, readU32 } from "../base/coding.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { LogicalHash } from "../mvcc/logical-hash.js";
import { MvccMachine } from "../mvcc/mvcc-machine.js";
import type { ShardReport } from "../placement/quorum.js";
import type { ReplicaDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ReadLevel } from "../protocol/key-value.js";
import type { Transaction } from "../protocol/operations.js";
import { encodeConfiguration } from "../raft/configuration-codec.js";
import type { Message } from "../raft/message.js";
import type { Raft } from "../raft/raft.js";
import type { Ready } from "../raft/ready.js";
import type {
  EntriesRequest,
  Persist,
  RaftEvent,
  SnapshotMark,
  SnapshotRequest,
} from "../raft/types.js";
import type { Store } from "../store/store.js";
import { handOver } from "./hand-over.js";
import { replicaOn } from "./open-replica.js";
import { ReadPath } from "./read-path.js";
import { nextReconfiguration, shows } from "./reconfiguration.js";
import type { ConfirmedAnswer, LeaseQuestion, PendingWrite, ReadRequest } from "./requests.js";
import type { AnswerFacts, Responder } from "./responder.js";
import { LeaseKeeper, answerOnLeases } from "./lease-keeper.js";
import { LogTail } from "./log-tail.js";
import type { LogKeeper } from "./log-tail.js";
import { LongReads } from "./long-reads.js";
import type { StagedSnapshot } from "./snapshot-messages.js";
import { WritePath, damagedHere } from "./write-path.js";
import type { RevisionSource } from "./write-path.js";

/** Ready values taken in one turn; more work than that waits for the next. */
const READY_MAX = 8;

/** A replica that missed so many heartbeats is neither handed the leadership nor counted on. */
const MISSED_HEARTBEATS_MAX = 4;

/** What a replica needs of the host of all replicas. */
export interface ReplicaContext {
  readonly store: Store;
  readonly heartbeatMs: number;
  nowMs(): number;
  /** To be called in a turn before anything is answered that rests on how much time has passed. */
  checkClock(): void;
  schedule(replica: Replica): void;
  send(replica: Replica, message: Message): void;
  /** Reads them from the log soon, and calls `entriesRead`. */
  readEntries(replica: Replica, request: EntriesRequest): void;
  sendSnapshot(replica: Replica, request: SnapshotRequest): void;
  nudgeLeader(replica: Replica): void;
  /** What is to be sent once what the replica just handed to the log is durable. */
  persisting(replica: Replica, logged: boolean, messages: readonly Message[]): void;
  applied(replica: Replica): void;
  roleChanged(replica: Replica): void;
  observed(replica: Replica, event: RaftEvent): void;
  /** A damaged file was met: the replica loses its state at the end of the turn. */
  replicaDamaged(replica: Replica, error: CorruptionError): void;
}

export interface ReplicaParts {
  readonly raft: Raft;
  readonly tree: Tree;
  readonly revisions: RevisionSource | undefined;
  readonly keyPrefixLength: number;
}

export class Replica {
  readonly shardId: number;
  readonly replicaId: number;
  readonly keyspaceId: number;
  readonly raft: Raft;
  readonly revisions: RevisionSource | undefined;
  readonly writes: WritePath;
  readonly reads: ReadPath;
  descriptor: ShardDescriptor;
  readonly machine: MvccMachine;
  tree: Tree;
  /** Set while this replica is in the host's list of those with work. */
  scheduled = false;
  /** Set while this replica is in the host's list of those that want ticks. */
  timed = false;
  readonly #host: ReplicaContext;
  readonly #facts: AnswerFacts;
  readonly #longReads = new LongReads();
  readonly #leases: LeaseKeeper;
  readonly #body = new ByteWriter(0);
  readonly #tail: LogTail;
  #role: Raft["role"];
  #leaderId: number;
  #leaderChanges = 0;
  #staged: StagedSnapshot | undefined;
  #closed = false;
  #reported: { readonly term: number; readonly commitIndex: number } | undefined;

  constructor(
    host: ReplicaContext,
    descriptor: ShardDescriptor,
    replicaId: number,
    parts: ReplicaParts,
  ) {
    this.#host = host;
    this.descriptor = descriptor;
    this.shardId = descriptor.shardId;
    this.keyspaceId = descriptor.keyspaceId;
    this.replicaId = replicaId;
    this.#tail = new LogTail(replicaId);
    this.raft = parts.raft;
    this.tree = parts.tree;
    this.revisions = parts.revisions;
    this.machine = new MvccMachine(parts.tree, {
      keyspaceId: descriptor.keyspaceId,
      keyPrefixLength: parts.keyPrefixLength,
      initial: parts.tree.flushed,
    });
    this.#role = parts.raft.role;
    this.#leaderId = parts.raft.leaderId;
    this.#facts = {
      revision: 0,
      shardId: this.shardId,
      raftTerm: 0,
      level: "linearizable",
      ageMs: 0,
    };
    this.writes = new WritePath(this);
    this.reads = new ReadPath(this);
    this.#leases = new LeaseKeeper(this);
  }

  readonly clockMs = (): number => this.#host.nowMs();
  readonly isBehind = (): boolean => this.#host.store.isBehind(this.tree);
  readonly checkClock = (): void => this.#host.checkClock();

  /** Nothing happens to it any more. */
  get closed(): boolean {
    return this.#closed;
  }

  get leads(): boolean {
    return this.raft.role === "leader" && this.raft.noopApplied && !this.raft.isStateLost;
  }

  /** How often it has learnt of another leader, or anew of the same. */
  get leaderChanges(): number {
    return this.#leaderChanges;
  }

  get leaderNodeId(): number {
    return this.nodeOf(this.raft.leaderId);
  }

  nodeOf(replicaId: number): number {
    if (replicaId === 0) return 0;
    const { replicas, target } = this.descriptor;
    const isMeant = (each: ReplicaDescriptor): boolean => each.replicaId === replicaId;
    return (replicas.find(isMeant) ?? target?.find(isMeant))?.nodeId ?? 0;
  }

  replicaOn(nodeId: number): number {
    return replicaOn(this.descriptor, nodeId)?.replicaId ?? 0;
  }

  /** Whether the replicas that the map wants have been brought about; true where it wants none. */
  get targetReached(): boolean {
    const { target } = this.descriptor;
    return target === undefined || shows(this.raft.configurationAt(this.raft.appliedIndex), target);
  }

  /** What a leader tells of changes of replicas and of learners; undefined where there are none. */
  report(): ShardReport | undefined {
    if (!this.leads) return undefined;
    const { target, replicas } = this.descriptor;
    const { raft } = this;
    const { appliedIndex, commitIndex, term } = raft;
    const configuration = raft.configurationAt(appliedIndex);
    const { voters, outgoing, learners } = configuration;
    const isNews = target !== undefined || learners.length > 0 || !shows(configuration, replicas);
    if (!isNews) return undefined;
    // It keeps pace if it has all that was committed when the last report was made.
    const wanted = this.#reported?.term === term ? this.#reported.commitIndex : Infinity;
    this.#reported = { term, commitIndex };
    const caughtUp = learners.filter((id) => {
      const progress = raft.progress(id);
      return progress?.state === "replicate" && progress.matchIndex >= wanted;
    });
    const { shardId } = this;
    const joint = outgoing.length > 0;
    return { shardId, term, appliedIndex, voters, learners, joint, caughtUp };
  }

  epoch(): { readonly configuration: number; readonly range: number } {
    return this.descriptor.epoch;
  }

  wake(): void {
    this.#host.schedule(this);
  }

  notLeading(): KvError {
    if (this.#closed)
      return notApplied("unavailable", "this node is shutting down or has closed the replica");
    if (this.raft.isStateLost) return this.#unserved();
    if (this.raft.role === "leader") {
      return notApplied("unavailable", "the leader is new and not ready yet; try again");
    }
    const leaderNodeId = this.leaderNodeId;
    const message =
      leaderNodeId === 0
        ? "this shard has no leader at the moment"
        : "another node leads this shard";
    return notApplied("notLeader", message, { leaderNodeId });
  }

  /**
   * What was applied can no longer be read: nothing is served until a snapshot has come. Where
   * nobody else could lead it goes on, and only refuses what it cannot read.
   */
  loseState(): void {
    if (this.raft.loseState(this.clockMs())) {
      this.writes.stop();
      this.reads.abandon();
      this.#longReads.abandon(damagedHere());
    } else {
      this.writes.resume();
    }
    this.wake();
  }

  /** What was applied can be read again. Returns whether nothing is lacking any more. */
  regainState(): boolean {
    const isWhole = this.raft.regainState(this.clockMs());
    if (!this.raft.isStateLost) this.writes.resume();
    this.wake();
    return isWhole;
  }

  /** A message from another replica of this shard. */
  step(message: Message): void {
    if (this.#closed) return;
    this.raft.step(message, this.clockMs());
    this.wake();
  }

  /** More time may have passed than our clock says: nothing that counts from before holds. */
  clockStoodStill(nowMs: number): void {
    this.raft.doubtPromises(nowMs);
    this.reads.doubtAges();
    if (this.raft.hasReady()) this.wake();
  }

  tick(nowMs: number): void {
    this.raft.tick(nowMs);
    this.writes.expire(nowMs);
    this.#keepLeases(nowMs);
    this.reads.expire(nowMs);
    if (this.descriptor.target !== undefined && this.leads) this.#reconfigure(nowMs);
    if (this.raft.hasReady()) this.wake();
  }

  /** Whether nothing here waits for time to pass. */
  rests(nowMs: number): boolean {
    // The work of a turn may well end the rest.
    if (this.scheduled || !this.raft.quiesced) return false;
    if (this.descriptor.target !== undefined) return false;
    return !this.writes.awaitsFate && !this.reads.inUse(nowMs) && !this.#leases.inUse;
  }

  /** A snapshot has arrived whole; the core decides whether it is installed. */
  offerSnapshot(staged: StagedSnapshot): void {
    this.#staged?.install.abort();
    this.#staged = staged;
    this.raft.step(staged.message, this.clockMs());
    this.wake();
  }

  /** The work of a turn. Called by the host only. */
  turn(): void {
    if (this.#closed) return;
    this.#flush();
    for (let i = 0; i < READY_MAX && this.raft.hasReady(); i++) this.#handle(this.raft.ready());
    // What was committed just now may make room for the batch that gathered meanwhile.
    if (this.writes.holding) this.#flush();
    if (this.raft.hasReady()) this.wake();
    this.#dropUnwanted();
    if (this.raft.isStateLost) return;
    if (this.#longReads.pending) this.#countOn();
    if (this.machine.hub.hasWork) this.#pump();
    this.#host.store.maybeFlush(this.tree, () => this.flushedState());
  }

  /** What readEntries was asked for; none where they cannot be read. */
  entriesRead(request: EntriesRequest, runs: readonly EntryRun[]): void {
    this.raft.entriesRead(request, runs);
    this.wake();
  }

  /** Drops what nobody needs of the log behind the tree; after a flush, and from time to time. */
  trimLog(): void {
    const flushedIndex = this.tree.flushed.index;
    this.#trimTo(this.#tail.trimmableTo(flushedIndex, this.raft, this.clockMs()));
  }

  /** Why entries up to `index` are still in the log. */
  logKeeperOf(index: number): LogKeeper | "unflushed" {
    if (index > this.tree.flushed.index) return "unflushed";
    return this.#tail.keeperOf(index, this.raft, this.clockMs());
  }

  /**
   * The node's log is too large and this shard keeps the oldest of it: drops its entries up to
   * `upTo`, the tail included, and where `evenHeld` also what replicas are being caught up from.
   * Returns whether they are, or soon will be, gone.
   */
  releaseLog(upTo: number, evenHeld: boolean): boolean {
    if (this.#closed || upTo > this.tree.flushed.index) return false;
    if (!evenHeld && upTo > this.#tail.heldFrom(this.raft, this.clockMs())) return false;
    this.#trimTo(upTo);
    return true;
  }

  /** A replica is given a snapshot that stands at `index`: the log behind it is kept meanwhile. */
  holdLog(replicaId: number, index: number, untilMs: number): void {
    this.#tail.hold(replicaId, index, untilMs);
  }

  flushedState(): FlushedState {
    const index = this.raft.appliedIndex;
    return this.machine.flushedState(
      index,
      must(this.raft.termAt(index), "the term of the applied index"),
      encodeConfiguration(this.raft.configurationAt(index)),
    );
  }

  confirm(responder: Responder, requestId: number, revision: number, response: Uint8Array): void {
    this.reads.confirm({ responder, requestId, revision, response, minIndex: 0 });
  }

  acknowledge(write: PendingWrite): void {
    const facts = this.#factsOf(write.revision, "linearizable", 0);
    const out = write.responder.beginAnswer(write.requestId, facts);
    if (write.response === undefined) out.u8(0);
    else out.raw(write.response);
    write.responder.endAnswer();
  }

  serveConfirmed(answer: ConfirmedAnswer): void {
    const facts = this.#factsOf(answer.revision, "linearizable", 0);
    const out = answer.responder.beginAnswer(answer.requestId, facts);
    out.raw(answer.response);
    answer.responder.endAnswer();
  }

  serve(read: ReadRequest, level: ReadLevel, revision: number, ageMs: number): void {
    const atRevision = level === "stale" ? revision : read.floorRevision;
    const facts = this.#factsOf(revision, level, ageMs);
    if (read.lease !== undefined) return this.#serveLease(read, read.lease, facts);
    if (read.transaction !== undefined) {
      this.#serveTransaction(read, read.transaction, atRevision, facts);
      return;
    }
    const out = read.responder.beginAnswer(read.requestId, facts);
    const error = this.#readKey(read, atRevision, out);
    if (error === undefined) read.responder.endAnswer();
    else read.responder.failed(read.requestId, error);
  }

  /** Reads into a writer of its own first, for a long count is completed in later turns. */
  #serveTransaction(
    read: ReadRequest,
    transaction: Transaction,
    atRevision: number,
    facts: AnswerFacts,
  ): void {
    const { responder, requestId } = read;
    const body = this.#body;
    const error = this.#readBody(transaction, atRevision);
    if (error !== undefined) return responder.failed(requestId, error);
    const rest = this.machine.takeRest();
    if (rest !== undefined) {
      this.#longReads.addCount({
        responder,
        requestId,
        facts: { ...facts },
        body: body.copy(),
        rest,
      });
      this.wake();
      return;
    }
    const out = responder.beginAnswer(requestId, facts);
    out.slice(body.bytes, 0, body.length);
    responder.endAnswer();
  }

  #serveLease(read: ReadRequest, question: LeaseQuestion, facts: AnswerFacts): void {
    const { responder, requestId } = read;
    this.#body.reset();
    try {
      answerOnLeases(this.machine, question, this.writes.logicalClock(), this.#body);
    } catch (error) {
      return responder.failed(requestId, this.#unsound(error));
    }
    const out = responder.beginAnswer(requestId, facts);
    out.slice(this.#body.bytes, 0, this.#body.length);
    responder.endAnswer();
  }

  /** A hash of the logical content here at a revision (0: the newest that is applied). */
  hash(revision: number, done: (outcome: LogicalHash | KvError) => void): void {
    if (this.#closed || this.raft.isStateLost) return done(this.#unserved());
    try {
      const hash = this.machine.hash(revision);
      if (hash instanceof KvError) return done(hash);
      this.#longReads.addHash(hash, done);
      this.wake();
    } catch (error) {
      done(this.#unsound(error));
    }
  }

  answersMark(): number {
    return this.reads.answersMark;
  }

  failAnswersFrom(mark: number, error: KvError): void {
    this.reads.failAnswersFrom(mark, error);
  }

  damaged(error: CorruptionError): void {
    this.#host.replicaDamaged(this, error);
  }

  wantClose(): void {
    if (this.raft.role === "leader") this.writes.wantClose();
    else this.#host.nudgeLeader(this);
  }

  close(): void {
    this.#closed = true;
    this.writes.abandon();
    this.reads.abandon();
    this.#longReads.abandon(this.notLeading());
    this.#staged?.install.abort();
  }

  describe(): string {
    return `shard ${this.shardId} replica ${this.replicaId}: ${this.raft.describe()}`;
  }

  /** The answer of a replica whose data are damaged; where it knows who leads, it says so. */
  #unserved(): KvError {
    const { leaderNodeId } = this;
    if (this.raft.role === "leader" || leaderNodeId === 0) return damagedHere();
    return notApplied("notLeader", damagedHere().message, { leaderNodeId });
  }

  #flush(): void {
    this.writes.flush();
    const allProposed = !this.writes.holding;
    if (allProposed) this.reads.allocationsResolved(this.writes.allocationsResolved);
    this.reads.flush(allProposed);
  }

  #factsOf(revision: number, level: ReadLevel, ageMs: number): AnswerFacts {
    const facts = this.#facts;
    facts.revision = revision;
    facts.raftTerm = this.raft.term;
    facts.level = level;
    facts.ageMs = Math.round(ageMs);
    return facts;
  }

  /** A read that meets a damaged block is refused, and the replica stops serving. */
  #unsound(error: unknown): KvError {
    if (!(error instanceof CorruptionError)) throw error;
    this.damaged(error);
    return damagedHere();
  }

  #readBody(transaction: Transaction, atRevision: number): KvError | undefined {
    try {
      this.#body.reset();
      return this.machine.readSliced(transaction, atRevision, this.#body);
    } catch (error) {
      return this.#unsound(error);
    }
  }

  #countOn(): void {
    try {
      this.#longReads.step();
    } catch (error) {
      this.#longReads.abandon(this.#unsound(error));
    }
    if (this.#longReads.pending) this.wake();
  }

  #readKey(read: ReadRequest, atRevision: number, out: ByteWriter): KvError | undefined {
    const revision = read.revision > 0 ? read.revision : atRevision;
    const { bytes, keyOffset, keyLength, keysOnly } = read;
    try {
      return this.machine.readGet(bytes, keyOffset, keyLength, revision, keysOnly, out);
    } catch (error) {
      return this.#unsound(error);
    }
  }

  #handle(ready: Ready): void {
    for (const message of ready.send) this.#host.send(this, message);
    this.#persist(ready);
    for (const run of ready.apply) this.#apply(run);
    if (ready.apply.length > 0) {
      this.reads.applied();
      this.#host.applied(this);
    }
    for (const read of ready.reads) this.reads.confirmed(read.context, read.index);
    for (const context of ready.readsFailed) this.reads.failed(context);
    for (const request of ready.entriesToRead) this.#host.readEntries(this, request);
    for (const request of ready.snapshotsToSend) this.#host.sendSnapshot(this, request);
    if (this.raft.role !== this.#role || this.raft.leaderId !== this.#leaderId) this.#roleChanged();
    for (const event of ready.events) this.#host.observed(this, event);
  }

  #persist(ready: Ready): void {
    const { persist } = ready;
    const { log } = this.#host.store;
    if (persist !== undefined) {
      if (persist.snapshot !== undefined) this.#install(persist, persist.snapshot);
      // The hard state goes first: a large backlog may become durable in several writes.
      if (persist.hardState !== undefined) {
        log.saveHardState(this.shardId, this.replicaId, persist.hardState);
      }
      for (const run of persist.runs) {
        log.append(this.shardId, this.replicaId, run);
        this.#tail.appended(run);
      }
    }
    if (persist !== undefined || ready.sendAfterPersist.length > 0) {
      this.#host.persisting(this, persist !== undefined, ready.sendAfterPersist);
    }
  }

  /**
   * The core accepted a snapshot: one manifest edit, then the log starts anew behind it, unless it
   * was only the state that was lost.
   */
  #install({ keepsLog }: Persist, { index }: SnapshotMark): void {
    const staged = this.#staged;
    assert(staged !== undefined && staged.state.index === index, "no staged snapshot to install");
    this.#staged = undefined;
    this.tree = staged.install.finish(staged.state, staged.files);
    this.#longReads.abandon(
      notApplied("unavailable", "the replica was replaced by a snapshot while it read"),
    );
    this.machine.reset(this.tree, staged.state);
    if (!keepsLog) {
      this.#tail.reset();
      this.#host.store.log.reset(this.shardId, this.replicaId, index, staged.state.term);
    }
    this.raft.applied(index);
    this.writes.installed(index);
    this.#host.applied(this);
  }

  #apply(run: EntryRun): void {
    if (run.kind === "command") {
      const { bytes } = run;
      let at = 0;
      for (let i = 0; i < run.count; i++) {
        const length = readU32(bytes, at);
        at += ENTRY_HEADER_SIZE_BYTES;
        this.machine.apply(run.firstIndex + i, run.term, bytes, at, length);
        at += length;
      }
    } else {
      this.machine.skip(run.firstIndex);
    }
    const last = lastIndexOf(run);
    this.raft.applied(last);
    this.writes.applied(last, run.term);
  }

  #roleChanged(): void {
    const led = this.#role === "leader";
    this.#role = this.raft.role;
    if (this.raft.leaderId !== this.#leaderId && this.raft.leaderId !== 0) this.#leaderChanges++;
    this.#leaderId = this.raft.leaderId;
    if (led && this.#role !== "leader") {
      this.writes.leadershipEnded(this.clockMs());
      this.reads.leadershipEnded();
    }
    this.#host.roleChanged(this);
  }

  /** A refusal passes: the next tick tries again. */
  #reconfigure(nowMs: number): void {
    const { raft, replicaId, descriptor } = this;
    if (raft.quiesced) raft.wake(nowMs);
    const step = nextReconfiguration(raft.configuration, descriptor, replicaId);
    if (step.kind === "propose") {
      const { voters } = step.configuration;
      // A joint configuration that nobody can leave would stop the shard.
      const up = voters.filter((id) => id === replicaId || this.#isHeard(id, nowMs));
      if (up.length > voters.length / 2) raft.proposeConfiguration(step.configuration);
    } else if (step.kind === "transfer") {
      const heard = step.candidates.filter((id) => this.#isHeard(id, nowMs));
      handOver(raft, heard, nowMs);
    }
  }

  #keepLeases(nowMs: number): void {
    if (this.raft.isStateLost) return;
    try {
      this.#leases.tick(nowMs);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.damaged(error);
    }
  }

  #isHeard(id: number, nowMs: number): boolean {
    const progress = this.raft.progress(id);
    if (progress === undefined || !progress.heard) return false;
    return nowMs - progress.lastHeardMs <= MISSED_HEARTBEATS_MAX * this.#host.heartbeatMs;
  }

  #trimTo(index: number): void {
    if (index < this.raft.firstIndex) return;
    this.raft.compactTo(index);
    this.#tail.trimmed(index);
    this.#host.store.log.trim(this.shardId, index);
  }

  /** Watchers that lag read some history; while a connection is full they are not asked again. */
  #pump(): void {
    try {
      this.machine.hub.pump();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.damaged(error);
      return;
    }
    if (this.machine.hub.hasWork) this.wake();
  }

  /** A snapshot that the core did not take is of no use any more. */
  #dropUnwanted(): void {
    this.#staged?.install.abort();
    this.#staged = undefined;
  }
}
