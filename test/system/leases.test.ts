/** Leases on real nodes: they run out, live on renewals, and outlive their leader as they were. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import type { Client, KeyspaceOptions, WatchItem } from "../../src/client/index.js";
import type { Operation } from "../../src/protocol/operations.js";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const SHARDED: KeyspaceOptions = { name: "sharded", kind: "range", splitPoints: ["m"] };

let cluster: TestCluster;
let client: Client;

beforeAll(async () => {
  cluster = await TestCluster.start();
  client = await connect({ endpoints: cluster.endpoints });
  await eventually(() => client.put("ready", "yes"));
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

/** Until the keys of a lease are gone; gives how long that took and all events at once. */
async function deletionOf(prefix: string, since: number): Promise<WatchItem> {
  const watch = client.watch({ key: prefix, prefix: true, startRevision: since });
  for await (const item of watch) {
    if (!("events" in item) || item.events[0]?.type !== "delete") continue;
    watch.cancel();
    return item;
  }
  throw new Error("the watch ended");
}

async function exists(key: string): Promise<boolean> {
  return (await client.get(key)).kv !== undefined;
}

describe("a lease", () => {
  test("that has all the keys it can have refuses more at once, and keeps those", async () => {
    const { id } = await client.leases.grant(60);
    const key = (n: number): string => `full/${n}/${"k".repeat(60_000)}`;
    const put = (n: number): Operation => ({
      kind: "put",
      key: utf8(key(n)),
      value: utf8(""),
      lease: id,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    });
    const twenty = async (from: number): Promise<unknown> => {
      const success = Array.from({ length: 20 }, (_, i) => put(from + i));
      return client.txn({ compares: [], success, failure: [] });
    };
    await twenty(0);
    await twenty(20);
    const refusal = await errorOf(twenty(40));
    expect(refusal).toMatchObject({ code: "leaseFull", outcome: "notApplied" });
    await client.put(key(1), "again", { lease: id });
    const { header } = await client.leases.revoke(id);
    expect((await client.range({ key: "full/", prefix: true })).count).toBe(0);
    const kept = { key: "full/", prefix: true, revision: header.revision - 1, countOnly: true };
    expect((await client.range(kept)).count).toBe(40);
  }, 30_000);

  test("that runs out takes all its keys with it, in one revision", async () => {
    const { id, ttlSeconds } = await client.leases.grant(2);
    expect(ttlSeconds).toBe(2);
    const startMs = performance.now();
    for (const key of ["gone/1", "gone/2", "gone/3"]) await client.put(key, "x", { lease: id });
    const { header } = await client.put("gone/not", "stays");
    const item = await deletionOf("gone/", header.revision);
    expect("events" in item && item.events.map((one) => utf8Text(one.kv.key))).toEqual([
      "gone/1",
      "gone/2",
      "gone/3",
    ]);
    expect(performance.now() - startMs).toBeGreaterThan(1990);
    expect(await exists("gone/not")).toBe(true);
    expect((await client.leases.timeToLive(id)).ttlSeconds).toBe(-1);
    expect((await client.leases.keepAlive(id)).ttlSeconds).toBe(0);
    expect(await errorOf(client.leases.revoke(id))).toMatchObject({ code: "leaseNotFound" });
  });

  test("lives as long as it is renewed", async () => {
    const { id } = await client.leases.grant(2);
    await client.put("kept", "x", { lease: id });
    const untilMs = performance.now() + 3500;
    while (performance.now() < untilMs) {
      expect((await client.leases.keepAlive(id)).ttlSeconds).toBe(2);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(await exists("kept")).toBe(true);
    await client.leases.revoke(id);
    expect(await exists("kept")).toBe(false);
  });

  test("says what is left of it, and which keys it has", async () => {
    const { id } = await client.leases.grant(100);
    await client.put("held/b", "x", { lease: id });
    await client.put("held/a", "x", { lease: id });
    await client.put("held/c", "x", { lease: id });
    await client.put("held/c", "x");
    const state = await client.leases.timeToLive(id, { keys: true });
    expect(state.grantedTtlSeconds).toBe(100);
    expect([98, 99]).toContain(state.ttlSeconds);
    expect(state.keys.map(utf8Text)).toEqual(["held/a", "held/b"]);
    const shorter = await client.leases.grant(50);
    const { ids } = await client.leases.list();
    expect(ids.indexOf(shorter.id)).toBeLessThan(ids.indexOf(id));
    await client.leases.revoke(id);
    expect((await client.range({ key: "held/", prefix: true })).kvs.length).toBe(1);
  });

  test("is refused where it is there already, too long, unknown or of many shards", async () => {
    const { id } = await client.leases.grant(60, 77n);
    expect(id).toBe(77n);
    expect(await errorOf(client.leases.grant(60, 77n))).toMatchObject({ code: "leaseExists" });
    expect(await errorOf(client.leases.grant(1e12))).toMatchObject({ code: "leaseTtlTooLarge" });
    expect(await errorOf(client.put("k", "v", { lease: 78n }))).toMatchObject({
      code: "leaseNotFound",
    });
    await client.admin.createKeyspace(SHARDED);
    const sharded = client.keyspace(SHARDED.name);
    expect(await errorOf(sharded.leases.grant(60))).toMatchObject({ code: "unsupported" });
  });

  test("is kept by the transaction that guards a key with it", async () => {
    const { id } = await client.leases.grant(60);
    const key = utf8("guarded");
    const put = {
      kind: "put",
      key,
      value: utf8("mine"),
      lease: id,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    } as const;
    const target = { kind: "create", value: 0 } as const;
    const compares = [{ key, rangeEnd: undefined, result: "equal", target }] as const;
    const claim = { compares, success: [put], failure: [] };
    expect((await client.txn(claim)).succeeded).toBe(true);
    expect((await client.txn(claim)).succeeded).toBe(false);
    await client.leases.revoke(id);
    expect((await client.txn({ ...claim, success: [{ ...put, lease: 0n }] })).succeeded).toBe(true);
  });
});

describe("a leader that crashes", () => {
  test("leaves leases as they were: neither over too early nor begun anew", async () => {
    const renewed = await client.leases.grant(6);
    const old = await client.leases.grant(6);
    await client.put("after/renewed", "x", { lease: renewed.id });
    await client.put("after/old", "x", { lease: old.id });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const { header } = await client.leases.keepAlive(renewed.id);
    const renewedMs = performance.now();
    const leader = cluster.nameOf(header.nodeId);
    await cluster.crashNode(leader);
    await eventually(() => client.put("after/probe", "x"));
    const left = await client.leases.timeToLive(old.id);
    expect(left.header.nodeId).not.toBe(header.nodeId);
    expect(left.ttlSeconds).toBeLessThanOrEqual(3);
    await eventually(async () => !(await exists("after/old")));
    expect(await exists("after/renewed")).toBe(true);
    await eventually(async () => !(await exists("after/renewed")), 15_000);
    expect(performance.now() - renewedMs).toBeGreaterThan(6000);
    await cluster.startNode(leader);
  }, 30_000);
});
