/**
 * Answers whose count is not complete yet: each turn counts a slice of one of them, so that a range
 * over a million keys holds up neither heartbeats nor other clients.
 */
import { writeU53 } from "../base/coding.js";
import type { CountRest } from "../mvcc/count-rest.js";
import type { KvError } from "../protocol/errors.js";
import type { AnswerFacts, Responder } from "./responder.js";

interface LongRead {
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

  /** `facts` and `body` are the caller's to give away. */
  add(read: LongRead): void {
    this.#reads.push(read);
  }

  /** Counts on with the oldest; answers it when it is done. */
  step(): void {
    const read = this.#reads[0];
    if (read === undefined || !read.rest.step()) return;
    this.#reads.shift();
    writeU53(read.body, read.rest.countAt, read.rest.count);
    const out = read.responder.beginAnswer(read.requestId, read.facts);
    out.raw(read.body);
    read.responder.endAnswer();
  }

  abandon(error: KvError): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) {
      read.rest.close();
      read.responder.failed(read.requestId, error);
    }
  }
}
