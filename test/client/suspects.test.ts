/** A node that answers nobody: the calls after the first find the way past it. */
import { expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { Suspects } from "../../src/client/suspects.js";
import { KvError } from "../../src/protocol/errors.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { FakeTimers } from "../support/fake-timers.js";
import { testEnv } from "../support/test-env.js";

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
