/**
 * What surrounds the write path and the read path of a replica, as doubles that a test sets by
 * hand: a core that refuses as told and commits at once, a state machine that only counts
 * revisions, and somebody who asks and remembers every answer. Nothing is replicated or stored.
 */
import { ByteWriter } from "../../src/base/coding.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import type { Evaluation, EvaluationContext } from "../../src/mvcc/evaluation.js";
import type { MvccMachine } from "../../src/mvcc/mvcc-machine.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { KvError } from "../../src/protocol/errors.js";
import type { Transaction } from "../../src/protocol/operations.js";
import type { PutView } from "../../src/protocol/put-codec.js";
import type { Raft } from "../../src/raft/raft.js";
import type { ProposeResult, ProposeRefusal, Role } from "../../src/raft/types.js";
import { linearizableRead } from "../../src/shard/requests.js";
import type { ReadRequest } from "../../src/shard/requests.js";
import type { Responder } from "../../src/shard/responder.js";

export const ANY_TRANSACTION: Transaction = { compares: [], success: [], failure: [] };

export const DAMAGE: CorruptionError = new CorruptionError("a table", 0, "a bad checksum");

export class FakeRaft {
  role: Role = "leader";
  noopApplied = true;
  term = 1;
  leaderId = 1;
  lastIndex = 0;
  commitIndex = 0;
  appliedIndex = 0;
  leaseHolds = false;
  leaseUsed = false;
  /** Why the next proposal is refused. */
  refusal: ProposeRefusal | undefined;
  /** Number of entries of every accepted proposal. */
  readonly proposed: number[] = [];
  /** Contexts of the quorum rounds that were begun. */
  readonly rounds: number[] = [];

  propose(_bytes: Uint8Array, count: number, term: number): ProposeResult {
    if (this.refusal !== undefined) return { kind: "refused", reason: this.refusal };
    if (this.role !== "leader") return { kind: "notLeader", leaderId: this.leaderId };
    if (term !== this.term) return { kind: "refused", reason: "termChanged" };
    const firstIndex = this.lastIndex + 1;
    this.lastIndex += count;
    this.commitIndex = this.lastIndex;
    this.proposed.push(count);
    return { kind: "accepted", firstIndex, term };
  }

  readIndex(context: number): void {
    this.rounds.push(context);
  }

  useLease(used: boolean): void {
    this.leaseUsed = used;
  }

  hasLease(): boolean {
    return this.leaseHolds;
  }

  /** The same, where a core is wanted. */
  get core(): Raft {
    return this as unknown as Raft;
  }
}

export class FakeMachine {
  revision = 1;
  closedRevision = 1;
  lastEvaluatedRevision = 1;
  readonly logicalClock = 0;
  /** What the next evaluation comes to; "damaged" throws. */
  next: "effects" | "noEffects" | "refused" | "damaged" = "effects";
  /** Revisions of everything evaluated that was not taken back. */
  evaluated: number[] = [];
  drops = 0;

  readonly evaluatePut = (_put: PutView, context: EvaluationContext): Evaluation =>
    this.#evaluate(context);

  readonly evaluateTransaction = (_txn: Transaction, context: EvaluationContext): Evaluation =>
    this.#evaluate(context);

  readonly evaluateCompact = (_revision: number, context: EvaluationContext): Evaluation =>
    this.#evaluate(context);

  readonly encodeClose = (): void => undefined;

  mark(): number {
    return this.evaluated.length;
  }

  rollback(mark: number): void {
    this.evaluated = this.evaluated.slice(0, mark);
    this.lastEvaluatedRevision = this.evaluated.at(-1) ?? this.revision;
  }

  dropOverlay(): void {
    this.drops++;
    this.rollback(0);
  }

  /** The same, where a state machine is wanted. */
  get machine(): MvccMachine {
    return this as unknown as MvccMachine;
  }

  #evaluate(context: EvaluationContext): Evaluation {
    const outcome = this.next;
    this.next = "effects";
    if (outcome === "damaged") throw DAMAGE;
    if (outcome === "effects") {
      this.lastEvaluatedRevision = context.revision;
      this.evaluated.push(context.revision);
    }
    const error = outcome === "refused" ? notApplied("keyEmpty", "a key is empty") : undefined;
    const response = outcome === "noEffects" ? new Uint8Array(1) : undefined;
    return { outcome, revision: this.lastEvaluatedRevision, response, error };
  }
}

/** Remembers what each request was told: "ok", or "outcome code" of its error. */
export class FakeAsker implements Responder {
  readonly answers: Map<number, string> = new Map();
  readonly #out = new ByteWriter(64);

  beginAnswer(requestId: number): ByteWriter {
    this.answered(requestId, "ok");
    return this.#out;
  }

  endAnswer(): void {
    this.#out.reset();
  }

  failed(requestId: number, error: KvError): void {
    this.answered(requestId, `${error.outcome} ${error.code}`);
  }

  /** An answer is given exactly once. */
  answered(requestId: number, answer: string): void {
    const before = this.answers.get(requestId);
    if (before !== undefined) throw new Error(`${requestId} is told ${answer} after ${before}`);
    this.answers.set(requestId, answer);
  }

  of(requestId: number): string | undefined {
    return this.answers.get(requestId);
  }
}

export function notLeading(): KvError {
  return notApplied("notLeader", "another node leads this shard");
}

/** A read of nothing in particular. */
export function readOf(
  responder: Responder,
  requestId: number,
  fields: Partial<ReadRequest> = {},
): ReadRequest {
  return { ...linearizableRead(responder, requestId, { transaction: ANY_TRANSACTION }), ...fields };
}
