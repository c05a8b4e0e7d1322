/** A client near a node: what may be stale is read there, as long as that answers. */
import { expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { notApplied } from "../../src/protocol/errors.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { testEnv } from "../support/test-env.js";

async function started(near: number): Promise<{ cluster: FakeCluster; client: Client }> {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const env = testEnv({ time: "real", network: cluster.network });
  const { nodeId, clientAddress } = cluster.map.nodes[near]!;
  return {
    cluster,
    client: await connectBy(env, { endpoints: [clientAddress], nearNodeId: nodeId }),
  };
}

async function readers(cluster: FakeCluster, client: Client): Promise<readonly number[]> {
  cluster.seen.length = 0;
  for (let i = 0; i < 9; i++) await client.get("k", { level: "stale" });
  return [...new Set(cluster.seen.map(({ nodeId }) => nodeId))];
}

test.each([0, 1, 2])("stale reads stay at the node, number %i here", async (near) => {
  const { cluster, client } = await started(near);
  expect(await readers(cluster, client)).toEqual([cluster.map.nodes[near]!.nodeId]);
  await client.close();
});

test("where its replica does not serve they go to others", async () => {
  const { cluster, client } = await started(1);
  const near = cluster.map.nodes[1]!.nodeId;
  cluster.interfere = ({ nodeId, level }) =>
    nodeId === near && level > 0 ? notApplied("unavailable", "damaged") : undefined;
  expect((await readers(cluster, client)).length).toBeGreaterThan(1);
  await client.close();
});

test("a client of no node spreads them", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const env = testEnv({ time: "real", network: cluster.network });
  const client = await connectBy(env, { endpoints: cluster.endpoints });
  expect((await readers(cluster, client)).length).toBe(3);
  await client.close();
});
