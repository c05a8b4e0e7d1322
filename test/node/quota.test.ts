/** The quota of the default keyspace: what is refused, and when the bytes are looked up. */
import { expect, test } from "vitest";
import { FREES, Quota, QUOTA_BYTES_DEFAULT } from "../../src/node/quota.js";
import type { AlarmKind } from "../../src/protocol/cluster.js";
import type { Replica } from "../../src/shard/replica.js";

const QUOTA_BYTES = 10_000;
const PUT_BYTES = 744;
/** With what an entry takes beside. */
const ADDED_BYTES = 1000;

class Bench {
  heldBytes = 0;
  looks = 0;
  exceeded = 0;
  readonly raised: Set<AlarmKind> = new Set();
  readonly quota: Quota;
  readonly replica: Replica = this.replicaOf();

  constructor(settingBytes = QUOTA_BYTES) {
    this.quota = new Quota(settingBytes, {
      isRaised: (kind) => this.raised.has(kind),
      heldBytes: () => {
        this.looks++;
        return this.heldBytes;
      },
      exceeded: () => this.exceeded++,
    });
  }

  replicaOf(): Replica {
    return {} as unknown as Replica;
  }

  /** Puts until one is refused; gives how many were not. */
  fill(): number {
    for (let count = 0; count < 100; count++) {
      if (this.quota.refusal(this.replica, PUT_BYTES) !== undefined) return count;
      this.heldBytes += ADDED_BYTES;
    }
    return 100;
  }
}

test("bounds what is stored, and looks at it only near the bound", () => {
  const bench = new Bench();
  expect(bench.fill()).toBe(10);
  expect([bench.looks, bench.exceeded]).toEqual([2, 1]);
  expect(bench.quota.refusal(bench.replica, PUT_BYTES)).toMatchObject({
    code: "noSpace",
    outcome: "notApplied",
  });
  expect(bench.exceeded).toBe(2);
});

test("writes go on where merges have made room, and deletes always do", () => {
  const bench = new Bench();
  bench.fill();
  expect(bench.quota.refusal(bench.replica, 0)).toBeUndefined();
  bench.heldBytes = 6000;
  expect(bench.fill()).toBe(4);
});

test("a replica that is opened anew is looked at again", () => {
  const bench = new Bench();
  bench.fill();
  bench.heldBytes = 0;
  const other = bench.replicaOf();
  expect(bench.quota.refusal(other, PUT_BYTES)).toBeUndefined();
});

test("an alarm refuses as long as it is raised, however little is stored", () => {
  const bench = new Bench(-1);
  bench.raised.add("noSpace");
  expect(bench.quota.refusal(bench.replica, PUT_BYTES)?.code).toBe("noSpace");
  expect(bench.quota.refusal(bench.replica, 0)).toBeUndefined();
  bench.raised.add("corrupt");
  expect(bench.quota.refusal(bench.replica, 0)?.code).toBe("corrupt");
  expect(bench.quota.refusal(bench.replica, FREES)?.code).toBe("corrupt");
  bench.raised.clear();
  expect(bench.fill()).toBe(100);
  expect(bench.exceeded).toBe(0);
});

test("none is none, and nothing said is that of etcd", () => {
  expect([-5, 0, 7].map((setting) => new Bench(setting).quota.quotaBytes)).toEqual([
    -1,
    QUOTA_BYTES_DEFAULT,
    7,
  ]);
  expect(QUOTA_BYTES_DEFAULT).toBe(2_147_483_648);
});

test("of many shards all bytes count, and are not looked up for each that is written", () => {
  const bench = new Bench();
  const others = [bench.replicaOf(), bench.replicaOf()];
  for (let i = 0; i < 3; i++) {
    for (const replica of others) bench.quota.refusal(replica, PUT_BYTES);
  }
  expect(bench.looks).toBe(2);
  bench.heldBytes = QUOTA_BYTES;
  expect(bench.fill()).toBe(0);
});
