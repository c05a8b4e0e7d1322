/**
 * A call with the metadata `hasleader`: it is begun once a leader is known and refused where none
 * is, and a stream is cut when there was none for a while. What comes before is kept.
 */
import type { Http2Stream, StreamHandler } from "./http2/stream.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { noLeader } from "./status.js";
import type { StatusError } from "./status.js";

export interface FailingHandler extends StreamHandler {
  fail(error: StatusError): void;
}

export class LedCall implements StreamHandler {
  readonly #stream: Http2Stream;
  readonly #call: FailingHandler;
  #held: Uint8Array[] = [];
  #hasEnded = false;
  #isOpen = false;
  #unfollow: (() => void) | undefined;
  #isClosed = false;

  /** `isStream`: it lasts, and is cut where the leader is lost. */
  constructor(
    leaders: LeaderMonitor,
    stream: Http2Stream,
    call: FailingHandler,
    isStream: boolean,
  ) {
    this.#stream = stream;
    this.#call = call;
    void leaders.hasLeader().then((hasLeader) => {
      if (this.#isClosed) return;
      if (!hasLeader) return call.fail(noLeader());
      if (isStream) this.#unfollow = leaders.followLoss(() => call.fail(noLeader()));
      this.#open();
    });
  }

  data(bytes: Uint8Array): void {
    if (this.#isOpen) return this.#call.data(bytes);
    this.#stream.pause();
    this.#held.push(bytes);
  }

  ended(): void {
    if (this.#isOpen) this.#call.ended();
    else this.#hasEnded = true;
  }

  drained(): void {
    this.#call.drained();
  }

  closed(): void {
    this.#isClosed = true;
    this.#unfollow?.();
    this.#call.closed();
  }

  #open(): void {
    this.#isOpen = true;
    const held = this.#held;
    this.#held = [];
    if (held.length > 0) this.#stream.resume();
    for (const bytes of held) this.#call.data(bytes);
    if (this.#hasEnded) this.#call.ended();
  }
}
