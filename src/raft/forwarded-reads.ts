/**
 * Reads that a replica which does not lead has sent on to the leader. Each turn's reads share one
 * request. Its number is never used twice, not even by a later run of this replica: a late answer
 * to an old request must confirm nothing. Hence the numbering starts at a random place.
 */
interface ForwardedRequest {
  readonly request: number;
  readonly deadlineMs: number;
  readonly contexts: readonly number[];
}

const NUMBERING_START_MAX = 2 ** 48;
const NO_CONTEXTS: readonly number[] = [];

export class ForwardedReads {
  #requests: ForwardedRequest[] = [];
  #nextRequest: number;

  constructor(random: () => number) {
    this.#nextRequest = 1 + Math.floor(random() * NUMBERING_START_MAX);
  }

  /** Files the contexts under a new request and returns its number. */
  add(contexts: readonly number[], deadlineMs: number): number {
    const request = this.#nextRequest++;
    this.#requests.push({ request, deadlineMs, contexts });
    return request;
  }

  /** The contexts that an answer to `request` is for. */
  take(request: number): readonly number[] {
    const at = this.#requests.findIndex((each) => each.request === request);
    return at < 0 ? NO_CONTEXTS : this.#requests.splice(at, 1)[0]!.contexts;
  }

  takeAll(): readonly number[] {
    return this.#takeFirst(this.#requests.length);
  }

  takeOverdue(nowMs: number): readonly number[] {
    let count = 0;
    while (count < this.#requests.length && this.#requests[count]!.deadlineMs <= nowMs) count++;
    return this.#takeFirst(count);
  }

  get deadlineMs(): number {
    return this.#requests[0]?.deadlineMs ?? Number.POSITIVE_INFINITY;
  }

  #takeFirst(count: number): readonly number[] {
    if (count === 0) return NO_CONTEXTS;
    return this.#requests.splice(0, count).flatMap((each) => each.contexts);
  }
}
