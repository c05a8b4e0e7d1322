/**
 * The read path of a replica. Reads that need leadership confirmed gather in a turn and share one
 * quorum round, begun at the turn's end; they are served once everything that was committed when
 * the round was asked for is applied. Two rounds at most are under way: what arrives meanwhile
 * shares the next one, so the cost of a round falls as load rises.
 *
 *   linearizable  leader, confirmed by a round begun after the read arrived
 *   lease         leader, while its lease holds in the step that answers; else as linearizable
 *   follower      any replica, at an index its leader confirmed
 *   stale         any replica, at its closed revision; if that has not reached what is asked for,
 *                 the leader is asked to close more, and the read waits for it
 *
 * Reads that are answered by the clock, under the lease or as stale ones, wait for the end of their
 * turn too: one look whether the clock has stood still serves them all.
 *
 * A stale state's age is the time since the replica last asked for a confirmed index that it has by
 * now applied: its own clock alone, so a message that waited in a queue cannot look fresh.
 */
import type { MvccMachine } from "../mvcc/mvcc-machine.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { ReadLevel } from "../protocol/key-value.js";
import type { Raft } from "../raft/raft.js";
import type { ConfirmedAnswer, ReadRequest } from "./requests.js";
import { AGE_UNKNOWN_MS } from "./responder.js";

/** Quorum rounds under way at once. */
const ROUNDS_MAX = 2;
/** A round without an answer for this long has failed. */
const ROUND_TIMEOUT_MS = 1500;
/** Freshness is proved this often while stale reads are in use; they count as such so long. */
const PROBE_INTERVAL_MS = 100;
const PROBE_IN_USE_MS = 10_000;
/** Voters are asked for promises, which slow a failover down, only while lease reads are in use. */
const LEASE_IN_USE_MS = 10_000;

export interface ReadHost {
  readonly raft: Raft;
  readonly machine: MvccMachine;
  readonly clockMs: () => number;
  /** Calls `doubtAges` first if the clock may have stood still since it was called last. */
  readonly checkClock: () => void;
  notLeading(): KvError;
  /** Answers at the applied state; `ageMs` is for stale reads. */
  serve(request: ReadRequest, level: ReadLevel, revision: number, ageMs: number): void;
  serveConfirmed(answer: ConfirmedAnswer): void;
  /** The replica asks this often for its state to be closed further. */
  wantClose(): void;
  wake(): void;
}

const NO_ANSWERS: readonly ConfirmedAnswer[] = [];

interface HeldRead {
  readonly request: ReadRequest;
  readonly barrier: number;
  readonly arrivedMs: number;
}

/** A stale read whose round is over. */
interface UnclosedRead {
  readonly request: ReadRequest;
  readonly round: Round;
}

interface Round {
  readonly context: number;
  readonly startedMs: number;
  readonly reads: ReadRequest[];
  answers: ConfirmedAnswer[];
  /** Whether it proves the freshness of this replica's state. */
  readonly probe: boolean;
  /** -1 until confirmed. */
  index: number;
}

export class ReadPath {
  readonly #host: ReadHost;
  /** Reads under the lease and stale ones, of this turn. */
  #clocked: ReadRequest[] = [];
  #gathered: ReadRequest[] = [];
  #answers: ConfirmedAnswer[] = [];
  /** Reads at a floor revision that wait until the allocations before them are resolved. */
  #held: HeldRead[] = [];
  /** Stale reads at revisions that are not closed here yet. */
  #unclosed: UnclosedRead[] = [];
  #rounds: Round[] = [];
  /** Confirmed rounds that wait for their index to be applied. */
  #confirmed: Round[] = [];
  #nextContext = 1;
  #probeWanted = false;
  #probing = false;
  #staleUsedMs = Number.NEGATIVE_INFINITY;
  #leaseUsedMs = Number.NEGATIVE_INFINITY;
  #probedMs = Number.NEGATIVE_INFINITY;
  /** Our own time at which the applied state was certainly no older than the cluster's. */
  #freshAtMs = Number.NEGATIVE_INFINITY;
  /** Of rounds before this one nobody can say how long ago they began. */
  #firstDatedContext = 0;

  constructor(host: ReadHost) {
    this.#host = host;
  }

  submit(request: ReadRequest): void {
    switch (request.level) {
      case "linearizable":
        return this.#submitAtLeader(request);
      case "follower":
        return this.#gather(request);
      case "lease":
      case "stale":
        this.#clocked.push(request);
        this.#host.wake();
    }
  }

  /** Answers once leadership was confirmed by a later round and `minIndex` is applied. */
  confirm(answer: ConfirmedAnswer): void {
    this.#answers.push(answer);
    this.#host.wake();
  }

  /**
   * End of turn, writes proposed: `resolved` requests for revisions are evaluated and in the log.
   * Reads at a floor revision that came before the next one see all of those.
   */
  allocationsResolved(resolved: number): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const each of held) {
      if (each.barrier > resolved) {
        this.#held.push(each);
        continue;
      }
      each.request.minIndex = this.#host.raft.lastIndex;
      this.submit(each.request);
    }
  }

  /**
   * A read at a floor revision: shows every write at or below it. At the leader it waits until the
   * first `barrier` requests for revisions are resolved; any replica may serve it once its closed
   * revision has reached the floor.
   */
  submitAtFloor(request: ReadRequest, barrier: number): void {
    const { raft, machine } = this.#host;
    const atLeader = request.level === "linearizable" || request.level === "lease";
    if (!atLeader && machine.closedRevision >= request.floorRevision) {
      this.#gather(request);
      return;
    }
    if (raft.role !== "leader") {
      request.responder.failed(request.requestId, this.#host.notLeading());
      return;
    }
    this.#held.push({ request, barrier, arrivedMs: this.#host.clockMs() });
    this.#host.wake();
  }

  /** How many answers without effects wait for a round that has not begun. */
  get answersMark(): number {
    return this.#answers.length;
  }

  failAnswersFrom(mark: number, error: KvError): void {
    failAnswers(this.#answers.splice(mark), error);
  }

  /** The clock may have stood still until now: what is from before may be older than it looks. */
  doubtAges(): void {
    this.#freshAtMs = Number.NEGATIVE_INFINITY;
    this.#firstDatedContext = this.#nextContext;
  }

  /**
   * End of turn: answers what needs no round, and begins one for what gathered. Answers without
   * effects take part once all that was evaluated before them is in the log, whose end they then
   * wait for.
   */
  flush(allProposed: boolean): void {
    if (this.#clocked.length > 0) this.#answerByClock();
    const answers = allProposed ? this.#answers : NO_ANSWERS;
    const waiting = this.#gathered.length + answers.length > 0 || this.#probeWanted;
    if (!waiting || this.#rounds.length >= ROUNDS_MAX) return;
    const context = this.#nextContext++;
    const startedMs = this.#host.clockMs();
    const lastIndex = this.#host.raft.lastIndex;
    for (const answer of answers) answer.minIndex = lastIndex;
    this.#rounds.push({
      context,
      startedMs,
      reads: this.#gathered,
      answers: [...answers],
      probe: true,
      index: -1,
    });
    this.#probeWanted = false;
    this.#gathered = [];
    if (allProposed) this.#answers = [];
    this.#host.raft.readIndex(context, startedMs);
  }

  /** The core confirmed a round at an index. */
  confirmed(context: number, index: number): void {
    const round = this.#take(context);
    if (round === undefined) return;
    round.index = index;
    this.#confirmed.push(round);
    this.applied();
    if (this.#gathered.length + this.#answers.length > 0) this.#host.wake();
  }

  /** The core gave a round up: leadership was lost, or there is no leader to ask. */
  failed(context: number): void {
    const round = this.#take(context);
    if (round !== undefined) this.#failRound(round, this.#unavailable());
  }

  /** Serves what the applied index now allows. */
  applied(): void {
    if (this.#unclosed.length > 0) this.#serveClosed();
    if (this.#confirmed.length === 0) return;
    const appliedIndex = this.#host.raft.appliedIndex;
    const rounds = this.#confirmed;
    this.#confirmed = [];
    for (const round of rounds) this.#serveRound(round, appliedIndex);
  }

  #serveClosed(): void {
    const unclosed = this.#unclosed;
    this.#unclosed = [];
    for (const { request, round } of unclosed) this.#serveRead(request, round);
  }

  leadershipEnded(): void {
    const error = this.#host.notLeading();
    this.#gathered = failWhere(this.#gathered, (read) => read.level !== "follower", error);
    for (const { request } of this.#held) request.responder.failed(request.requestId, error);
    this.#held = [];
    failAnswers(this.#answers, error);
    this.#answers = [];
    // What such an answer shows may be undone now, even where its round was confirmed before.
    for (const round of [...this.#rounds, ...this.#confirmed]) {
      failAnswers(round.answers, error);
      round.answers = [];
    }
  }

  /** Whether reads wait, or freshness is to be proved from time to time. */
  inUse(nowMs: number): boolean {
    const waiting = this.#rounds.length + this.#held.length + this.#unclosed.length;
    return waiting > 0 || nowMs - this.#staleUsedMs < PROBE_IN_USE_MS;
  }

  expire(nowMs: number): void {
    this.#expireHeld(nowMs);
    this.#expireUnclosed(nowMs);
    if (nowMs - this.#leaseUsedMs > LEASE_IN_USE_MS) this.#host.raft.useLease(false);
    const old = this.#rounds.filter((round) => nowMs - round.startedMs > ROUND_TIMEOUT_MS);
    if (old.length > 0) {
      this.#rounds = this.#rounds.filter((round) => !old.includes(round));
      for (const round of old) this.#failRound(round, this.#unavailable());
      if (this.#gathered.length > 0) this.#host.wake();
    }
    const inUse = nowMs - this.#staleUsedMs < PROBE_IN_USE_MS;
    if (inUse && !this.#probing && nowMs - this.#probedMs >= PROBE_INTERVAL_MS) this.#probe();
  }

  /** The replica closes. */
  abandon(): void {
    const error = this.#host.notLeading();
    for (const round of [...this.#rounds, ...this.#confirmed]) this.#failRound(round, error);
    this.#rounds = [];
    this.#confirmed = [];
    for (const read of [...this.#clocked, ...this.#gathered]) {
      read.responder.failed(read.requestId, error);
    }
    this.#clocked = [];
    this.#gathered = [];
    for (const { request } of this.#unclosed) request.responder.failed(request.requestId, error);
    this.#unclosed = [];
    this.leadershipEnded();
  }

  #expireHeld(nowMs: number): void {
    this.#held = withoutOld(
      this.#held,
      ({ arrivedMs }) => nowMs - arrivedMs > ROUND_TIMEOUT_MS,
      () => this.#unavailable(),
    );
  }

  #expireUnclosed(nowMs: number): void {
    this.#unclosed = withoutOld(
      this.#unclosed,
      ({ round }) => nowMs - round.startedMs > ROUND_TIMEOUT_MS,
      ({ request }) => {
        const closed = this.#host.machine.closedRevision;
        const text = `revision ${revisionMinOf(request)} is not closed here yet, ${closed} is`;
        return notApplied("futureRevision", text);
      },
    );
  }

  #submitAtLeader(request: ReadRequest): void {
    if (this.#host.raft.role !== "leader") {
      request.responder.failed(request.requestId, this.#host.notLeading());
      return;
    }
    this.#gather(request);
  }

  #answerByClock(): void {
    this.#host.checkClock();
    const reads = this.#clocked;
    this.#clocked = [];
    for (const read of reads) {
      const isLease = read.level === "lease";
      if (isLease ? this.#answerUnderLease(read) : this.#answerStale(read)) continue;
      if (!isLease || this.#host.raft.role === "leader") this.#gathered.push(read);
      else read.responder.failed(read.requestId, this.#host.notLeading());
    }
  }

  #answerUnderLease(read: ReadRequest): boolean {
    const { raft } = this.#host;
    const nowMs = this.#host.clockMs();
    raft.useLease(true);
    this.#leaseUsedMs = nowMs;
    const caughtUp = raft.noopApplied && raft.appliedIndex === raft.commitIndex;
    if (read.minIndex > raft.appliedIndex || !caughtUp || !raft.hasLease(nowMs)) return false;
    this.#answer(read, "lease");
    return true;
  }

  #answerStale(read: ReadRequest): boolean {
    const nowMs = this.#host.clockMs();
    const ageMs = nowMs - this.#freshAtMs;
    this.#staleUsedMs = nowMs;
    if (!this.#probing && nowMs - this.#probedMs >= PROBE_INTERVAL_MS) this.#probe();
    const fresh = read.maxStalenessMs === 0 || ageMs <= read.maxStalenessMs;
    const revision = this.#host.machine.closedRevision;
    const reached = revision >= revisionMinOf(read);
    if (!reached) this.#host.wantClose();
    if (!fresh || !reached) return false;
    this.#serveStale(read, ageMs);
    return true;
  }

  #gather(request: ReadRequest): void {
    this.#gathered.push(request);
    this.#host.wake();
  }

  #probe(): void {
    this.#probing = true;
    this.#probedMs = this.#host.clockMs();
    this.#probeWanted = true;
    this.#host.wake();
  }

  #take(context: number): Round | undefined {
    const at = this.#rounds.findIndex((round) => round.context === context);
    return at < 0 ? undefined : this.#rounds.splice(at, 1)[0];
  }

  #serveRound(round: Round, appliedIndex: number): void {
    if (round.index > appliedIndex) {
      this.#confirmed.push(round);
      return;
    }
    if (round.probe) {
      this.#probing = false;
      this.#freshAtMs = Math.max(this.#freshAtMs, this.#startMs(round));
    }
    let later = false;
    for (const read of round.reads) {
      if (read.minIndex > appliedIndex) later = true;
      else this.#serveRead(read, round);
    }
    for (const answer of round.answers) {
      if (answer.minIndex > appliedIndex) later = true;
      else this.#host.serveConfirmed(answer);
    }
    if (!later) return;
    const reads = round.reads.filter((read) => read.minIndex > appliedIndex);
    const answers = round.answers.filter((answer) => answer.minIndex > appliedIndex);
    this.#confirmed.push({ ...round, probe: false, reads, answers });
  }

  #serveRead(read: ReadRequest, round: Round): void {
    if (read.level !== "stale") {
      this.#answer(read, read.level === "follower" ? "follower" : "linearizable");
      return;
    }
    if (this.#host.machine.closedRevision < revisionMinOf(read)) {
      this.#unclosed.push({ request: read, round });
      return;
    }
    this.#host.checkClock();
    const ageMs = this.#host.clockMs() - this.#startMs(round);
    // Nobody can say that a state of unknown age is as young as was asked for; the next round can.
    if (read.maxStalenessMs > 0 && !Number.isFinite(ageMs)) this.#gather(read);
    else this.#serveStale(read, ageMs);
  }

  /** When the round certainly had not begun yet. */
  #startMs({ context, startedMs }: Round): number {
    return context < this.#firstDatedContext ? Number.NEGATIVE_INFINITY : startedMs;
  }

  #serveStale(read: ReadRequest, ageMs: number): void {
    const revision = this.#host.machine.closedRevision;
    this.#host.serve(read, "stale", revision, Number.isFinite(ageMs) ? ageMs : AGE_UNKNOWN_MS);
  }

  #answer(read: ReadRequest, level: ReadLevel): void {
    const revision = Math.max(this.#host.machine.revision, read.floorRevision);
    this.#host.serve(read, level, revision, 0);
  }

  #failRound(round: Round, error: KvError): void {
    if (round.probe) this.#probing = false;
    for (const read of round.reads) read.responder.failed(read.requestId, error);
    failAnswers(round.answers, error);
  }

  #unavailable(): KvError {
    if (this.#host.raft.role !== "leader" && this.#host.raft.leaderId !== 0) {
      return this.#host.notLeading();
    }
    return notApplied("unavailable", "no quorum of this shard's replicas answers");
  }
}

/** The least closed revision that a stale read can be served at. */
function revisionMinOf({ minRevision, floorRevision }: ReadRequest): number {
  return Math.max(minRevision, floorRevision);
}

/** Fails the reads that have waited too long and returns the others. */
function withoutOld<Waiting extends { readonly request: ReadRequest }>(
  waiting: Waiting[],
  isOld: (each: Waiting) => boolean,
  errorOf: (each: Waiting) => KvError,
): Waiting[] {
  if (!waiting.some(isOld)) return waiting;
  const kept: Waiting[] = [];
  for (const each of waiting) {
    const { responder, requestId } = each.request;
    if (isOld(each)) responder.failed(requestId, errorOf(each));
    else kept.push(each);
  }
  return kept;
}

/** Fails the reads that `condition` holds for and returns the others. */
function failWhere(
  reads: readonly ReadRequest[],
  condition: (read: ReadRequest) => boolean,
  error: KvError,
): ReadRequest[] {
  const kept: ReadRequest[] = [];
  for (const read of reads) {
    if (condition(read)) read.responder.failed(read.requestId, error);
    else kept.push(read);
  }
  return kept;
}

function failAnswers(answers: readonly ConfirmedAnswer[], error: KvError): void {
  for (const answer of answers) answer.responder.failed(answer.requestId, error);
}
