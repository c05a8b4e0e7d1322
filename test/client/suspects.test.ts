/** A node that answers nobody: the calls after the first find the way past it. */
import { expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { Suspects } from "../../src/client/suspects.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { FakeTimers } from "../support/fake-timers.js";
import { testEnv, turnsUntil } from "../support/test-env.js";

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
  const passed = async <T>(call: Promise<T>): Promise<T> => {
    let settled = false;
    void call.catch(() => undefined).finally(() => (settled = true));
    await turnsUntil(() => {
      env.fake.advance(1);
      return settled;
    });
    return call;
  };
  const endpoints = [cluster.addressOf(answerer)];
  const client = await passed(connectBy(env, { endpoints, requestTimeoutMs: 400 }));
  // Refusals take most of the time, and then there is another leader.
  cluster.interfere = () => {
    if (env.fake.monotonicMs() < 250) return notApplied("overloaded", "not now");
    cluster.moveLeader(SHARD, silent.nodeId);
    return undefined;
  };
  const refusal = await passed(client.put("k", "0").catch((error: unknown) => error));
  expect(refusal).toMatchObject({ code: "timeout", outcome: "notApplied" });
  cluster.interfere = () => undefined;
  cluster.moveLeader(SHARD, answerer);
  const startMs = env.fake.monotonicMs();
  await passed(client.put("k", "1"));
  // An attempt to connect takes 200 ms.
  expect(env.fake.monotonicMs() - startMs).toBeLessThan(50);
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
