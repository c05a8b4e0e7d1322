/** Watches: order, resumption after broken connections, merging over shards, slow readers. */
import { describe, expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import type { Watch } from "../../src/client/watch.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { KvError } from "../../src/protocol/errors.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { storedKey } from "../../src/route/stored-key.js";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { FakeCluster, preload } from "../support/fake-cluster.js";
import { FakeTimers } from "../support/fake-timers.js";
import { testEnv, turnsUntil } from "../support/test-env.js";

const PLANS = [
  { name: "default", kind: "range", cuts: [] },
  { name: "docs", kind: "range", cuts: ["g", "p"] },
  { name: "files", kind: "hash", cuts: 4 },
] as const;

interface Setting {
  readonly cluster: FakeCluster;
  readonly client: Client;
}

async function setting(): Promise<Setting> {
  const cluster = await FakeCluster.start(PLANS);
  const env = testEnv({ time: "real", network: cluster.network });
  return { cluster, client: await connectBy(env, { endpoints: cluster.endpoints }) };
}

/** The next items as "revision:key,key" or "progress revision". */
async function take(watch: Watch, count: number): Promise<readonly string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value } = await watch.next();
    if (value === undefined) break;
    if ("progress" in value) taken.push(`progress ${value.progress}`);
    else taken.push(`${value.revision}:${value.events.map((e) => textOf(e.kv.key)).join(",")}`);
  }
  return taken;
}

function write(cluster: FakeCluster, keyspace: string, ...keys: readonly string[]): void {
  const history = cluster.history(keyspace);
  const descriptor = cluster.keyspace(keyspace);
  history.write(
    keys.map((key) => ({ key: storedKey(descriptor, bytesOf(key)), value: bytesOf("v") })),
  );
  cluster.pumpWatches();
}

describe("a watch of one shard", () => {
  test("brings what comes after its start, revision by revision", async () => {
    const { cluster, client } = await setting();
    preload(cluster, "default", ["a1", "a2"]);
    const watch = client.watch({ key: "a", prefix: true });
    expect(await watch.started).toBe(4);
    write(cluster, "default", "a3", "a4");
    write(cluster, "default", "b");
    await client.delete("a3");
    expect(await take(watch, 2)).toEqual(["4:a3,a4", "6:a3"]);
    watch.cancel();
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    await turnsUntil(() => cluster.watchCount === 0);
  });

  test("begins with history where a revision is named, with previous values", async () => {
    const { cluster, client } = await setting();
    preload(cluster, "default", ["k", "k", "k"]);
    const watch = client.watch({ key: "k", startRevision: 3, prevKv: true });
    const first = await watch.next();
    if (first.value === undefined || !("events" in first.value)) throw new Error("no events");
    expect(first.value.events[0]!.prevKv!.modRevision).toBe(2);
    expect(await take(watch, 1)).toEqual(["4:k"]);
    watch.cancel();
  });

  test("goes on after its connection broke, with nothing twice and nothing lost", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "k", prefix: true, startRevision: 2 });
    const leader = cluster.leaderOf(100);
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      write(cluster, "default", `k${i}`);
      expected.push(`${i + 2}:k${i}`);
      if (i % 5 === 2) cluster.network.cut(cluster.addressOf(leader));
      if (i === 11) await cluster.stopNode(leader);
    }
    expect(await take(watch, 20)).toEqual(expected);
    watch.cancel();
  });

  test("brings a revision in one, also where its parts broke off with their connection", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "k", prefix: true, startRevision: 2 });
    await turnsUntil(() => cluster.watchCount === 1);
    const { watchParts } = cluster;
    watchParts.eventsMax = 1;
    watchParts.left = 2;
    write(cluster, "default", "k1", "k2", "k3");
    await turnsUntil(() => watchParts.left === 0);
    expect(watch.take()).toBeUndefined();
    watchParts.left = Infinity;
    cluster.network.cut(cluster.addressOf(cluster.leaderOf(100)));
    write(cluster, "default", "k4");
    expect(await take(watch, 2)).toEqual(["2:k1,k2,k3", "3:k4"]);
    watch.cancel();
  });

  test("fails with the bound where its start was compacted", async () => {
    const { cluster, client } = await setting();
    preload(cluster, "default", ["a", "b", "c"]);
    await client.compact(3);
    const watch = client.watch({ key: "a", startRevision: 2 });
    const error: unknown = await watch.next().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KvError);
    expect([(error as KvError).code, (error as KvError).details.bound]).toEqual(["compacted", 3]);
    expect((await watch.next()).done).toBe(true);
  });

  test("says how far it is where that is asked for", async () => {
    const { cluster, client } = await setting();
    preload(cluster, "default", ["x", "y"]);
    const watch = client.watch({ key: "a", startRevision: 2, progress: true });
    expect(await take(watch, 1)).toEqual(["progress 3"]);
    watch.cancel();
  });

  test("leaves a replica that has fallen silent", async () => {
    const cluster = await FakeCluster.start(PLANS);
    const fake = new FakeTimers();
    const timers = {
      after: (delayMs: number, run: () => void) => fake.after(delayMs, run),
      endOfTurn: (run: () => void) => nodeTimers.endOfTurn(run),
    };
    const env = { ...testEnv({ network: cluster.network }), clock: fake, timers };
    const client = await connectBy(env, { endpoints: cluster.endpoints });
    const watch = client.watch({ key: "k", startRevision: 2, progress: true });
    await turnsUntil(() => cluster.watchCount === 1);
    cluster.network.silent.add(cluster.addressOf(cluster.leaderOf(100)));
    write(cluster, "default", "k");
    const streams = (): number => {
      return cluster.seen.filter((one) => one.type === MESSAGE_TYPES.watch).length;
    };
    for (let second = 0; second < 16 && streams() === 1; second++) {
      fake.advance(1000);
      await turnsUntil(() => true);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await take(watch, 1)).toEqual(["2:k"]);
    expect(new Set(cluster.seen.map((one) => one.nodeId)).size).toBeGreaterThan(1);
    await client.close();
  });

  test("ends with the iteration, and with the client", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "k", startRevision: 2 });
    write(cluster, "default", "k");
    for await (const item of watch) {
      expect(item).toMatchObject({ revision: 2 });
      break;
    }
    await turnsUntil(() => cluster.watchCount === 0);
    const other = client.watch({ key: "k", startRevision: 2 });
    await take(other, 1);
    const pending = other.next().catch((reason: unknown) => reason);
    await client.close();
    expect(((await pending) as KvError).code).toBe("closed");
  });

  test("gives its streams up while its reader is slow, and loses nothing", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "k", prefix: true, startRevision: 2 });
    const many = Array.from({ length: 600 }, (_, i) => `k${i}`);
    await turnsUntil(() => cluster.watchCount === 1);
    for (let i = 0; i < 90; i++) write(cluster, "default", ...many.slice(0, 590));
    await turnsUntil(() => cluster.watchCount === 0, 100_000);
    write(cluster, "default", "k-last");
    let last = 1;
    let key = "";
    while (key !== "k-last") {
      const { value } = await watch.next();
      if (value === undefined || !("events" in value)) throw new Error("no events");
      expect(value.revision).toBe(last + 1);
      last = value.revision;
      key = textOf(value.events[0]!.kv.key);
    }
    expect(last).toBe(92);
    watch.cancel();
  });
});

describe("what waits for a slow reader of a watch", () => {
  test("is one word of progress, however long nobody listens", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "a", startRevision: 2, progress: true });
    await turnsUntil(() => cluster.watchCount === 1);
    const closed = (revision: number): void => watch.part(0, { kind: "closed", revision });
    const key = bytesOf("a");
    const kv = { key, value: key, createRevision: 7, modRevision: 7, version: 1, lease: 0n };
    for (let revision = 2; revision <= 6; revision++) closed(revision);
    watch.part(0, {
      kind: "events",
      revision: 7,
      events: [{ type: "put", kv, prevKv: undefined }],
      isLast: true,
    });
    for (let revision = 8; revision <= 12; revision++) closed(revision);
    expect(await take(watch, 3)).toEqual(["progress 6", "7:a", "progress 12"]);
    expect(watch.take()).toBeUndefined();
    await client.close();
  });

  test("is bounded in bytes too, and lost is nothing", async () => {
    const { cluster, client } = await setting();
    const watch = client.watch({ key: "k", startRevision: 2 });
    await turnsUntil(() => cluster.watchCount === 1);
    const history = cluster.history("default");
    const key = storedKey(cluster.keyspace("default"), bytesOf("k"));
    for (let i = 0; i < 40; i++) history.write([{ key, value: new Uint8Array(1024 * 1024) }]);
    cluster.pumpWatches();
    await turnsUntil(() => cluster.watchCount === 0, 100_000);
    const revisions: number[] = [];
    while (revisions.length < 40) {
      const { value } = await watch.next();
      if (value !== undefined && "events" in value) revisions.push(value.revision);
    }
    expect(revisions).toEqual(Array.from({ length: 40 }, (_, i) => i + 2));
    watch.cancel();
  });
});

describe("a watch over several shards", () => {
  test("merges by revision, and nudges the shard that holds it back", async () => {
    const { cluster, client } = await setting();
    const watch = client.keyspace("docs").watch({ key: "", prefix: true });
    expect(await watch.started).toBe(2);
    await turnsUntil(() => cluster.watchCount === 3);
    write(cluster, "docs", "z");
    write(cluster, "docs", "a", "h", "q");
    write(cluster, "docs", "b");
    expect(await take(watch, 3)).toEqual(["2:z", "3:a,h,q", "4:b"]);
    watch.cancel();
    await turnsUntil(() => cluster.watchCount === 0);
  });

  test("survives a killed node and a split", async () => {
    const { cluster, client } = await setting();
    const watch = client.keyspace("docs").watch({ key: "b", rangeEnd: "y", startRevision: 2 });
    const expected: string[] = [];
    for (let i = 0; i < 30; i++) {
      const key = ["c", "h", "r", "n"][i % 4]! + String(i);
      write(cluster, "docs", key);
      expected.push(`${i + 2}:${key}`);
      if (i === 8) await cluster.stopNode(cluster.leaderOf(102));
      if (i === 16) {
        cluster.split(102, storedKey(cluster.keyspace("docs"), bytesOf("k")), 300, 1);
      }
      if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await take(watch, 30)).toEqual(expected);
    watch.cancel();
  });

  test("of a hash keyspace is asked for by name, and shows only what was meant", async () => {
    const { cluster, client } = await setting();
    const files = client.keyspace("files");
    const refused = files.watch({ key: "a", prefix: true });
    await expect(refused.next()).rejects.toMatchObject({ code: "orderedScanRefused" });
    const watch = files.watch({ key: "a", prefix: true, fanOut: true, startRevision: 2 });
    for (const key of ["a1", "b1", "a2", "c1", "a3"]) write(cluster, "files", key);
    expect(await take(watch, 3)).toEqual(["2:a1", "4:a2", "6:a3"]);
    watch.cancel();
    const one = files.watch({ key: "b1", startRevision: 2 });
    expect(await take(one, 1)).toEqual(["3:b1"]);
    expect(cluster.seen.filter((seen) => seen.type === MESSAGE_TYPES.watch).length).toBe(5);
    one.cancel();
  });
});
