/**
 * The heartbeat rounds of one leader in one term, and the lease that rests on them. A round that
 * a majority echoes proves that nobody else led when it began. A round for which a majority also
 * promised its votes gives the leader a lease, counted from the *start* of the round, because a
 * promise begins later than that, at its receipt.
 *
 * Only durations are compared across machines, never times; the drift ratio and the longest sleep
 * that may go unnoticed bound the error.
 */
import type { RaftConfig } from "./types.js";

export class Rounds {
  readonly #leaseMs: number;
  readonly #trustedLeaseMs: number;
  #latest = 0;
  /** Starts of the rounds from #firstKept on; only those young enough to carry a lease. */
  #startsMs: number[] = [];
  #firstKept = 1;
  /** Promises for this round and all before it count no more. */
  #voidRound = 0;

  constructor(config: RaftConfig) {
    this.#leaseMs = config.leaseMs;
    this.#trustedLeaseMs = config.leaseMs * (1 - config.clockDriftRatio) - config.unnoticedSleepMs;
  }

  get latest(): number {
    return this.#latest;
  }

  get voidRound(): number {
    return this.#voidRound;
  }

  begin(nowMs: number): number {
    this.#latest++;
    if (this.#leaseMs > 0) {
      this.#startsMs.push(nowMs);
      this.#dropOld(nowMs);
    }
    return this.#latest;
  }

  /** When `round` began, if a promise for it can still carry a lease. */
  startMs(round: number): number | undefined {
    if (round <= this.#voidRound || round < this.#firstKept) return undefined;
    return this.#startsMs[round - this.#firstKept];
  }

  leaseUntilMs(quorumStartMs: number): number {
    return quorumStartMs + this.#trustedLeaseMs;
  }

  /** The leader gives up what it was promised so far. */
  voidPromises(): void {
    this.#voidRound = this.#latest;
  }

  #dropOld(nowMs: number): void {
    let drop = 0;
    while (drop < this.#startsMs.length && this.#startsMs[drop]! + this.#leaseMs < nowMs) drop++;
    if (drop === 0) return;
    this.#startsMs.splice(0, drop);
    this.#firstKept += drop;
  }
}
