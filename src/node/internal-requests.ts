/**
 * Requests of the node itself to a replica it holds: a read or a transaction as a promise. For the
 * placement group's own data and for backups; requests for data never come this way.
 */
import { ByteReader, ByteWriter } from "../base/coding.js";
import type { KvError } from "../protocol/errors.js";
import { decodeTransactionResult } from "../protocol/result-codec.js";
import type { Transaction, TransactionResult } from "../protocol/operations.js";
import { linearizableRead } from "../shard/requests.js";
import type { Replica } from "../shard/replica.js";
import type { AnswerFacts, Responder } from "../shard/responder.js";

export interface InternalAnswer {
  readonly revision: number;
  readonly result: TransactionResult;
}

/** Runs a transaction on a replica that leads; rejects with KvError. */
export function transact(replica: Replica, transaction: Transaction): Promise<InternalAnswer> {
  return new Promise((resolve, reject) => {
    replica.writes.submitTransaction(new PromisedAnswer(resolve, reject), 0, transaction);
  });
}

/** A linearizable read's revision; rejects with KvError. */
export function confirmedRevision(replica: Replica): Promise<number> {
  return new Promise((resolve, reject) => {
    const responder = new PromisedAnswer((answer) => resolve(answer.revision), reject);
    replica.reads.submit(linearizableRead(responder, 0, { transaction: EMPTY_TRANSACTION }));
  });
}

/**
 * Resolves when the replica leads and has applied everything that was acknowledged before, and
 * every write at or below `floorRevision`, where that is not 0.
 */
export async function confirmedTo(replica: Replica, floorRevision: number): Promise<void> {
  if (floorRevision === 0) {
    await confirmedRevision(replica);
    return;
  }
  await new Promise<InternalAnswer>((resolve, reject) => {
    const responder = new PromisedAnswer(resolve, reject);
    const read = linearizableRead(responder, 0, { transaction: EMPTY_TRANSACTION });
    const { reads, writes } = replica;
    reads.submitAtFloor({ ...read, floorRevision }, writes.allocationsBegun);
  });
}

/** Reads the applied state as it is now, confirmed by nobody. */
export function readApplied(replica: Replica, transaction: Transaction): TransactionResult {
  const out = new ByteWriter(4096);
  const error = replica.machine.readTransaction(transaction, 0, out);
  if (error !== undefined) throw error;
  return decodeTransactionResult(new ByteReader(out.bytes, 0, out.length));
}

const EMPTY_TRANSACTION: Transaction = { compares: [], success: [], failure: [] };

class PromisedAnswer implements Responder {
  readonly #resolve: (answer: InternalAnswer) => void;
  readonly #reject: (error: KvError) => void;
  readonly #out = new ByteWriter(64);
  #revision = 0;

  constructor(resolve: (answer: InternalAnswer) => void, reject: (error: KvError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  beginAnswer(_requestId: number, answer: AnswerFacts): ByteWriter {
    this.#revision = answer.revision;
    return this.#out;
  }

  endAnswer(): void {
    const reader = new ByteReader(this.#out.bytes, 0, this.#out.length);
    this.#resolve({ revision: this.#revision, result: decodeTransactionResult(reader) });
  }

  failed(_requestId: number, error: KvError): void {
    this.#reject(error);
  }
}
