/** A node that answers nobody: the calls after the first find the way past it. */
import { expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { Suspects } from "../../src/client/suspects.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { FakeTimers } from "../support/fake-timers.js";
import { testEnv, turnsUntil } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

const SHARD = 100;

/** A cluster whose preferred node is cut off, and another leads; the client does not know yet. */
async function cutOff(connected: boolean): Promise<Client> {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const env = testEnv({ time: "real", network: cluster.network });
  const [first, second] = cluster.endpoints as [string, string];
  const preferred = cluster.leaderOf(SHARD);
  const other = first === cluster.addressOf(preferred) ? second : first;
  const client = await connectBy(env, { endpoints: [other], requestTimeoutMs: 300 });
  if (connected) await client.put("k", "0");
  cluster.network.silent.add(cluster.addressOf(preferred));
  const successor = cluster.mapResponse().clusterMap.nodes.find((n) => n.nodeId !== preferred)!;
  cluster.moveLeader(SHARD, successor.nodeId);
  return client;
}

/** The result of a call, on a clock that goes on as long as it takes. */
async function passed<T>(env: TestEnv, call: Promise<T>): Promise<T> {
  let settled = false;
  void call.catch(() => undefined).finally(() => (settled = true));
  await turnsUntil(() => {
    env.fake.advance(1);
    return settled;
  });
  return call;
}

test.each([
  ["to which there is a connection", true],
  ["to which there is none yet", false],
])("a leader that went silent, %s, holds up one write at most", async (_what, connected) => {
  const client = await cutOff(connected);
  const outcomes: string[] = [];
  for (let i = 0; i < 4; i++) {
    try {
      await client.put("k", `${i}`);
      outcomes.push("ok");
    } catch (error) {
      outcomes.push(KvError.from(error).code);
    }
  }
  expect(outcomes.slice(1)).toEqual(["ok", "ok", "ok"]);
  await client.close();
});

test("a leader that was not reached in what was left of a call's time is not asked next", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const { network } = cluster;
  const env = testEnv({ network });
  const answerer = cluster.leaderOf(SHARD);
  const silent = cluster.map.nodes.find((node) => node.nodeId !== answerer)!;
  network.silent.add(silent.clientAddress);
  const endpoints = [cluster.addressOf(answerer)];
  const client = await passed(env, connectBy(env, { endpoints, requestTimeoutMs: 400 }));
  // Refusals take most of the time, and then there is another leader.
  cluster.interfere = () => {
    if (env.fake.monotonicMs() < 250) return notApplied("overloaded", "not now");
    cluster.moveLeader(SHARD, silent.nodeId);
    return undefined;
  };
  const refusal = await passed(
    env,
    client.put("k", "0").catch((error: unknown) => error),
  );
  expect(refusal).toMatchObject({ code: "timeout", outcome: "notApplied" });
  cluster.interfere = () => undefined;
  cluster.moveLeader(SHARD, answerer);
  const startMs = env.fake.monotonicMs();
  await passed(env, client.put("k", "1"));
  // An attempt to connect takes 200 ms.
  expect(env.fake.monotonicMs() - startMs).toBeLessThan(50);
  await client.close();
});

test("of three nodes two that answer nobody hold up one write each", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const { network } = cluster;
  const env = testEnv({ network });
  const preferred = cluster.leaderOf(SHARD);
  const at = cluster.map.nodes.findIndex(({ nodeId }) => nodeId === preferred);
  const [first, second, third] = [0, 1, 2].map((i) => cluster.map.nodes[(at + i) % 3]!);
  const endpoints = [third!.clientAddress];
  // Longer than a suspicion lasts.
  const client = await passed(env, connectBy(env, { endpoints, requestTimeoutMs: 5000 }));
  // There are connections to all: one that cannot be made is noticed sooner.
  for (let i = 0; i < 6; i++) await passed(env, client.get("k", { level: "stale" }));
  for (const { clientAddress } of [first!, second!]) network.silent.add(clientAddress);
  cluster.moveLeader(SHARD, third!.nodeId);
  const outcomes: string[] = [];
  for (let i = 0; i < 4; i++) {
    const put = client.put("k", "1").then(
      () => "ok",
      (error: unknown) => KvError.from(error).code,
    );
    outcomes.push(await passed(env, put));
  }
  expect(outcomes.slice(2)).toEqual(["ok", "ok"]);
  await client.close();
});

test("while a write waits for a leader that went silent, the next finds the one after it", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const { network } = cluster;
  const env = testEnv({ network });
  const leader = cluster.leaderOf(SHARD);
  const client = await passed(env, connectBy(env, { endpoints: cluster.endpoints }));
  await passed(env, client.put("k", "0"));
  network.silent.add(cluster.addressOf(leader));
  const first = client.put("k", "1").catch((error: unknown) => KvError.from(error).code);
  env.fake.advance(600);
  cluster.moveLeader(SHARD, cluster.map.nodes.find(({ nodeId }) => nodeId !== leader)!.nodeId);
  // The one that raises the doubt may still go to the silent one.
  const second = client.put("k", "2").catch((error: unknown) => KvError.from(error).code);
  await turnsUntil(() => {
    env.fake.advance(1);
    return env.fake.monotonicMs() > 1000;
  });
  const startMs = env.fake.monotonicMs();
  await passed(env, client.put("k", "3"));
  expect(env.fake.monotonicMs() - startMs).toBeLessThan(50);
  expect([await passed(env, first), await passed(env, second)]).toEqual(["timeout", "timeout"]);
  await client.close();
});

test("who was silent is suspected for a while, and no more once it answers", () => {
  const time = new FakeTimers();
  const suspects = new Suspects(time);
  suspects.add(1);
  suspects.add(2);
  suspects.answered(2);
  expect([suspects.has(1), suspects.has(2), suspects.has(3)]).toEqual([true, false, false]);
  time.advance(2000);
  expect(suspects.has(1)).toBe(false);
});

/** As in a cluster that was restored: the member holds replicas, and has never run. */
function notStarted(cluster: FakeCluster, nodeId: number): void {
  const nodes = cluster.map.nodes.map((node) => {
    return node.nodeId === nodeId ? { ...node, clientAddress: "", incarnation: "" } : node;
  });
  cluster.map = { ...cluster.map, nodes };
}

test("a member that has not started, and holds replicas already, is asked for nothing", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const leader = cluster.leaderOf(SHARD);
  notStarted(cluster, cluster.map.nodes.find(({ nodeId }) => nodeId !== leader)!.nodeId);
  const { network } = cluster;
  const env = testEnv({ time: "real", network });
  const client = await connectBy(env, { endpoints: [cluster.addressOf(leader)] });
  for (let i = 0; i < 6; i++) {
    for (const level of ["stale", "follower"] as const) await client.get("k", { level });
  }
  expect([...network.dials.keys()]).not.toContain("");
  await client.close();
});

test("a watch that knows no leader passes a member by that has not started", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const { replicas } = cluster.map.shards.find(({ shardId }) => shardId === SHARD)!;
  const env = testEnv({ time: "real", network: cluster.network });
  const endpoints = [cluster.addressOf(replicas[1]!.nodeId)];
  notStarted(cluster, replicas[0]!.nodeId);
  cluster.moveLeader(SHARD, 0);
  const client = await connectBy(env, { endpoints });
  const watch = client.watch({ key: "k", startRevision: 2 });
  await turnsUntil(() => cluster.watchCount === 1);
  expect([...cluster.network.dials.keys()]).not.toContain("");
  watch.cancel();
  await client.close();
});
