/**
 * Reads that no turn of the event loop can afford: counts that are not complete yet, hashes. Each
 * turn does a slice of one of them, in turns, so that a range over a million keys holds up neither
 * heartbeats nor other clients, and a hash of everything no count.
 */
import { writeU53 } from "../base/coding.js";
import type { CountRest } from "../mvcc/count-rest.js";
import type { LogicalHash } from "../mvcc/logical-hash.js";
import type { KvError } from "../protocol/errors.js";
import type { AnswerFacts, Responder } from "./responder.js";

interface LongRead {
  /** True when all is done. */
  step(): boolean;
  answer(): void;
  /** Gives up. */
  fail(error: KvError): void;
}

interface Count {
  readonly responder: Responder;
  readonly requestId: number;
  readonly facts: AnswerFacts;
  readonly body: Uint8Array;
  readonly rest: CountRest;
}

export class LongReads {
  #reads: LongRead[] = [];

  get pending(): boolean {
    return this.#reads.length > 0;
  }

  /** An answer but for its count; `facts` and `body` are the caller's to give away. */
  addCount({ responder, requestId, facts, body, rest }: Count): void {
    this.#reads.push({
      step: () => rest.step(),
      answer: () => {
        writeU53(body, rest.countAt, rest.count);
        const out = responder.beginAnswer(requestId, facts);
        out.raw(body);
        responder.endAnswer();
      },
      fail: (error) => {
        rest.close();
        responder.failed(requestId, error);
      },
    });
  }

  addHash(hash: LogicalHash, done: (outcome: LogicalHash | KvError) => void): void {
    this.#reads.push({
      step: () => hash.step(),
      answer: () => done(hash),
      fail: (error) => {
        hash.close();
        done(error);
      },
    });
  }

  /** Goes on with the one that has waited longest; answers it when it is done. */
  step(): void {
    const read = this.#reads[0];
    if (read === undefined) return;
    const isDone = read.step();
    this.#reads.shift();
    if (isDone) read.answer();
    else this.#reads.push(read);
  }

  abandon(error: KvError): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) read.fail(error);
  }
}
