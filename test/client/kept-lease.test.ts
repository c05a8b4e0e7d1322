/** A lease that is kept alive: when it is renewed, and when it counts as lost. */
import { beforeEach, describe, expect, test } from "vitest";
import { errorOf } from "../support/error-of.js";
import { FakeTimers } from "../support/fake-timers.js";
import { must } from "../../src/base/assert.js";
import { KeptLease } from "../../src/client/kept-lease.js";
import type { LeaseKeepAliveResponse, Leases } from "../../src/client/client-types.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { ResponseHeader } from "../../src/protocol/key-value.js";

const header: ResponseHeader = {
  revision: 1,
  shardId: 2,
  nodeId: 1,
  raftTerm: 1,
  level: "linearizable",
  ageMs: 0,
};

class FakeLeases {
  /** When renewals were asked for. */
  readonly askedMs: number[] = [];
  readonly revoked: bigint[] = [];
  outcome: () => Promise<LeaseKeepAliveResponse> = () => Promise.resolve({ header, ttlSeconds: 9 });
  readonly #timers: FakeTimers;

  constructor(timers: FakeTimers) {
    this.#timers = timers;
  }

  get port(): Leases {
    return {
      grant: async (ttlSeconds, id = 5n) => ({ header, id, ttlSeconds: Math.max(9, ttlSeconds) }),
      keepAlive: () => {
        this.askedMs.push(this.#timers.monotonicMs());
        return this.outcome();
      },
      revoke: async (id) => {
        this.revoked.push(id);
        if (this.revoked.length > 1) throw notApplied("leaseNotFound", "it has ended");
        return { header };
      },
      timeToLive: () => Promise.reject(new Error("nobody asks")),
      list: () => Promise.reject(new Error("nobody asks")),
    };
  }
}

let timers: FakeTimers;
let leases: FakeLeases;
let kept: KeptLease;

beforeEach(async () => {
  timers = new FakeTimers();
  leases = new FakeLeases(timers);
  kept = await KeptLease.grant({ clock: timers, timers }, leases.port, 1);
});

/** Time in steps, so that answers come between. */
async function pass(seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 10; step++) {
    timers.advance(100);
    await Promise.resolve();
    await Promise.resolve();
  }
}

describe("a lease that is kept", () => {
  test("is renewed after each third of what was granted", async () => {
    expect(kept.id).toBe(5n);
    await pass(10);
    expect(leases.askedMs).toEqual([3000, 6000, 9000]);
    await pass(100);
    expect(kept.gone.aborted).toBe(false);
  });

  test("is gone when a renewal finds none", async () => {
    leases.outcome = () => Promise.resolve({ header, ttlSeconds: 0 });
    await pass(3);
    expect(kept.gone.aborted).toBe(true);
    expect(timers.waiting).toBe(0);
  });

  test("outlives failures that are shorter than its time", async () => {
    leases.outcome = () => Promise.reject(notApplied("unavailable", "nobody leads"));
    await pass(8.5);
    leases.outcome = () => Promise.resolve({ header, ttlSeconds: 9 });
    await pass(8);
    expect(kept.gone.aborted).toBe(false);
    expect(leases.askedMs.length).toBeGreaterThan(20);
  });

  test("counts as gone when its time is over since the last renewal was asked for", async () => {
    await pass(3);
    let answer: (outcome: LeaseKeepAliveResponse) => void = () => undefined;
    leases.outcome = () => new Promise((resolve) => (answer = resolve));
    await pass(8.9);
    expect(kept.gone.aborted).toBe(false);
    await pass(0.2);
    expect(kept.gone.aborted).toBe(true);
    answer({ header, ttlSeconds: 9 });
    await pass(20);
    expect([timers.waiting, leases.askedMs.length]).toEqual([0, 2]);
  });

  test("is gone with its client", async () => {
    leases.outcome = () => Promise.reject(notApplied("closed", "the client is closed"));
    await pass(3);
    expect(kept.gone.aborted).toBe(true);
  });

  test("is let go of, or ended, once or twice", async () => {
    kept.release();
    await pass(20);
    expect([timers.waiting, leases.askedMs, kept.gone.aborted]).toEqual([0, [], false]);
    await kept.revoke();
    await kept.revoke();
    expect(leases.revoked).toEqual([5n, 5n]);
  });

  test("says what else is wrong with ending it", async () => {
    const failing: Leases = {
      ...leases.port,
      revoke: () => Promise.reject(new KvError("timeout", "no answer", "unknown")),
    };
    const other = await KeptLease.grant({ clock: timers, timers }, failing, 9);
    expect(await errorOf(must(other).revoke())).toMatchObject({ code: "timeout" });
  });
});
