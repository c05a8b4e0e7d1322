/**
 * The leader's half of the state machine: evaluates requests, in the order in which they come,
 * against the applied state and the overlay of what was evaluated before them, and writes the
 * entries to be proposed. It changes nothing that is applied.
 *
 * An entry closes its own revision and, without effects, the one before it: revisions are given in
 * the order of evaluation, so no later entry of this shard can have a smaller one.
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { ByteWriter } from "../base/coding.js";
import { LEASE_TTL_SECONDS_MAX, LEASE_TTL_SECONDS_MIN } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { encodeLease, leaseHigh, leaseLow, writeKeyValue } from "../protocol/key-value-codec.js";
import type { Transaction } from "../protocol/operations.js";
import { PUT_FLAGS } from "../protocol/put-codec.js";
import type { PutView } from "../protocol/put-codec.js";
import type { AppliedState } from "./applied-state.js";
import { ENTRY_KINDS, PayloadHeader, beginEntry, finishEntry } from "./effects-format.js";
import { EffectsWriter } from "./effects-writer.js";
import { Evaluation } from "./evaluation.js";
import type { EvaluationContext } from "./evaluation.js";
import { LEASE_CHANGES, writeLeaseRecord } from "./lease-format.js";
import { Leases, leaseNotFound } from "./leases.js";
import { Overlay } from "./overlay.js";
import { RowWriter } from "./row-writer.js";
import { StateView, compactedRevision, futureRevision } from "./state-view.js";
import type { DataTree } from "./state-view.js";
import { checkKey, checkTransaction } from "./transaction-check.js";
import type { KeyBounds } from "./transaction-check.js";
import { TransactionRunner } from "./transaction-runner.js";

export interface EvaluationMark {
  readonly overlay: number;
  readonly revision: number;
  readonly compacted: number;
  readonly closed: number;
  readonly leases: number;
}

export class Evaluator {
  /** Applied or in the overlay, whichever is newer. */
  revision: number;
  #compacted: number;
  #closed: number;
  readonly #keyspaceId: number;
  readonly #bounds: KeyBounds;
  readonly #overlay = new Overlay();
  readonly #state: StateView;
  readonly #effects: EffectsWriter;
  readonly #rows: RowWriter;
  readonly #runner: TransactionRunner;
  readonly #header = new PayloadHeader();
  readonly #evaluation = new Evaluation();
  readonly #response = new ByteWriter(0);
  readonly leases: Leases;
  /** Term of everything in the overlay. */
  #term = 0;

  constructor(tree: DataTree, applied: AppliedState, keyspaceId: number, prefixLength: number) {
    this.revision = applied.revision;
    this.#compacted = applied.compactedRevision;
    this.#closed = applied.closedRevision;
    this.#keyspaceId = keyspaceId;
    this.#bounds = {
      get range() {
        return tree.range;
      },
      prefixLength,
    };
    this.#state = new StateView(tree, this.#overlay);
    this.#effects = new EffectsWriter(this.#overlay);
    this.leases = new Leases(tree, this.#overlay);
    this.#rows = new RowWriter(this.#state, this.#effects, this.leases, prefixLength);
    this.#runner = new TransactionRunner(this.#state, prefixLength, this.#rows);
  }

  /** Effects that are evaluated and not applied. */
  get overlaySize(): number {
    return this.#overlay.size;
  }

  put(request: PutView, context: EvaluationContext, out: ByteWriter): Evaluation {
    const { bytes, keyOffset, keyLength, flags } = request;
    const refusal = checkKey(this.#bounds, bytes, keyOffset, keyLength);
    if (refusal !== undefined) return this.#refused(refusal);
    this.#begin(context, out);
    const row = this.#rows.row;
    row.keyBytes = bytes;
    row.keyOffset = keyOffset;
    row.keyLength = keyLength;
    row.valueBytes = bytes;
    row.valueOffset = request.valueOffset;
    row.valueLength = request.valueLength;
    row.leaseLow = request.leaseLow;
    row.leaseHigh = request.leaseHigh;
    const error = this.#rows.put(flags & ~PUT_FLAGS.prevKv);
    if (error !== undefined) return this.#abandoned(error);
    const withPrevious = (flags & PUT_FLAGS.prevKv) !== 0 && this.#rows.hadPrevious;
    return this.#finished(context, withPrevious ? this.#previousResponse() : undefined);
  }

  transaction(txn: Transaction, context: EvaluationContext, out: ByteWriter): Evaluation {
    const refusal = checkTransaction(txn, this.#bounds);
    if (refusal !== undefined) return this.#refused(refusal);
    this.#begin(context, out);
    this.#response.reset();
    const error = this.#runner.run(txn, this.#response);
    if (error !== undefined) return this.#abandoned(error);
    const response = this.#response.copy();
    if (this.#effects.count > 0) return this.#finished(context, response);
    this.#effects.abandon();
    return this.#answer("noEffects", response, undefined);
  }

  compact(revision: number, context: EvaluationContext, out: ByteWriter): Evaluation {
    const newest = Math.max(this.revision, this.#closed, context.closedRevision);
    if (revision <= this.#compacted) {
      return this.#refused(compactedRevision(revision, this.#compacted));
    }
    if (revision > newest) return this.#refused(futureRevision(revision, newest));
    const start = beginEntry(out);
    out.u53(revision);
    this.#fillHeader(ENTRY_KINDS.compact, context);
    finishEntry(out, start, this.#header);
    this.#compacted = revision;
    return this.#answer("effects", undefined, undefined);
  }

  grant(id: bigint, ttl: number, context: EvaluationContext, out: ByteWriter): Evaluation {
    if (ttl > LEASE_TTL_SECONDS_MAX) {
      const text = `a lease of ${ttl} seconds is too long: at most ${LEASE_TTL_SECONDS_MAX}`;
      return this.#refused(notApplied("leaseTtlTooLarge", text, { bound: LEASE_TTL_SECONDS_MAX }));
    }
    if (this.leases.find(id) !== undefined) {
      return this.#refused(notApplied("leaseExists", "there is such a lease already"));
    }
    const ttlSeconds = Math.max(ttl, LEASE_TTL_SECONDS_MIN);
    return this.#leaseChanged(LEASE_CHANGES.granted, id, ttlSeconds, context, out);
  }

  renew(id: bigint, context: EvaluationContext, out: ByteWriter): Evaluation {
    const lease = this.leases.find(id);
    if (lease === undefined) return this.#answer("noEffects", this.#secondsResponse(0), undefined);
    return this.#leaseChanged(LEASE_CHANGES.renewed, id, lease.ttlSeconds, context, out);
  }

  /** Deletes a lease and its keys in one revision; in none where it has no key. */
  endLease(
    id: bigint,
    onlyIfOver: boolean,
    context: EvaluationContext,
    out: ByteWriter,
  ): Evaluation {
    const lease = this.leases.find(id);
    if (lease === undefined) return this.#refused(leaseNotFound());
    if (onlyIfOver && lease.deadlineMs > context.clockMs) return this.#refused(leaseNotOver());
    this.#begin(context, out);
    for (const key of this.leases.candidates(id)) {
      const error = this.#rows.deleteLeased(key, leaseLow(id), leaseHigh(id));
      if (error !== undefined) return this.#abandoned(error);
    }
    if (this.#effects.count === 0) {
      this.#effects.abandon();
      return this.#leaseChanged(LEASE_CHANGES.ended, id, 0, context, out);
    }
    encodeLease(out, id);
    this.leases.overlay.add({ id, live: undefined });
    this.#header.endsLease = true;
    const evaluation = this.#finished(context, EMPTY_BYTES);
    this.#header.endsLease = false;
    return evaluation;
  }

  /** An entry that carries the clock alone. */
  stampClock(context: EvaluationContext, out: ByteWriter): void {
    const start = beginEntry(out);
    this.#fillHeader(ENTRY_KINDS.lease, context);
    finishEntry(out, start, this.#header);
  }

  /** An entry that only carries the closed revision and the clock. */
  close(context: EvaluationContext, out: ByteWriter): void {
    const start = beginEntry(out);
    this.#fillHeader(ENTRY_KINDS.close, context);
    finishEntry(out, start, this.#header);
  }

  /** The state before what is evaluated next, to roll back to while nothing of that is proposed. */
  mark(): EvaluationMark {
    return {
      overlay: this.#overlay.mark(),
      revision: this.revision,
      compacted: this.#compacted,
      closed: this.#closed,
      leases: this.leases.overlay.mark(),
    };
  }

  /** Takes back everything evaluated since the mark; what was proposed before stays. */
  rollback(mark: EvaluationMark): void {
    this.#overlay.rollback(mark.overlay);
    this.leases.overlay.rollback(mark.leases);
    this.revision = mark.revision;
    this.#compacted = mark.compacted;
    this.#closed = mark.closed;
  }

  /** Forgets everything that is not applied. */
  dropOverlay(applied: AppliedState): void {
    this.#overlay.clear();
    this.leases.overlay.clear();
    this.revision = applied.revision;
    this.#compacted = applied.compactedRevision;
    this.#closed = applied.closedRevision;
  }

  /** An entry was applied, with effects at `revision` or with none. */
  onApplied(applied: AppliedState, hasEffects: boolean): void {
    if (this.#overlay.size > 0 && hasEffects) {
      const own = this.#overlay.oldestRevision === applied.revision;
      assert(own, "an entry was applied that the overlay does not start with");
      this.#overlay.trimTo(applied.revision);
    }
    if (applied.revision > this.revision) this.revision = applied.revision;
    if (applied.compactedRevision > this.#compacted) this.#compacted = applied.compactedRevision;
    if (applied.closedRevision > this.#closed) this.#closed = applied.closedRevision;
  }

  #leaseChanged(
    change: number,
    id: bigint,
    ttlSeconds: number,
    context: EvaluationContext,
    out: ByteWriter,
  ): Evaluation {
    const isEnd = change === LEASE_CHANGES.ended;
    const deadlineMs = isEnd ? 0 : context.clockMs + ttlSeconds * 1000;
    const start = beginEntry(out);
    writeLeaseRecord(out, change, id, ttlSeconds, deadlineMs);
    this.#fillHeader(ENTRY_KINDS.lease, context);
    finishEntry(out, start, this.#header);
    this.leases.overlay.add({ id, live: isEnd ? undefined : { ttlSeconds, deadlineMs } });
    const response = isEnd ? EMPTY_BYTES : this.#secondsResponse(ttlSeconds);
    return this.#answer("effects", response, undefined);
  }

  #secondsResponse(seconds: number): Uint8Array {
    const response = this.#response;
    response.reset();
    response.u53(seconds);
    return response.copy();
  }

  #begin(context: EvaluationContext, out: ByteWriter): void {
    const { revision } = context;
    assert(revision > this.revision && revision > this.#closed, "a revision that is not new");
    assert(this.#overlay.size === 0 || this.#term === context.term, "an overlay of another term");
    this.#term = context.term;
    this.#state.current = revision - 1;
    this.#state.compacted = this.#compacted;
    this.#rows.revision = revision;
    this.#effects.begin(out, revision);
  }

  #finished(context: EvaluationContext, response: Uint8Array | undefined): Evaluation {
    const header = this.#header;
    this.#fillHeader(ENTRY_KINDS.effects, context);
    header.revision = context.revision;
    if (header.closedRevision < context.revision) header.closedRevision = context.revision;
    this.#closed = header.closedRevision;
    this.revision = context.revision;
    this.#effects.finish(header);
    return this.#answer("effects", response, undefined);
  }

  #fillHeader(kind: number, context: EvaluationContext): void {
    const header = this.#header;
    const closed = Math.max(context.closedRevision, this.#closed, this.revision);
    header.kind = kind;
    header.keyspaceId = this.#keyspaceId;
    header.configuration = context.epoch.configuration;
    header.range = context.epoch.range;
    header.term = context.term;
    header.predecessor = this.revision;
    header.revision = this.revision;
    header.closedRevision = closed;
    header.clock = context.clockMs;
    header.effectCount = 0;
    this.#closed = closed;
  }

  #previousResponse(): Uint8Array {
    const response = this.#response;
    response.reset();
    response.u8(1);
    writeKeyValue(response, this.#rows.previous);
    return response.copy();
  }

  #abandoned(error: KvError): Evaluation {
    this.#effects.abandon();
    return this.#refused(error);
  }

  #refused(error: KvError): Evaluation {
    return this.#answer("refused", undefined, error);
  }

  #answer(
    outcome: Evaluation["outcome"],
    response: Uint8Array | undefined,
    error: KvError | undefined,
  ): Evaluation {
    const evaluation = this.#evaluation;
    evaluation.outcome = outcome;
    evaluation.revision = this.revision;
    evaluation.response = response;
    evaluation.error = error;
    return evaluation;
  }
}

function leaseNotOver(): KvError {
  return notApplied("invalidArgument", "the lease has time left");
}
