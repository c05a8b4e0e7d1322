/**
 * A lease that is kept alive: renewed after each third of its time until it is let go of. Whoever
 * relies on it listens to `gone`, which comes at the latest when the time since the last renewal
 * was asked for is over: from then on the cluster may have ended it, and others may go ahead.
 */
import type { Clock } from "../env/clock.js";
import type { Timer, Timers } from "../env/timers.js";
import { KvError } from "../protocol/errors.js";
import type { LeaseKeepAliveResponse, Leases } from "./client-types.js";

export interface KeeperEnv {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** What is left of a lease's time when a renewal has failed is enough for some more. */
const RETRY_PAUSE_MS = 200;
const RENEWALS_PER_TTL = 3;

export class KeptLease {
  readonly id: bigint;
  readonly #env: KeeperEnv;
  readonly #leases: Leases;
  readonly #gone: AbortController = new AbortController();
  #renewal: Timer | undefined;
  #end: Timer | undefined;
  #isOver = false;

  /** Rejects as `grant` does. */
  static async grant(
    env: KeeperEnv,
    leases: Leases,
    ttlSeconds: number,
    id?: bigint,
  ): Promise<KeptLease> {
    const askedMs = env.clock.monotonicMs();
    const granted = await leases.grant(ttlSeconds, id);
    const kept = new KeptLease(env, leases, granted.id);
    kept.#renewed(askedMs, granted.ttlSeconds);
    return kept;
  }

  private constructor(env: KeeperEnv, leases: Leases, id: bigint) {
    this.#env = env;
    this.#leases = leases;
    this.id = id;
  }

  /** Aborted when the lease has ended, or nobody knows any more whether it has. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** It is renewed no more and ends by itself. */
  release(): void {
    this.#isOver = true;
    this.#renewal?.cancel();
    this.#end?.cancel();
  }

  /** Ends it now and deletes its keys; that it had ended before is as good. */
  async revoke(): Promise<void> {
    this.release();
    try {
      await this.#leases.revoke(this.id);
    } catch (error) {
      if (KvError.from(error).code !== "leaseNotFound") throw error;
    }
  }

  #renewed(askedMs: number, ttlSeconds: number): void {
    const ttlMs = ttlSeconds * 1000;
    const spentMs = this.#env.clock.monotonicMs() - askedMs;
    this.#end?.cancel();
    this.#end = this.#env.timers.after(Math.max(0, ttlMs - spentMs), () => this.#lose());
    this.#renewAfter(Math.max(0, ttlMs / RENEWALS_PER_TTL - spentMs));
  }

  #renewAfter(delayMs: number): void {
    this.#renewal = this.#env.timers.after(delayMs, () => {
      const askedMs = this.#env.clock.monotonicMs();
      this.#leases.keepAlive(this.id).then(
        (answer) => this.#answered(askedMs, answer),
        (error: unknown) => this.#failed(KvError.from(error)),
      );
    });
  }

  #answered(askedMs: number, { ttlSeconds }: LeaseKeepAliveResponse): void {
    if (this.#isOver) return;
    if (ttlSeconds > 0) this.#renewed(askedMs, ttlSeconds);
    else this.#lose();
  }

  #failed({ code }: KvError): void {
    if (this.#isOver) return;
    if (code === "closed") this.#lose();
    else this.#renewAfter(RETRY_PAUSE_MS);
  }

  #lose(): void {
    this.release();
    this.#gone.abort();
  }
}
