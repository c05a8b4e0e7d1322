/**
 * A client that lives by leases: it is granted one, puts a key with it, renews it for a while and
 * then lets it go, or revokes it, again and again. Its keys are its own, so that it knows when each
 * has to be there: until the time of the last renewal that was answered is over, however often the
 * leader changes; and once nothing renews it any more, not for ever.
 */
import type { Prng } from "../../src/base/prng.js";
import { utf8Text } from "../../src/base/bytes.js";
import type { Client } from "../../src/client/client.js";
import { KvError } from "../../src/protocol/errors.js";

/** Keys of leases; what else is known of writes does not hold for them. */
export const LEASE_KEY_PREFIX = "lease/";

const TTL_SECONDS_MIN = 2;
const TTL_SECONDS_MAX = 6;
/** What clocks may run fast, and something over. */
const CLOCK_RATE_MAX = 1.01;
const REVOCATIONS = 0.3;
const RENEWALS_MAX = 6;

export interface HolderParts {
  readonly client: Pick<Client, "get" | "put" | "leases">;
  readonly name: string;
  readonly prng: Prng;
  readonly nowMs: () => number;
  readonly pause: (forMs: number) => Promise<void>;
  /** Whether to begin no more leases. */
  readonly isStopping: () => boolean;
}

interface Held {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly key: string;
  /** True time until which its key must be there. */
  untilMs: number;
  isPut: boolean;
  /** It was asked to be revoked. */
  isOver: boolean;
}

export class LeaseHolder {
  /** What it saw that must not be; undefined where nothing was. */
  fault: string | undefined;
  /** Leases whose keys were seen to be there as long as they had to, and then gone. */
  completed = 0;
  #finished = false;
  #count = 0;
  readonly #parts: HolderParts;

  constructor(parts: HolderParts) {
    this.#parts = parts;
  }

  get finished(): boolean {
    return this.#finished;
  }

  async run(): Promise<void> {
    while (!this.#parts.isStopping()) {
      await this.#pause(1);
      const held = await this.#granted();
      if (held === undefined) continue;
      await this.#hold(held);
      await this.#untilGone(held);
      this.completed++;
    }
    this.#finished = true;
  }

  async #granted(): Promise<Held | undefined> {
    const { client, prng, nowMs, name } = this.#parts;
    const ttlSeconds = prng.between(TTL_SECONDS_MIN, TTL_SECONDS_MAX);
    const callMs = nowMs();
    const granted = await heard(client.leases.grant(ttlSeconds));
    if (granted === undefined) return undefined;
    const key = `${LEASE_KEY_PREFIX}${name}/${++this.#count}`;
    const { id } = granted;
    const untilMs = callMs + lifeMs(granted.ttlSeconds);
    return { id, ttlSeconds: granted.ttlSeconds, key, untilMs, isPut: false, isOver: false };
  }

  async #hold(held: Held): Promise<void> {
    const { client, prng, isStopping } = this.#parts;
    // What is unknown of it may be there, and then goes with the lease.
    const put = await heard(client.put(held.key, held.key, { lease: held.id }));
    held.isPut = put !== undefined;
    const renewals = prng.between(0, RENEWALS_MAX);
    for (let i = 0; i < renewals && !isStopping(); i++) {
      await this.#pause(held.ttlSeconds * 600 * prng.fraction());
      await this.#look(held);
      if (!(await this.#renew(held))) return;
    }
    if (!prng.chance(REVOCATIONS)) return;
    held.isOver = true;
    if ((await heard(client.leases.revoke(held.id))) === undefined) return;
    if ((await this.#isThere(held)) === true)
      this.#wrong(held, "is there after its lease was revoked");
  }

  /** False where the lease is no more. */
  async #renew(held: Held): Promise<boolean> {
    const { client, nowMs } = this.#parts;
    const callMs = nowMs();
    const answer = await heard(client.leases.keepAlive(held.id));
    if (answer === undefined) return true;
    if (answer.ttlSeconds === 0) {
      if (nowMs() < held.untilMs) this.#wrong(held, "has no lease any more, before its time");
      return false;
    }
    held.untilMs = Math.max(held.untilMs, callMs + lifeMs(answer.ttlSeconds));
    return true;
  }

  async #look(held: Held): Promise<void> {
    const { client, nowMs } = this.#parts;
    const isThere = await this.#isThere(held);
    const isDue = !held.isOver && nowMs() < held.untilMs;
    if (isThere === false && isDue && held.isPut) this.#wrong(held, "is gone before its time");
    const state = await heard(client.leases.timeToLive(held.id, { keys: true }));
    if (state === undefined || held.isOver || nowMs() >= held.untilMs) return;
    if (state.ttlSeconds < 0) this.#wrong(held, "has a lease that is said to be no more");
    const keys = state.keys.map(utf8Text).join();
    if (held.isPut && keys !== held.key) this.#wrong(held, `is not what its lease has: ${keys}`);
  }

  /** Whatever became of the lease, it ends, and its key with it. */
  async #untilGone(held: Held): Promise<void> {
    for (;;) {
      await this.#look(held);
      if ((await this.#isThere(held)) === false && this.#parts.nowMs() >= held.untilMs) return;
      if (held.isOver && (await this.#isThere(held)) === false) return;
      await this.#pause(held.ttlSeconds * 200);
    }
  }

  /** undefined where nobody said. */
  async #isThere({ key }: Held): Promise<boolean | undefined> {
    const answer = await heard(this.#parts.client.get(key));
    return answer === undefined ? undefined : answer.kv !== undefined;
  }

  #wrong({ key, id }: Held, text: string): void {
    this.fault ??= `${key} of lease ${id.toString(16)} ${text}, at ${this.#parts.nowMs()}`;
  }

  #pause(meanMs: number): Promise<void> {
    return this.#parts.pause(Math.max(1, meanMs));
  }
}

/** How long a promise of the cluster holds by true time, whoever's clock it was made by. */
function lifeMs(ttlSeconds: number): number {
  return (ttlSeconds * 1000) / CLOCK_RATE_MAX;
}

/** The answer; undefined where it was refused or never came. */
async function heard<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KvError) return undefined;
    throw error;
  }
}
