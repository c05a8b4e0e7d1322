/**
 * The write path of a replica that leads. A write is evaluated when it arrives, into the batch that
 * gathers in this turn; at the end of the turn the batch is proposed as one run of entries. A write
 * is answered when its own entry has been applied here.
 *
 * If the term ends or the core refuses, everything not yet proposed leaves the overlay as a whole
 * and is answered notApplied. What was proposed waits a while for its fate: its own entry applied
 * is success, another entry in its place is notApplied, and silence is unknown.
 *
 * In a keyspace with many shards the revision comes from the sequencer, so writes queue, revisions
 * are asked for as many as wait, and evaluation runs when they arrive: the order of revisions, of
 * evaluation and of the log is one order, and no evaluation ever meets a write without a revision.
 */
import { assert } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { Evaluation, EvaluationContext } from "../mvcc/evaluation.js";
import type { EvaluationMark } from "../mvcc/evaluator.js";
import type { MvccMachine } from "../mvcc/mvcc-machine.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { Transaction } from "../protocol/operations.js";
import { PutView } from "../protocol/put-codec.js";
import type { Raft } from "../raft/raft.js";
import type { LeaseWrite, PendingWrite, WriteRequest } from "./requests.js";
import type { Responder } from "./responder.js";

/** How long a proposed write waits for news after leadership was lost. */
const FATE_WAIT_MS = 1500;
/** Batches of a shard under way at once; bench: cluster --work put. */
const BATCHES_IN_FLIGHT_MAX = 2;
/** A batch of this size is proposed whatever is under way. */
const BATCH_SIZE_BYTES: number = 256 * 1024;
/** A replica with more writes than this in flight asks its clients to come back later. */
const WRITES_IN_FLIGHT_MAX = 20_000;

/** Revisions for keyspaces with many shards; answers in a later turn, exactly once. */
export interface RevisionSource {
  allocate(
    request: { readonly keyspaceId: number; readonly shardId: number; readonly count: number },
    done: (base: number | KvError) => void,
  ): void;
}

/** What the write path needs of its replica. */
export interface WriteHost {
  readonly raft: Raft;
  readonly machine: MvccMachine;
  readonly shardId: number;
  readonly keyspaceId: number;
  /** undefined in a keyspace that counts its own revisions. */
  readonly revisions: RevisionSource | undefined;
  readonly clockMs: () => number;
  epoch(): { readonly configuration: number; readonly range: number };
  /** Whether the shard's tree has so much to merge that writes should come back later. */
  isBehind(): boolean;
  /** The error for who asks a replica that cannot serve as leader. */
  notLeading(): KvError;
  /** Hands an answer without effects to the read path, which confirms leadership first. */
  confirm(responder: Responder, requestId: number, revision: number, response: Uint8Array): void;
  /** How many answers without effects wait for their round; and fails those after so many. */
  answersMark(): number;
  failAnswersFrom(mark: number, error: KvError): void;
  /** A read met a damaged file: the replica must stop. */
  damaged(error: CorruptionError): void;
  /** Answers an applied write. */
  acknowledge(write: PendingWrite): void;
  wake(): void;
}

/** The one context object, filled again for each evaluation. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A write that was not refused when it came. */
interface TakenWrite {
  readonly responder: Responder;
  readonly requestId: number;
}

interface QueuedWrite extends TakenWrite {
  readonly request: WriteRequest;
}

export class WritePath {
  readonly #host: WriteHost;
  readonly #batch = new ByteWriter(0);
  readonly #context: Writable<EvaluationContext>;
  #batchCount = 0;
  /** Last indexes of proposed batches that were not committed when last looked at. */
  #batchEnds: number[] = [];
  /** Writes evaluated into the batch, in order. */
  #evaluated: PendingWrite[] = [];
  /** Proposed writes in log order; the first still unanswered one is at #head. */
  #pending: PendingWrite[] = [];
  #head = 0;
  /** Writes that wait for revisions. */
  #queue: QueuedWrite[] = [];
  /** Requests for revisions so far, and how many of them are resolved: evaluated, or failed. */
  #allocationsBegun = 0;
  #allocationsResolved = 0;
  /** Where to go back to if the batch is refused; set with its first evaluation. */
  #mark: { readonly machine: EvaluationMark; readonly answers: number } | undefined;
  #closeWanted = false;
  /** A damaged file was met: nothing is evaluated any more. */
  #stopped = false;
  #lostAtMs = 0;
  #failedCount = 0;
  #clockTerm = 0;
  #clockOffsetMs = 0;

  constructor(host: WriteHost) {
    this.#host = host;
    this.#context = {
      term: 0,
      epoch: host.epoch(),
      revision: 0,
      closedRevision: 0,
      clockMs: 0,
    };
  }

  /** Whether no more may be in flight. */
  get isCrowded(): boolean {
    return this.inFlightCount >= WRITES_IN_FLIGHT_MAX;
  }

  get inFlightCount(): number {
    return this.#pending.length - this.#head + this.#evaluated.length + this.#queue.length;
  }

  /** Writes that were taken and then not carried out, as far as is known here. */
  get failedCount(): number {
    return this.#failedCount;
  }

  /**
   * A read at a floor revision that arrives now must see every write that may have got a revision
   * already: those of all requests begun so far. Later ones get larger revisions.
   */
  get allocationsBegun(): number {
    return this.#allocationsBegun;
  }

  get allocationsResolved(): number {
    return this.#allocationsResolved;
  }

  submitPut(responder: Responder, requestId: number, put: PutView): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) return responder.failed(requestId, refusal);
    if (this.#host.revisions !== undefined) {
      this.#enqueue({ responder, requestId, request: { kind: "put", put: copyOfPut(put) } });
      return;
    }
    this.#evaluatePut(responder, requestId, put, this.#host.machine.lastEvaluatedRevision + 1);
  }

  submitTransaction(responder: Responder, requestId: number, transaction: Transaction): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) return responder.failed(requestId, refusal);
    if (this.#host.revisions !== undefined) {
      this.#enqueue({ responder, requestId, request: { kind: "transaction", transaction } });
      return;
    }
    this.#evaluate(
      { responder, requestId, request: { kind: "transaction", transaction } },
      this.#host.machine.lastEvaluatedRevision + 1,
    );
  }

  /** Never refused for what there is to merge: it is what makes that less. */
  submitCompact(responder: Responder, requestId: number, revision: number): void {
    const refusal = this.#stateRefusal();
    if (refusal !== undefined) return responder.failed(requestId, refusal);
    const write: QueuedWrite = { responder, requestId, request: { kind: "compact", revision } };
    if (this.#host.revisions !== undefined) return this.#enqueue(write);
    this.#evaluate(write, this.#host.machine.lastEvaluatedRevision + 1);
  }

  /**
   * Leases live in keyspaces that count their own revisions. An end is never refused for what there
   * is to merge.
   */
  submitLease(responder: Responder, requestId: number, request: LeaseWrite): void {
    const refusal = request.kind === "leaseEnd" ? this.#stateRefusal() : this.#refusal();
    if (refusal !== undefined) return responder.failed(requestId, refusal);
    if (this.#host.revisions !== undefined) {
      const text = "leases need a keyspace with one shard; this one has more";
      return responder.failed(requestId, notApplied("unsupported", text));
    }
    const revision = this.#host.machine.lastEvaluatedRevision + 1;
    this.#evaluate({ responder, requestId, request }, revision);
  }

  /** The clock of the shard now; where this replica does not lead, as it was last heard. */
  logicalClock(): number {
    const { raft, machine } = this.#host;
    return this.#leads() ? this.#logicalClock(raft.term) : machine.logicalClock;
  }

  /** Has the clock written to the log, so that a next leader goes on from there. */
  stampClock(): void {
    if (this.#stateRefusal() !== undefined) return;
    const { machine } = this.#host;
    this.#prepare(machine.lastEvaluatedRevision);
    machine.encodeClock(this.#context, this.#batch);
    this.#batchCount++;
    this.#host.wake();
  }

  /** Asks that the closed revision be raised as far as it can be, through the log. */
  wantClose(): void {
    if (this.#host.revisions === undefined || !this.#leads()) return;
    this.#closeWanted = true;
    this.#host.wake();
  }

  /** Whether evaluated writes wait for an earlier batch to be committed. */
  get holding(): boolean {
    return this.#batchCount > 0;
  }

  /**
   * End of turn: asks for revisions and proposes what was evaluated. While batches are under way
   * the next one gathers, so that the fixed cost of a batch is shared by more writes as load rises.
   */
  flush(): void {
    this.#allocate();
    if (this.#batchCount === 0) return;
    const { raft } = this.#host;
    while (this.#batchEnds.length > 0 && this.#batchEnds[0]! <= raft.commitIndex) {
      this.#batchEnds.shift();
    }
    const full = this.#batch.length >= BATCH_SIZE_BYTES;
    if (this.#batchEnds.length >= BATCHES_IN_FLIGHT_MAX && !full) return;
    const count = this.#batchCount;
    const term = this.#context.term;
    const result = raft.propose(this.#batch.copy(), count, term);
    this.#batch.reset();
    this.#batchCount = 0;
    const writes = this.#evaluated;
    this.#evaluated = [];
    if (result.kind !== "accepted") {
      const error = refused(result.kind === "refused" ? result.reason : "notLeader", this.#host);
      this.#takeBack(error);
      for (const write of writes) this.#fail(write, error);
      return;
    }
    this.#mark = undefined;
    this.#batchEnds.push(result.firstIndex + count - 1);
    // An entry without a client (a close) has no write, so writes carry their place in the batch.
    for (const write of writes) {
      write.index += result.firstIndex;
      write.term = result.term;
      this.#pending.push(write);
    }
  }

  /**
   * Entries up to `lastIndex`, all of `term`, have been applied. Terms never fall along a log, so
   * no entry of an older term can be applied any more, wherever it was proposed.
   */
  applied(lastIndex: number, term: number): void {
    while (this.#head < this.#pending.length) {
      const write = this.#pending[this.#head]!;
      if (write.index > lastIndex && write.term >= term) break;
      this.#head++;
      if (write.term === term) this.#host.acknowledge(write);
      else this.#fail(write, overwritten());
    }
    if (this.#head === this.#pending.length) {
      this.#pending.length = 0;
      this.#head = 0;
    } else if (this.#head > 4096) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
  }

  /** A snapshot took the place of the log up to `index`: which entries it holds is not known. */
  installed(index: number): void {
    this.#stopped = false;
    while (this.#head < this.#pending.length && this.#pending[this.#head]!.index <= index) {
      this.#fail(this.#pending[this.#head++]!, fateUnknown());
    }
  }

  /** This replica no longer leads the term in which it evaluated. */
  leadershipEnded(nowMs: number): void {
    const error = this.#host.notLeading();
    this.#batch.reset();
    this.#batchCount = 0;
    this.#mark = undefined;
    this.#batchEnds = [];
    this.#host.machine.dropOverlay();
    const unproposed = this.#evaluated;
    this.#evaluated = [];
    for (const write of unproposed) this.#fail(write, error);
    this.#failQueue(error);
    this.#closeWanted = false;
    this.#lostAtMs = nowMs;
  }

  /** Whether writes of a lost leader wait to be found, or given up. */
  get awaitsFate(): boolean {
    return this.#lostAtMs !== 0;
  }

  /** Gives up on the fate of writes whose leader was lost too long ago. */
  expire(nowMs: number): void {
    if (this.#lostAtMs === 0 || nowMs - this.#lostAtMs < FATE_WAIT_MS) return;
    this.#lostAtMs = 0;
    const term = this.#host.raft.term;
    const leads = this.#host.raft.role === "leader";
    const kept: PendingWrite[] = [];
    for (let i = this.#head; i < this.#pending.length; i++) {
      const write = this.#pending[i]!;
      if (leads && write.term === term) kept.push(write);
      else this.#fail(write, fateUnknown());
    }
    this.#pending = kept;
    this.#head = 0;
  }

  /** The replica closes: nobody will hear of these writes any more. */
  abandon(): void {
    for (let i = this.#head; i < this.#pending.length; i++) {
      this.#fail(this.#pending[i]!, fateUnknown());
    }
    this.#pending.length = 0;
    this.#head = 0;
    this.leadershipEnded(0);
  }

  /** A damaged file was met, and nobody else can lead: the batch is taken back, others follow. */
  resume(): void {
    this.#stopped = false;
    if (this.#batchCount === 0 && this.#mark !== undefined) this.#takeBack(damagedHere());
  }

  /** The data cannot be read any more: nothing is evaluated until a snapshot is installed. */
  stop(): void {
    this.#stopped = true;
    this.abandon();
  }

  #leads(): boolean {
    return this.#host.raft.role === "leader" && this.#host.raft.noopApplied;
  }

  #refusal(): KvError | undefined {
    const refusal = this.#stateRefusal();
    if (refusal !== undefined || !this.#host.isBehind()) return refusal;
    return notApplied(
      "overloaded",
      "merges do not keep up with the writes to this shard; try again",
    );
  }

  #stateRefusal(): KvError | undefined {
    if (this.#stopped) return damagedHere();
    if (!this.#leads()) return this.#host.notLeading();
    if (this.isCrowded) {
      return notApplied("overloaded", "too many writes are in flight on this shard; try again");
    }
    return undefined;
  }

  #prepare(revision: number): void {
    const context = this.#context;
    if (this.#batchCount === 0) {
      this.#mark = {
        machine: this.#host.machine.mark(),
        answers: this.#host.answersMark(),
      };
    }
    context.term = this.#host.raft.term;
    context.revision = revision;
    context.closedRevision = revision;
    context.clockMs = this.#logicalClock(context.term);
    context.epoch = this.#host.epoch();
  }

  /**
   * The clock that only log entries advance: a leader goes on from where the log stands, by the
   * passing of its own monotonic time.
   */
  #logicalClock(term: number): number {
    const nowMs = this.#host.clockMs();
    if (term !== this.#clockTerm) {
      this.#clockTerm = term;
      this.#clockOffsetMs = this.#host.machine.logicalClock - nowMs;
    }
    return Math.floor(nowMs + this.#clockOffsetMs);
  }

  /** The batch was refused: what it evaluated, and what was seen of that, was never there. */
  #takeBack(error: KvError): void {
    const mark = this.#mark;
    assert(mark !== undefined, "a batch without a mark");
    this.#mark = undefined;
    this.#host.machine.rollback(mark.machine);
    this.#host.failAnswersFrom(mark.answers, error);
  }

  /** Evaluates a write; true where it took the revision. */
  #evaluate(write: QueuedWrite, revision: number): boolean {
    const { responder, requestId, request } = write;
    if (request.kind === "put") {
      return this.#evaluatePut(responder, requestId, request.put, revision);
    }
    try {
      return this.#evaluateSound(write, revision);
    } catch (error) {
      return this.#unsound(responder, requestId, error);
    }
  }

  #evaluatePut(responder: Responder, requestId: number, put: PutView, revision: number): boolean {
    this.#prepare(revision);
    try {
      const evaluation = this.#host.machine.evaluatePut(put, this.#context, this.#batch);
      return this.#settle(responder, requestId, evaluation);
    } catch (error) {
      return this.#unsound(responder, requestId, error);
    }
  }

  /** An evaluation met a damaged file: this batch is half made, and the replica must stop. */
  #unsound(responder: Responder, requestId: number, error: unknown): false {
    if (!(error instanceof CorruptionError)) throw error;
    this.#stopped = true;
    this.#batch.reset();
    this.#batchCount = 0;
    const writes = this.#evaluated;
    this.#evaluated = [];
    for (const write of writes) this.#fail(write, damagedHere());
    this.#fail({ responder, requestId }, damagedHere());
    this.#host.damaged(error);
    return false;
  }

  #evaluateSound(write: QueuedWrite, revision: number): boolean {
    const { machine } = this.#host;
    const { request } = write;
    this.#prepare(revision);
    assert(request.kind !== "put", "a put is evaluated on its own");
    if (request.kind === "transaction") {
      const evaluation = machine.evaluateTransaction(
        request.transaction,
        this.#context,
        this.#batch,
      );
      return this.#settle(write.responder, write.requestId, evaluation);
    }
    this.#context.closedRevision = revision - 1;
    if (request.kind === "compact") {
      const evaluation = machine.evaluateCompact(request.revision, this.#context, this.#batch);
      this.#settle(write.responder, write.requestId, evaluation);
      return false;
    }
    return this.#settle(write.responder, write.requestId, this.#evaluateLease(request));
  }

  #evaluateLease(request: LeaseWrite): Evaluation {
    const { machine } = this.#host;
    const { id } = request;
    switch (request.kind) {
      case "leaseGrant":
        return machine.evaluateGrant(id, request.ttlSeconds, this.#context, this.#batch);
      case "leaseRenewal":
        return machine.evaluateRenewal(id, this.#context, this.#batch);
      case "leaseEnd":
        return machine.evaluateLeaseEnd(id, request.onlyIfOver, this.#context, this.#batch);
    }
  }

  #settle(responder: Responder, requestId: number, evaluation: Evaluation): boolean {
    if (evaluation.outcome === "refused") {
      responder.failed(requestId, evaluation.error!);
      return false;
    }
    if (evaluation.outcome === "noEffects") {
      this.#host.confirm(responder, requestId, evaluation.revision, evaluation.response!);
      return false;
    }
    this.#evaluated.push({
      responder,
      requestId,
      revision: evaluation.revision,
      response: evaluation.response,
      index: this.#batchCount,
      term: 0,
    });
    this.#batchCount++;
    this.#host.wake();
    return true;
  }

  #enqueue(write: QueuedWrite): void {
    this.#queue.push(write);
    this.#host.wake();
  }

  /** One request for revisions at a time: what arrives meanwhile gathers for the next. */
  #allocate(): void {
    const { revisions, shardId, keyspaceId, raft } = this.#host;
    if (revisions === undefined || !this.#leads()) return;
    if (this.#allocationsBegun > this.#allocationsResolved) return;
    if (this.#queue.length === 0 && !this.#closeWanted) return;
    const count = this.#queue.length;
    const term = raft.term;
    this.#allocationsBegun++;
    revisions.allocate({ keyspaceId, shardId, count }, (base) => {
      this.#allocationsResolved++;
      this.#allocated(base, count, term);
      this.#host.wake();
    });
  }

  #allocated(base: number | KvError, count: number, term: number): void {
    const { raft } = this.#host;
    if (raft.term !== term || raft.role !== "leader") {
      this.#failQueue(this.#host.notLeading());
      return;
    }
    const writes = this.#queue.splice(0, count);
    if (typeof base !== "number") {
      for (const write of writes) this.#fail(write, base);
      return;
    }
    // `base` is the first revision of ours; without any it is the newest one given to anybody.
    let next = base;
    for (const write of writes) {
      if (this.#stopped) this.#fail(write, damagedHere());
      else if (this.#evaluate(write, next)) next++;
    }
    if (this.#closeWanted && !this.#stopped) this.#close(count === 0 ? base : base + count - 1);
  }

  /** Every revision up to `revision` that this shard ever got is evaluated: says so in the log. */
  #close(revision: number): void {
    this.#closeWanted = false;
    const { machine } = this.#host;
    if (revision <= machine.closedRevision) return;
    this.#prepare(machine.lastEvaluatedRevision);
    this.#context.closedRevision = revision;
    machine.encodeClose(this.#context, this.#batch);
    this.#batchCount++;
    assert(this.#batchCount > 0);
  }

  #failQueue(error: KvError): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const write of queue) this.#fail(write, error);
  }

  /** The end of a write that was taken, other than what its evaluation says. */
  #fail({ responder, requestId }: TakenWrite, error: KvError): void {
    this.#failedCount++;
    responder.failed(requestId, error);
  }
}

/** A put that outlives the frame's view of it; the bytes themselves stay where they are. */
function copyOfPut(put: PutView): PutView {
  const copy = new PutView();
  copy.bytes = put.bytes;
  copy.flags = put.flags;
  copy.leaseLow = put.leaseLow;
  copy.leaseHigh = put.leaseHigh;
  copy.keyOffset = put.keyOffset;
  copy.keyLength = put.keyLength;
  copy.valueOffset = put.valueOffset;
  copy.valueLength = put.valueLength;
  return copy;
}

/** The refusal of a replica whose files are damaged. */
export function damagedHere(): KvError {
  return notApplied("unavailable", "this replica's data is damaged; another one has to serve");
}

function overwritten(): KvError {
  return notApplied(
    "unavailable",
    "the leader changed before the write was replicated; it was not applied",
  );
}

function fateUnknown(): KvError {
  return new KvError(
    "unavailable",
    "the leader was lost while the write was under way; it may have been applied",
    "unknown",
  );
}

function refused(reason: string, host: WriteHost): KvError {
  if (reason === "uncommittedLimit") {
    return notApplied("overloaded", "too much is waiting to be replicated; try again");
  }
  if (reason === "transferring") {
    return notApplied("unavailable", "leadership is being handed over; try again");
  }
  return host.notLeading();
}
