/**
 * Writes down what a workload asks and hears: each operation when it is called, and again when it
 * completes. It judges nothing. An error is `fail` where the store says that nothing happened, or
 * where nothing could have (a read); otherwise it is `info`, and its process goes on under another
 * number.
 */
import type { Clock } from "../../src/env/clock.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Operation } from "../history.js";

export interface Asked {
  readonly type: string;
}

export type Entry<Request, Answer> = Operation<Request, Answer> & { readonly error?: string };

/** Who asks: an actor, as far as a log cares. */
interface Asker {
  process: number;
}

export type Recorded = Entry<Asked, unknown>;

/** More clients than a run ever has. */
const CLIENTS = 1000;

export class HistoryLog<Request extends Asked, Answer> {
  readonly operations: Entry<Request, Answer>[] = [];
  readonly #clock: Clock;
  readonly #isRead: (request: Request) => boolean;

  constructor(clock: Clock, isRead: (request: Request) => boolean) {
    this.#clock = clock;
    this.#isRead = isRead;
  }

  /** The answer, or undefined where there was an error. */
  async run(
    actor: Asker,
    request: Request,
    ask: () => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const call = { process: actor.process, request, calledAt: this.#clock.monotonicMs() };
    const at = this.operations.push({ ...call, kind: "info" }) - 1;
    try {
      const answer = await ask();
      const completedAt = this.#clock.monotonicMs();
      this.operations[at] = { ...call, kind: "ok", completedAt, answer };
      return answer;
    } catch (error) {
      const { code, outcome } = refusalOf(error);
      const completedAt = this.#clock.monotonicMs();
      const isNothing = outcome === "notApplied" || this.#isRead(request);
      if (!isNothing) actor.process += CLIENTS;
      const kind = isNothing ? "fail" : "info";
      this.operations[at] = { ...call, kind, completedAt, error: code };
      return undefined;
    }
  }

  /** As `run`, and the error is handed on to who has to know it. */
  async ask(actor: Asker, request: Request, ask: () => Promise<Answer>): Promise<Answer> {
    let failure: unknown;
    const answer = await this.run(actor, request, () =>
      ask().catch((error: unknown) => {
        failure = error;
        throw error;
      }),
    );
    if (answer === undefined) throw failure;
    return answer;
  }

  /** As `run`, for what has to be served in the end: rejects where it was not. */
  async must(actor: Asker, request: Request, ask: () => Promise<Answer>): Promise<Answer> {
    const answer = await this.run(actor, request, ask);
    if (answer !== undefined) return answer;
    throw new NotServed(`${request.type}: ${this.operations.at(-1)?.error ?? "no answer"}`);
  }
}

/** Asked again it may be. */
export class NotServed extends Error {}

/** What a client may be told; anything else is a bug. */
export function refusalOf(error: unknown): KvError {
  if (error instanceof KvError) return error;
  throw error;
}
