/** A machine under test: evaluates and applies with text-keyed conveniences. */
import { ByteReader, ByteWriter, readU32 } from "../../src/base/coding.js";
import { concatBytes } from "../../src/base/bytes.js";
import type { Evaluation, EvaluationContext } from "../../src/mvcc/evaluation.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { MvccMachine } from "../../src/mvcc/mvcc-machine.js";
import { KvError } from "../../src/protocol/errors.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import type {
  Compare,
  Operation,
  Transaction,
  TransactionResult,
} from "../../src/protocol/operations.js";
import { PutView } from "../../src/protocol/put-codec.js";
import {
  decodeOptionalKeyValue,
  decodeTransactionResult,
} from "../../src/protocol/result-codec.js";
import { HostileTree } from "./hostile-tree.js";
import { INITIAL, KEYSPACE_ID, PREFIX_LENGTH, TestTree, stored } from "./test-tree.js";

export const TERM = 5;

export class Replica {
  readonly files: TestTree = new TestTree();
  machine: MvccMachine;
  /** Evaluated entries (with their lengths) that are not applied. */
  readonly pending: Uint8Array[] = [];
  index = 0;
  clockMs = 0;

  constructor() {
    this.machine = this.#open(INITIAL);
  }

  /** A machine that knows nothing but what is in the tree; what was not applied is lost. */
  reopen(): void {
    this.pending.length = 0;
    this.machine = this.#open(this.machine.flushedState(this.index, TERM, new Uint8Array(0)));
  }

  context(): EvaluationContext {
    const revision = this.machine.lastEvaluatedRevision + 1;
    const epoch = { configuration: 1, range: 1 };
    return { term: TERM, epoch, revision, closedRevision: 0, clockMs: this.clockMs };
  }

  put(key: Uint8Array, value: Uint8Array, flags = 0): Evaluation {
    const view = new PutView();
    const padding = new Uint8Array(3);
    view.bytes = concatBytes(padding, stored(key), value);
    view.flags = flags;
    view.keyOffset = 3;
    view.keyLength = key.length + PREFIX_LENGTH;
    view.valueOffset = view.keyOffset + view.keyLength;
    view.valueLength = value.length;
    return this.#evaluate((context, out) => this.machine.evaluatePut(view, context, out));
  }

  transaction(txn: Transaction): Evaluation {
    const own = storedTransaction(txn);
    return this.#evaluate((context, out) => this.machine.evaluateTransaction(own, context, out));
  }

  compact(revision: number): Evaluation {
    return this.#evaluate((context, out) => this.machine.evaluateCompact(revision, context, out));
  }

  grant(id: bigint, ttlSeconds: number): Evaluation {
    return this.#evaluate((context, out) =>
      this.machine.evaluateGrant(id, ttlSeconds, context, out),
    );
  }

  renew(id: bigint): Evaluation {
    return this.#evaluate((context, out) => this.machine.evaluateRenewal(id, context, out));
  }

  endLease(id: bigint, onlyIfOver = false): Evaluation {
    return this.#evaluate((context, out) =>
      this.machine.evaluateLeaseEnd(id, onlyIfOver, context, out),
    );
  }

  hashAt(revision: number): number {
    const hash = this.machine.hash(revision);
    if (hash instanceof KvError) throw hash;
    while (!hash.step());
    return hash.value;
  }

  close(): void {
    const out = new ByteWriter();
    this.machine.encodeClose(this.context(), out);
    this.pending.push(out.copy());
  }

  /** Applies the oldest `count` entries of those evaluated; returns their bytes. */
  applyPending(count: number = this.pending.length): Uint8Array[] {
    const entries = this.pending.splice(0, count);
    for (const entry of entries) this.apply(entry);
    return entries;
  }

  apply(entry: Uint8Array): void {
    this.index++;
    this.machine.apply(this.index, TERM, entry, 4, readU32(entry, 0));
  }

  drop(): void {
    this.pending.length = 0;
    this.machine.dropOverlay();
  }

  flush(): void {
    this.files.flush(this.machine.flushedState(this.index, TERM, new Uint8Array(0)));
  }

  read(txn: Transaction, revision = 0): TransactionResult | KvError {
    const out = new ByteWriter();
    const error = this.machine.readTransaction(storedTransaction(txn), revision, out);
    return error ?? decodeTransactionResult(new ByteReader(out.copy()));
  }

  get(key: Uint8Array, revision = 0, keysOnly = false): KeyValue | undefined | KvError {
    const out = new ByteWriter();
    const own = stored(key);
    const error = this.machine.readGet(own, 0, own.length, revision, keysOnly, out);
    return error ?? decodeOptionalKeyValue(new ByteReader(out.copy()));
  }

  #open(initial: FlushedState): MvccMachine {
    return new MvccMachine(new HostileTree(this.files.tree), {
      keyspaceId: KEYSPACE_ID,
      keyPrefixLength: PREFIX_LENGTH,
      initial,
    });
  }

  #evaluate(run: (context: EvaluationContext, out: ByteWriter) => Evaluation): Evaluation {
    const out = new ByteWriter(8);
    out.u32(0xdead_beef);
    const evaluation = run(this.context(), out);
    const entry = out.copy().subarray(4);
    if (evaluation.outcome === "effects") this.pending.push(entry);
    else if (entry.length > 0) throw new Error("bytes were left behind without effects");
    return evaluation;
  }
}

/** The result of an evaluated transaction. */
export function resultOf(evaluation: Evaluation): TransactionResult {
  return decodeTransactionResult(new ByteReader(evaluation.response));
}

export function storedTransaction(txn: Transaction): Transaction {
  return {
    compares: txn.compares.map((one): Compare => ({ ...one, ...storedKeys(one) })),
    success: txn.success.map(storedOperation),
    failure: txn.failure.map(storedOperation),
  };
}

function storedOperation(op: Operation): Operation {
  if (op.kind === "txn") return { kind: "txn", txn: storedTransaction(op.txn) };
  if (op.kind === "put") return { ...op, key: stored(op.key) };
  return { ...op, ...storedKeys(op) };
}

function storedKeys(one: { key: Uint8Array; rangeEnd: Uint8Array | undefined }): {
  key: Uint8Array;
  rangeEnd: Uint8Array | undefined;
} {
  const rangeEnd = one.rangeEnd === undefined ? undefined : stored(one.rangeEnd);
  return { key: stored(one.key), rangeEnd };
}
