/** The part of the gateway's backend that is about locks and elections, by the SDK's recipes. */
import type { Client } from "../client/client.js";
import { campaign, leaderOf, proclaim, resign } from "../client/election.js";
import { LeaderWatch } from "../client/leader-watch.js";
import type { LeaderSeen } from "../client/leader-watch.js";
import { acquireLock } from "../client/lock.js";
import type { Timer, Timers } from "../env/timers.js";
import type {
  CampaignAnswer,
  LeaderAnswer,
  LeaderKey,
  LeaderStream,
  LineBackend,
  LockAnswer,
  ProclaimAnswer,
} from "../gateway/line-backend.js";
import type { ClientSource } from "./etcd-client-source.js";

/** Of the lease of who brings none, as in etcd. */
const OWN_TTL_SECONDS = 60;
/** How long those who wait have to leave when the node ends; the cluster may not answer. */
const LEAVING_MS = 2000;

type Gone = AbortSignal | undefined;

export class SdkLines implements LineBackend {
  readonly #source: ClientSource;
  /** Those who wait in a line, or are leaving it. */
  readonly #waiting: Set<Promise<unknown>> = new Set();

  constructor(source: ClientSource) {
    this.#source = source;
  }

  lock(name: Uint8Array, lease: bigint, signal: Gone): Promise<LockAnswer> {
    return this.#wait(lease, async (client, own) => {
      const { header, key } = await acquireLock(client, { name, lease: own, signal });
      return { revision: this.#source.noted(header), key };
    });
  }

  async unlock(key: Uint8Array): Promise<number> {
    const client = await this.#source.client();
    return this.#source.noted((await client.delete(key)).header);
  }

  campaign(
    { name, lease, value }: Parameters<LineBackend["campaign"]>[0],
    signal: Gone,
  ): Promise<CampaignAnswer> {
    return this.#wait(lease, async (client, own) => {
      const { header, ...leader } = await campaign(client, { name, lease: own, value, signal });
      return { revision: this.#source.noted(header), leader: { name, ...leader } };
    });
  }

  async proclaim(leader: LeaderKey, value: Uint8Array): Promise<ProclaimAnswer> {
    const { header, isLeader } = await proclaim(await this.#source.client(), leader, value);
    return { revision: this.#source.noted(header), isLeader };
  }

  async leader(name: Uint8Array): Promise<LeaderAnswer | undefined> {
    const { header, kv } = await leaderOf(await this.#source.client(), name);
    const revision = this.#source.noted(header);
    return kv === undefined ? undefined : { revision, kv };
  }

  observe(name: Uint8Array): LeaderStream {
    const opening = this.#source.client().then((client) => new LeaderWatch(client, name));
    return new SdkLeaderStream(this.#source, opening);
  }

  async resign(leader: LeaderKey): Promise<number> {
    const client = await this.#source.client();
    return this.#source.noted((await resign(client, leader)).header);
  }

  /** Resolves when nobody waits any more, or what is left is left to leases. */
  async settled(timers: Timers): Promise<void> {
    if (this.#waiting.size === 0) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => (timer = timers.after(LEAVING_MS, resolve)));
    await Promise.race([Promise.allSettled(this.#waiting), late]);
    timer?.cancel();
  }

  #wait<T>(lease: bigint, run: (client: Client, lease: bigint) => Promise<T>): Promise<T> {
    const waiting = this.#withLease(lease, run);
    this.#waiting.add(waiting);
    const forget = (): void => void this.#waiting.delete(waiting);
    waiting.then(forget, forget);
    return waiting;
  }

  /** A lease that was granted for this lives while it waits, and a last minute from then on. */
  async #withLease<T>(
    lease: bigint,
    run: (client: Client, lease: bigint) => Promise<T>,
  ): Promise<T> {
    const client = await this.#source.client();
    if (lease !== 0n) return run(client, lease);
    const own = await client.keepLease(OWN_TTL_SECONDS);
    try {
      const answer = await run(client, own.id);
      own.release();
      return answer;
    } catch (error) {
      // What cannot be revoked ends by itself.
      await own.revoke().catch(() => undefined);
      throw error;
    }
  }
}

class SdkLeaderStream implements LeaderStream {
  readonly #source: ClientSource;
  readonly #opening: Promise<LeaderWatch>;
  #leaders: AsyncIterator<LeaderSeen> | undefined;

  constructor(source: ClientSource, opening: Promise<LeaderWatch>) {
    this.#source = source;
    this.#opening = opening;
    // Who draws from it hears of a failure.
    opening.catch(() => undefined);
  }

  async next(): Promise<LeaderAnswer | undefined> {
    this.#leaders ??= (await this.#opening)[Symbol.asyncIterator]();
    const result = await this.#leaders.next();
    if (result.done === true) return undefined;
    const { header, kv } = result.value;
    return { revision: this.#source.noted(header), kv };
  }

  cancel(): void {
    this.#opening.then(
      (watch) => watch.cancel(),
      () => undefined,
    );
  }
}
