/** Leases, locks and elections for tests of the gateway, which give the answers. */
import { bytesOf } from "../support/bytes-of.js";
import type {
  GrantAnswer,
  KeepAliveAnswer,
  LeaseBackend,
  LeasesAnswer,
  TimeToLiveAnswer,
} from "../../src/gateway/lease-backend.js";
import type {
  CampaignAnswer,
  LeaderAnswer,
  LeaderKey,
  LeaderStream,
  LineBackend,
  LockAnswer,
  ProclaimAnswer,
} from "../../src/gateway/line-backend.js";
import { notApplied } from "../../src/protocol/errors.js";

/** A keep-alive that nobody has answered yet. */
export interface AskedKeepAlive {
  readonly id: bigint;
  answer(ttlSeconds: number): void;
  fail(error: Error): void;
}

export class FakeLeases implements LeaseBackend {
  readonly granted: { readonly ttlSeconds: number; readonly id: bigint }[] = [];
  readonly revoked: bigint[] = [];
  readonly keepAlives: AskedKeepAlive[] = [];
  /** What a renewal answers at once; undefined: it waits to be answered by hand. */
  ttlSeconds: number | undefined = 60;

  async grant(ttlSeconds: number, id: bigint): Promise<GrantAnswer> {
    if (ttlSeconds > 9e9) throw notApplied("leaseTtlTooLarge", "too long");
    if (id === 7n) throw notApplied("leaseExists", "it exists");
    this.granted.push({ ttlSeconds, id });
    return { revision: 5, id: id === 0n ? 2n ** 62n : id, ttlSeconds: Math.max(2, ttlSeconds) };
  }

  async revoke(id: bigint): Promise<number> {
    if (id === 404n) throw notApplied("leaseNotFound", "unknown");
    this.revoked.push(id);
    return 6;
  }

  keepAlive(id: bigint): Promise<KeepAliveAnswer> {
    const { ttlSeconds: now } = this;
    return new Promise((resolve, reject) => {
      const answer = (ttlSeconds: number): void => resolve({ revision: 5, ttlSeconds });
      this.keepAlives.push({ id, answer, fail: reject });
      if (now !== undefined) answer(id === 404n ? 0 : now);
    });
  }

  async timeToLive(id: bigint, keys: boolean): Promise<TimeToLiveAnswer> {
    if (id === 404n) return { revision: 5, ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] };
    const attached = keys ? [bytesOf("a"), bytesOf("b")] : [];
    return { revision: 5, ttlSeconds: 59, grantedTtlSeconds: 60, keys: attached };
  }

  async list(): Promise<LeasesAnswer> {
    return { revision: 5, ids: [3n, 2n ** 64n - 1n] };
  }
}

/** Somebody who waits for a lock, or to lead. */
export interface Waiting {
  readonly name: Uint8Array;
  readonly lease: bigint;
  readonly signal: AbortSignal | undefined;
  take(): void;
  fail(error: Error): void;
}

export class FakeLeaders implements LeaderStream {
  isCancelled = false;
  #given: LeaderAnswer[] = [];
  #wake: () => void = () => undefined;

  give(answer: LeaderAnswer): void {
    this.#given.push(answer);
    this.#wake();
  }

  async next(): Promise<LeaderAnswer | undefined> {
    while (this.#given.length === 0 && !this.isCancelled) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#given.shift();
  }

  cancel(): void {
    this.isCancelled = true;
    this.#wake();
  }
}

export class FakeLines implements LineBackend {
  readonly waiting: Waiting[] = [];
  readonly unlocked: Uint8Array[] = [];
  readonly resigned: LeaderKey[] = [];
  readonly proclaimed: { readonly leader: LeaderKey; readonly value: Uint8Array }[] = [];
  readonly observed: FakeLeaders[] = [];
  /** The only election that has a leader is that of this key's name. */
  present: LeaderAnswer | undefined;

  lock(name: Uint8Array, lease: bigint, signal: AbortSignal | undefined): Promise<LockAnswer> {
    return this.#wait(name, lease, signal, { revision: 8, key: bytesOf("m/1f") });
  }

  async unlock(key: Uint8Array): Promise<number> {
    this.unlocked.push(key);
    return 9;
  }

  campaign(
    { name, lease }: { readonly name: Uint8Array; readonly lease: bigint },
    signal: AbortSignal | undefined,
  ): Promise<CampaignAnswer> {
    const leader = { name, key: bytesOf("e/1f"), createRevision: 8, lease };
    return this.#wait(name, lease, signal, { revision: 9, leader });
  }

  async proclaim(leader: LeaderKey, value: Uint8Array): Promise<ProclaimAnswer> {
    this.proclaimed.push({ leader, value });
    return { revision: 9, isLeader: leader.createRevision === 8 };
  }

  async leader(): Promise<LeaderAnswer | undefined> {
    return this.present;
  }

  observe(): FakeLeaders {
    const leaders = new FakeLeaders();
    this.observed.push(leaders);
    return leaders;
  }

  async resign(leader: LeaderKey): Promise<number> {
    this.resigned.push(leader);
    return 9;
  }

  #wait<T>(name: Uint8Array, lease: bigint, signal: Waiting["signal"], answer: T): Promise<T> {
    return new Promise((resolve, reject) => {
      const take = (): void => resolve(answer);
      this.waiting.push({ name, lease, signal, take, fail: reject });
    });
  }
}
