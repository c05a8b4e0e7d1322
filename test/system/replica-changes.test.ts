/** One shard's replicas, added, promoted and removed by hand while clients write. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import type { Client, ShardDescriptor } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

let cluster: TestCluster;
let client: Client;

beforeAll(async () => {
  cluster = await TestCluster.start();
  client = await connect({ endpoints: cluster.endpoints });
  await eventually(() => client.put("ready", "yes"));
  await cluster.prepare("n4");
  const peerAddress = cluster.peerAddress("n4");
  await client.admin.addMember({ name: "n4", peerAddress, learner: false });
  await cluster.startNode("n4");
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

async function shardOf(key: string): Promise<ShardDescriptor> {
  return client.admin.locate(key);
}

function holders(shard: ShardDescriptor, role: string): string[] {
  const held = shard.replicas.filter((each) => each.role === role);
  return held.map((each) => cluster.nameOf(each.nodeId)).sort();
}

test("a learner is filled, promoted, and takes the place of a voter that leads", async () => {
  for (let i = 0; i < 200; i++) await client.put(`k${i}`, `v${i}`);
  const { shardId } = await shardOf("k");
  const nodeId = cluster.node("n4").nodeId;
  await client.admin.changeReplica({ shardId, action: "add", nodeId });
  await eventually(async () => expect(holders(await shardOf("k"), "learner")).toEqual(["n4"]));
  await eventually(() => client.admin.changeReplica({ shardId, action: "promote", nodeId }));
  await eventually(async () => expect(holders(await shardOf("k"), "voter")).toHaveLength(4));
  const { leaders } = await client.admin.map();
  const leader = leaders.find((each) => each.shardId === shardId)!.nodeId;
  await client.admin.changeReplica({ shardId, action: "remove", nodeId: leader });
  await eventually(async () => {
    const shard = await shardOf("k");
    expect(shard.replicas).toHaveLength(3);
    expect(shard.replicas.map((each) => each.nodeId)).not.toContain(leader);
  });
  await client.put("after", "x");
  for (let i = 0; i < 200; i++) expect((await client.get(`k${i}`)).kv).toBeDefined();
  const status = await client.admin.status(cluster.endpoint(cluster.nameOf(leader)));
  expect(status.replicas.map((each) => each.shardId)).not.toContain(shardId);
});
