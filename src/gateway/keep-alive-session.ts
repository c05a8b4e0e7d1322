/**
 * One stream of keep-alives. Requests go to the backend as they come, many at once; their answers
 * leave in the order of the requests. A client that does not read is not read from.
 */
import type { AnswerSink, CallSession } from "./answer-stream.js";
import type { HeaderWriter } from "./kv-responses.js";
import type { KeepAliveAnswer, LeaseBackend } from "./lease-backend.js";
import { leaseFrame, readLeaseId } from "./lease-messages.js";
import { statusOf } from "./status.js";
import type { StatusError } from "./status.js";
import { WireReader } from "./wire.js";

/** Beyond so many requests without an answer no more is read. */
const OUTSTANDING_MAX = 256;

/** A request whose turn to be answered may not have come. */
interface Outstanding {
  readonly id: bigint;
  outcome: KeepAliveAnswer | StatusError | undefined;
}

export class KeepAliveSession implements CallSession {
  readonly #backend: LeaseBackend;
  readonly #header: HeaderWriter;
  readonly #sink: AnswerSink;
  readonly #outstanding: Outstanding[] = [];
  #resume: () => void = nobody;
  #isFinished = false;
  #isClosed = false;

  constructor(backend: LeaseBackend, header: HeaderWriter, sink: AnswerSink) {
    this.#backend = backend;
    this.#header = header;
    this.#sink = sink;
  }

  request(message: Uint8Array): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    const one: Outstanding = { id: readLeaseId(new WireReader(message)), outcome: undefined };
    this.#outstanding.push(one);
    this.#backend.keepAlive(one.id).then(
      (answer) => this.#settle(one, answer),
      (error: unknown) => this.#settle(one, statusOf(error)),
    );
    const isFull = this.#outstanding.length >= OUTSTANDING_MAX;
    return isFull || !this.#sink.hasRoom ? this.#room() : undefined;
  }

  finish(): void {
    this.#isFinished = true;
    this.#endIfDone();
  }

  close(): void {
    this.#isClosed = true;
    this.#resume();
  }

  async #room(): Promise<void> {
    while (this.#outstanding.length >= OUTSTANDING_MAX && !this.#isClosed) {
      await new Promise<void>((resolve) => (this.#resume = resolve));
    }
    await this.#sink.room();
  }

  #settle(one: Outstanding, outcome: KeepAliveAnswer | StatusError): void {
    one.outcome = outcome;
    if (one === this.#outstanding[0]) this.#answer();
  }

  /** All that nothing stands before. */
  #answer(): void {
    for (let one = this.#outstanding[0]; one?.outcome !== undefined; one = this.#outstanding[0]) {
      if (this.#isClosed) return;
      const { id, outcome } = one;
      this.#outstanding.shift();
      if (outcome instanceof Error) {
        this.close();
        return this.#sink.fail(outcome);
      }
      this.#sink.write(leaseFrame(this.#header, id, outcome));
    }
    this.#resume();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#isFinished && !this.#isClosed && this.#outstanding.length === 0) this.#sink.end();
  }
}

function nobody(): void {}
