/** Locks and elections: whose turn it is, and what is left behind by who gives up. */
import { beforeEach, describe, expect, test } from "vitest";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { campaign, leaderOf, proclaim, resign } from "../../src/client/election.js";
import { LeaderWatch } from "../../src/client/leader-watch.js";
import { acquireLock } from "../../src/client/lock.js";
import type { HeldLock } from "../../src/client/lock.js";
import { leaveLine, untilLost } from "../../src/client/waiting-line.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { LineStore } from "./line-store.js";

let store: LineStore;

beforeEach(() => {
  store = new LineStore();
  for (let id = 1n; id <= 20n; id++) store.leases.add(id);
});

function lock(lease: bigint, signal?: AbortSignal): Promise<HeldLock> {
  return acquireLock(store, { name: "m", lease, signal });
}

/** Until one more waits than before: he watches the key before his, and his own. */
async function stands(key: string): Promise<void> {
  await eventually(() => store.keys.includes(key));
}

async function waits(count: number): Promise<void> {
  await eventually(() => store.watches.size === 2 * count);
}

describe("a lock", () => {
  test("that is free is held at once, by a key of the lease's", async () => {
    const held = await lock(15n);
    expect([utf8Text(held.key), held.createRevision]).toEqual(["m/f", 2]);
    expect(store.watches.size).toBe(0);
  });

  test("goes from one to the next in the order in which they came", async () => {
    const order: bigint[] = [];
    let holders = 0;
    let revision = 0;
    const all: Promise<void>[] = [];
    let start: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (start = resolve));
    for (let lease = 1n; lease <= 10n; lease++) {
      const run = async (): Promise<void> => {
        const held = await lock(lease);
        expect(++holders).toBe(1);
        expect(held.createRevision).toBeGreaterThan(revision);
        revision = held.createRevision;
        order.push(lease);
        await started;
        holders--;
        await leaveLine(store, held);
      };
      all.push(run());
      await stands(`m/${lease.toString(16)}`);
    }
    start();
    await Promise.all(all);
    expect(order).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
    expect([store.keys, store.watches.size]).toEqual([[], 0]);
  });

  test("is still held by the lease that holds it", async () => {
    const held = await lock(1n);
    expect((await lock(1n)).createRevision).toBe(held.createRevision);
  });

  test("needs a lease that is there", async () => {
    expect(await errorOf(lock(99n))).toMatchObject({ code: "leaseNotFound" });
    expect(await errorOf(lock(0n))).toMatchObject({ code: "invalidArgument" });
    expect(store.keys).toEqual([]);
  });

  test("goes to the next when its holder's lease ends", async () => {
    await lock(1n);
    const second = lock(2n);
    await waits(1);
    store.endLease(1n);
    expect(utf8Text((await second).key)).toBe("m/2");
  });

  test("does not depend on the history, which may be compacted", async () => {
    const first = await lock(1n);
    const second = lock(2n);
    await waits(1);
    store.compact();
    for (const watch of store.watches) watch.fail(notApplied("compacted", "forgotten"));
    await leaveLine(store, first);
    expect(utf8Text((await second).key)).toBe("m/2");
  });

  test("is taken and given back although answers are lost", async () => {
    let lost = 0;
    store.after = ({ compares }) => {
      if (compares.length === 0 || lost++ % 3 === 2) return;
      throw new KvError("unavailable", "the connection was lost", "unknown");
    };
    const held = await lock(1n);
    expect([store.keys, held.createRevision, lost]).toEqual([["m/1"], 2, 3]);
    await leaveLine(store, held);
    expect([store.keys, lost]).toEqual([[], 6]);
    store.after = () => {
      throw new KvError("unavailable", "the connection was lost", "unknown");
    };
    expect(await errorOf(lock(2n))).toMatchObject({ code: "unavailable", outcome: "unknown" });
  });

  test("is told of when it is lost", async () => {
    const { signal } = new AbortController();
    for (const lose of [() => store.endLease(1n), () => store.deleteKey("m/1")]) {
      store.leases.add(1n);
      const held = await lock(1n);
      const lost = untilLost(store, held, signal);
      await eventually(() => store.watches.size === 1);
      lose();
      await lost;
      await untilLost(store, held, signal);
    }
    expect(store.watches.size).toBe(0);
  });
});

describe("who waits for a lock", () => {
  let first: HeldLock;

  beforeEach(async () => {
    first = await lock(1n);
  });

  test("learns at once that his own lease has ended", async () => {
    const second = errorOf(lock(2n));
    await waits(1);
    store.endLease(2n);
    expect(await second).toMatchObject({ code: "sessionExpired" });
    expect([store.keys, store.watches.size]).toEqual([["m/1"], 0]);
  });

  test("and gives up leaves no key, and those behind him wait for those before him", async () => {
    const abort = new AbortController();
    const second = errorOf(lock(2n, abort.signal));
    await waits(1);
    let isThird = false;
    const third = lock(3n).then(() => (isThird = true));
    await waits(2);
    abort.abort();
    expect(await second).toMatchObject({ code: "cancelled" });
    await eventually(() => store.keys.join() === "m/1,m/3");
    await waits(1);
    expect(isThird).toBe(false);
    await leaveLine(store, first);
    await third;
  });

  test.each([1, 2, 3])("and gives up during request %i leaves no key", async (last) => {
    const abort = new AbortController();
    let requests = 0;
    store.after = () => {
      if (++requests === last) abort.abort();
    };
    // The third request is the look after the first has left.
    const second: Promise<KvError> = errorOf(lock(2n, abort.signal));
    if (last === 3) {
      await waits(1);
      store.deleteKey("m/1");
    }
    expect(await second).toMatchObject({ code: "cancelled" });
    expect(store.keys.filter((key) => key === "m/2")).toEqual([]);
    expect(store.watches.size).toBe(0);
  });

  test("and cannot watch gives up his place, and says why", async () => {
    const second = errorOf(lock(2n));
    await waits(1);
    for (const watch of store.watches) watch.fail(notApplied("closed", "the client is closed"));
    expect(await second).toMatchObject({ code: "closed" });
    expect(store.keys).toEqual(["m/1"]);
  });

  test("leaves to its lease what he cannot delete", async () => {
    const second = errorOf(lock(2n));
    await waits(1);
    store.before = () => {
      throw notApplied("unavailable", "nobody leads");
    };
    for (const watch of store.watches) watch.fail(notApplied("closed", "the client is closed"));
    expect(await second).toMatchObject({ code: "closed" });
    expect(store.keys).toEqual(["m/1", "m/2"]);
  });
});

describe("an election", () => {
  const stand = (lease: bigint, value: string): ReturnType<typeof campaign> =>
    campaign(store, { name: "e", lease, value });
  const proclaimed = async (): Promise<string | undefined> => {
    const { kv } = await leaderOf(store, "e");
    return kv === undefined ? undefined : utf8Text(kv.value);
  };

  test("has no leader before somebody stands, and one after the other then", async () => {
    expect(await proclaimed()).toBeUndefined();
    const first = await stand(1n, "one");
    const second = stand(2n, "two");
    await waits(1);
    expect(await proclaimed()).toBe("one");
    await resign(store, first);
    expect(await second).toMatchObject({ lease: 2n, createRevision: first.createRevision + 1 });
    expect(await proclaimed()).toBe("two");
    await resign(store, await second);
    expect(await proclaimed()).toBeUndefined();
  });

  test("is led by whoever may proclaim", async () => {
    const leader = await stand(1n, "one");
    expect((await proclaim(store, leader, "news")).isLeader).toBe(true);
    expect(await proclaimed()).toBe("news");
    store.deleteKey("e/1");
    expect((await proclaim(store, leader, "late")).isLeader).toBe(false);
    const again = await stand(1n, "again");
    expect((await proclaim(store, leader, "late")).isLeader).toBe(false);
    await resign(store, leader);
    expect(await proclaimed()).toBe("again");
    expect(again.createRevision).toBeGreaterThan(leader.createRevision);
  });

  test("may be stood in again with something else to say", async () => {
    const { createRevision } = await stand(1n, "one");
    expect(await stand(1n, "other")).toMatchObject({ createRevision });
    expect(await proclaimed()).toBe("other");
  });

  test("is watched: each leader, and what he proclaims", async () => {
    const watch = new LeaderWatch(store, "e");
    const seen = watch[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { value, done } = await seen.next();
      return done === true ? "over" : `${utf8Text(value.kv.value)} ${value.header.revision}`;
    };
    const waiting = next();
    await eventually(() => store.watches.size === 1);
    const leader = await stand(1n, "one");
    expect(await waiting).toBe("one 2");
    await proclaim(store, leader, "news");
    expect(await next()).toBe("news 3");
    const second = stand(2n, "two");
    await stands("e/2");
    await resign(store, leader);
    expect(await next()).toBe("two 5");
    await second;
    const again = next();
    await eventually(() => store.watches.size === 1);
    store.compact();
    for (const one of store.watches) one.fail(notApplied("compacted", "forgotten"));
    expect(await again).toBe("two 5");
    const last = next();
    await eventually(() => store.watches.size === 1);
    watch.cancel();
    expect(await last).toBe("over");
    expect(store.watches.size).toBe(0);
  });
});

test("names are bytes, and one that begins another is another line", async () => {
  await acquireLock(store, { name: utf8("a"), lease: 1n });
  await acquireLock(store, { name: "ab", lease: 2n });
  await acquireLock(store, { name: Uint8Array.of(0xff), lease: 3n });
  expect(store.keys.length).toBe(3);
});
