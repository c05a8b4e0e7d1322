/**
 * The promises a voter has given: to vote for nobody but one leader until a time. Leader leases
 * rest on them, so they outlive terms and roles. After a restart nobody remembers whom the earlier
 * run promised what; then a hold refuses everybody until any such promise has lapsed.
 */
import type { ReplicaId } from "./types.js";

export class VotePromise {
  /** Nobody gets a vote before this. */
  #heldUntilMs: number;
  #holderId: ReplicaId = 0;
  #untilMs: number = Number.NEGATIVE_INFINITY;

  constructor(holdUntilMs: number) {
    this.#heldUntilMs = holdUntilMs;
  }

  give(holderId: ReplicaId, nowMs: number, untilMs: number): void {
    if (holderId !== this.#holderId) {
      // The former holder may still rely on its promise, and so may the new one.
      if (this.#untilMs > nowMs) this.#heldUntilMs = Math.max(this.#heldUntilMs, this.#untilMs);
      this.#holderId = holderId;
      this.#untilMs = untilMs;
    } else if (untilMs > this.#untilMs) {
      this.#untilMs = untilMs;
    }
  }

  /** The holder says that it relies on its promise no longer. */
  release(holderId: ReplicaId): void {
    if (holderId === this.#holderId) this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  forbidsVoteFor(candidateId: ReplicaId, nowMs: number): boolean {
    return nowMs < this.#heldUntilMs || (nowMs < this.#untilMs && candidateId !== this.#holderId);
  }

  /** When a vote for somebody new is possible at the earliest. */
  get untilMs(): number {
    return Math.max(this.#heldUntilMs, this.#untilMs);
  }
}
