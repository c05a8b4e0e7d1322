/**
 * The state machine of a shard: etcd's data model over a tree. One instance a replica.
 *
 * Leader: evaluate* decide what a request comes to and write the entry to be proposed; nothing is
 * visible to readers until that entry is applied. All replicas: `apply` carries out the effects of
 * one entry blindly, in the order of the log. Reads show the applied state and write straight into
 * the answer. It never looks at a clock, never waits, and knows nothing about Raft but the term and
 * index of what it applies.
 */
import { assert } from "../base/assert.js";
import { DecodeError, readU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { FlushedState } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import type { KvError } from "../protocol/errors.js";
import { KeyValueView, writeKeyValue } from "../protocol/key-value-codec.js";
import type { Transaction } from "../protocol/operations.js";
import type { PutView } from "../protocol/put-codec.js";
import { AppliedState } from "./applied-state.js";
import type { CountRest } from "./count-rest.js";
import {
  EFFECT_TYPES,
  ENTRY_KINDS,
  EffectReader,
  PAYLOAD_HEADER_BYTES,
  PayloadHeader,
  readPayloadHeader,
} from "./effects-format.js";
import type { Evaluation, EvaluationContext } from "./evaluation.js";
import { Evaluator } from "./evaluator.js";
import type { EvaluationMark } from "./evaluator.js";
import { LeaseWriter } from "./lease-writer.js";
import type { LeaseTable } from "./lease-table.js";
import { LogicalHash } from "./logical-hash.js";
import { REVISION_KEY_BYTES, writeRevisionKey } from "./revision-index.js";
import { StateView } from "./state-view.js";
import type { DataTree } from "./state-view.js";
import { readRow } from "./stored-value.js";
import { TransactionRunner } from "./transaction-runner.js";
import { WatchHub } from "./watch-hub.js";

export interface MvccOptions {
  readonly keyspaceId: number;
  /** Bytes of a stored key before the user key: 4, or 6 in a hash keyspace. */
  readonly keyPrefixLength: number;
  readonly initial: FlushedState;
}

export class MvccMachine {
  readonly hub: WatchHub;
  readonly #keyspaceId: number;
  readonly #prefixLength: number;
  #tree: DataTree;
  #applied: AppliedState;
  #evaluator: Evaluator;
  #leases: LeaseWriter;
  #view: StateView;
  #reader: TransactionRunner;
  readonly #header = new PayloadHeader();
  readonly #effect = new EffectReader();
  readonly #indexKey = new Uint8Array(REVISION_KEY_BYTES);
  readonly #row = new KeyValueView();

  constructor(tree: DataTree, options: MvccOptions) {
    this.#keyspaceId = options.keyspaceId;
    this.#prefixLength = options.keyPrefixLength;
    this.#tree = tree;
    this.#applied = new AppliedState(options.initial);
    this.#evaluator = this.#newEvaluator();
    this.#leases = new LeaseWriter(tree, this.#evaluator.leases);
    this.#view = new StateView(tree, undefined);
    this.#reader = new TransactionRunner(this.#view, this.#prefixLength, undefined);
    this.hub = new WatchHub(this, this.#prefixLength);
  }

  get tree(): DataTree {
    return this.#tree;
  }

  get revision(): number {
    return this.#applied.revision;
  }

  get compactedRevision(): number {
    return this.#applied.compactedRevision;
  }

  get closedRevision(): number {
    return this.#applied.closedRevision;
  }

  get appliedIndex(): number {
    return this.#applied.index;
  }

  get logicalClock(): number {
    return this.#applied.logicalClock;
  }

  get lastEvaluatedRevision(): number {
    return this.#evaluator.revision;
  }

  /** The leases that are applied; the first to ask has them read from the tree. */
  get leases(): LeaseTable {
    return this.#evaluator.leases.table;
  }

  /** The same, if they were read already. */
  get leasesInUse(): LeaseTable | undefined {
    return this.#evaluator.leases.tableInUse;
  }

  /** Effects that are evaluated and not applied. */
  get overlaySize(): number {
    return this.#evaluator.overlaySize;
  }

  flushedState(index: number, term: number, configuration: Uint8Array): FlushedState {
    return this.#applied.flushed(index, term, configuration);
  }

  /** An installed snapshot took the place of the data; watchers read on from their positions. */
  reset(tree: DataTree, state: FlushedState): void {
    this.#tree = tree;
    this.#applied = new AppliedState(state);
    this.#evaluator = this.#newEvaluator();
    this.#leases = new LeaseWriter(tree, this.#evaluator.leases);
    this.#view = new StateView(tree, undefined);
    this.#reader = new TransactionRunner(this.#view, this.#prefixLength, undefined);
    this.hub.rereadAll();
  }

  evaluatePut(request: PutView, context: EvaluationContext, out: ByteWriter): Evaluation {
    return this.#evaluator.put(request, context, out);
  }

  evaluateTransaction(txn: Transaction, context: EvaluationContext, out: ByteWriter): Evaluation {
    return this.#evaluator.transaction(txn, context, out);
  }

  /** Ids of leases are not 0; the caller chose one that is likely to be free. */
  evaluateGrant(
    id: bigint,
    ttlSeconds: number,
    context: EvaluationContext,
    out: ByteWriter,
  ): Evaluation {
    return this.#evaluator.grant(id, ttlSeconds, context, out);
  }

  evaluateRenewal(id: bigint, context: EvaluationContext, out: ByteWriter): Evaluation {
    return this.#evaluator.renew(id, context, out);
  }

  /** `onlyIfOver`: refused while the lease has time left. */
  evaluateLeaseEnd(
    id: bigint,
    onlyIfOver: boolean,
    context: EvaluationContext,
    out: ByteWriter,
  ): Evaluation {
    return this.#evaluator.endLease(id, onlyIfOver, context, out);
  }

  /** Writes an entry that carries nothing but the clock. */
  encodeClock(context: EvaluationContext, out: ByteWriter): void {
    this.#evaluator.stampClock(context, out);
  }

  evaluateCompact(revision: number, context: EvaluationContext, out: ByteWriter): Evaluation {
    return this.#evaluator.compact(revision, context, out);
  }

  /** Writes an entry without effects that carries the closed revision and a clock stamp. */
  encodeClose(context: EvaluationContext, out: ByteWriter): void {
    this.#evaluator.close(context, out);
  }

  /** See Evaluator.mark. */
  mark(): EvaluationMark {
    return this.#evaluator.mark();
  }

  /** Proposals were refused: what was evaluated since the mark leaves as a whole. */
  rollback(mark: EvaluationMark): void {
    this.#evaluator.rollback(mark);
  }

  /** Leadership ended: what is not applied leaves as a whole. */
  dropOverlay(): void {
    this.#evaluator.dropOverlay(this.#applied);
  }

  /** Carries out one entry: its payload is bytes[offset, offset + length). */
  apply(index: number, term: number, bytes: Uint8Array, offset: number, length: number): void {
    const header = this.#header;
    const applied = this.#applied;
    readPayloadHeader(bytes, offset, length, header);
    assert(index > applied.index, "an entry is applied twice");
    assert(header.term === term, "an entry was evaluated in another term than it was proposed");
    assert(header.keyspaceId === this.#keyspaceId, "an entry of another keyspace");
    assert(header.predecessor === applied.revision, "an entry does not follow what is applied");
    const hasEffects = header.kind === ENTRY_KINDS.effects;
    if (hasEffects) this.#applyEffects(index, bytes, offset, length);
    else if (header.kind === ENTRY_KINDS.lease) this.#leases.records(index, bytes, offset, length);
    else if (header.kind === ENTRY_KINDS.compact) this.#applyCompact(bytes, offset, length);
    else if (length !== PAYLOAD_HEADER_BYTES) throw new DecodeError("a close entry has a body");
    applied.index = index;
    if (header.closedRevision > applied.closedRevision) {
      applied.closedRevision = header.closedRevision;
    }
    if (header.clock > applied.logicalClock) applied.logicalClock = header.clock;
    this.#evaluator.onApplied(applied, hasEffects);
    if (hasEffects) this.hub.onApplied(header.revision, bytes, offset, length);
  }

  /** An entry without a payload of ours (a no-op, a configuration) was passed. */
  skip(index: number): void {
    assert(index > this.#applied.index, "an entry is passed twice");
    this.#applied.index = index;
  }

  /** Writes "u8 found [key-value]" for the key at `revision` (0: the newest). */
  readGet(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    revision: number,
    keysOnly: boolean,
    out: ByteWriter,
  ): KvError | undefined {
    const view = this.#viewAt(0);
    const refusal = view.refusal(revision);
    if (refusal !== undefined) return refusal;
    const entry = view.find(bytes, keyOffset, keyLength, view.versionMax(revision));
    if (entry === undefined) {
      out.u8(0);
      return undefined;
    }
    const row = this.#row;
    readRow(entry, this.#prefixLength, row);
    if (keysOnly) row.valueLength = 0;
    out.u8(1);
    writeKeyValue(out, row);
    return undefined;
  }

  /**
   * Writes "u8 succeeded | results" of a transaction that only reads, as it would have run at
   * `revision` (0: the newest). A revision above the newest is the caller's promise that no write
   * at or below it is missing here: in a keyspace with many shards, others may have taken it.
   */
  readTransaction(txn: Transaction, revision: number, out: ByteWriter): KvError | undefined {
    const refusal = this.#viewAt(revision).refusal(revision);
    if (refusal !== undefined) return refusal;
    const start = out.length;
    const error = this.#reader.run(txn, out);
    if (error !== undefined) out.length = start;
    return error;
  }

  /** As readTransaction, but the rest of a long count is put aside, for `takeRest`. */
  readSliced(txn: Transaction, revision: number, out: ByteWriter): KvError | undefined {
    const refusal = this.#viewAt(revision).refusal(revision);
    return refusal ?? this.#reader.runSliced(txn, out);
  }

  /** User keys that are attached to a lease, in order. */
  leaseKeys(id: bigint): Uint8Array[] {
    return this.#evaluator.leases.keysOf(id).map((key) => key.subarray(this.#prefixLength));
  }

  takeRest(): CountRest | undefined {
    return this.#reader.takeRest();
  }

  /** Begins a hash of the logical content at a revision (0: the newest that is applied). */
  hash(revision: number): LogicalHash | KvError {
    const refusal = this.#viewAt(0).refusal(revision);
    if (refusal !== undefined) return refusal;
    const asked = revision === 0 ? this.#applied.revision : revision;
    return new LogicalHash(this.#tree, asked, this.#applied.compactedRevision);
  }

  describe(): string {
    const { index, revision, compactedRevision, closedRevision } = this.#applied;
    return (
      `mvcc keyspace ${this.#keyspaceId} index ${index} revision ${revision} ` +
      `compacted ${compactedRevision} closed ${closedRevision} overlay ${this.overlaySize}`
    );
  }

  /** The view of the applied state, as it was at `revision` if that is not 0. */
  #viewAt(revision: number): StateView {
    const view = this.#view;
    const { revision: newest, closedRevision } = this.#applied;
    const current = newest > closedRevision ? newest : closedRevision;
    view.current = revision === 0 ? current : revision;
    view.newest = revision === 0 ? Number.MAX_SAFE_INTEGER : revision;
    view.compacted = this.#applied.compactedRevision;
    return view;
  }

  #applyEffects(index: number, bytes: Uint8Array, offset: number, length: number): void {
    const header = this.#header;
    const effect = this.#effect;
    const tree = this.#tree;
    const indexKey = this.#indexKey;
    const revision = header.revision;
    assert(revision > this.#applied.revision, "revisions must rise");
    assert(revision > this.#applied.closedRevision, "an event at or below the closed revision");
    effect.open(bytes, offset, length);
    let count = 0;
    while (effect.next()) {
      const { keyOffset, keyLength, storedOffset, storedLength } = effect;
      const isTombstone = effect.type === EFFECT_TYPES.tombstone;
      this.#leases.effect(index, effect);
      tree.insert(
        FAMILY.data,
        bytes,
        keyOffset,
        keyLength,
        revision,
        isTombstone,
        bytes,
        storedOffset,
        storedLength,
      );
      writeRevisionKey(indexKey, revision, count);
      tree.insert(
        FAMILY.revisionIndex,
        indexKey,
        0,
        REVISION_KEY_BYTES,
        revision,
        false,
        bytes,
        keyOffset - 1,
        keyLength + 1,
      );
      count++;
    }
    if (count !== header.effectCount) throw new DecodeError("an entry lacks effects");
    if (header.endsLease) this.#leases.ended(index, bytes, offset, length);
    this.#applied.revision = revision;
  }

  #applyCompact(bytes: Uint8Array, offset: number, length: number): void {
    if (length !== PAYLOAD_HEADER_BYTES + 8) throw new DecodeError("a compact entry is cut short");
    const revision = readU53(bytes, offset + PAYLOAD_HEADER_BYTES);
    assert(revision > this.#applied.compactedRevision, "compacted revisions must rise");
    this.#applied.compactedRevision = revision;
  }

  #newEvaluator(): Evaluator {
    return new Evaluator(this.#tree, this.#applied, this.#keyspaceId, this.#prefixLength);
  }
}
