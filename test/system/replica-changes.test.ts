/** One shard's replicas, added, promoted and removed by hand while clients write. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Tracer } from "../../src/env/tracer.js";
import { connect } from "../../src/client/index.js";
import type { Client, ShardDescriptor } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

let cluster: TestCluster;
let client: Client;
const events: { readonly message: string; readonly kind?: unknown }[] = [];

beforeAll(async () => {
  // So small that the log is trimmed soon, and a new replica needs a snapshot.
  const config = { memtablesBytesMax: 16 * 1024 * 1024 };
  const tracer = (): Tracer => ({
    trace: (_level, message, fields) => events.push({ message, ...fields }),
  });
  cluster = await TestCluster.start({ config, tracer });
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

test("a learner is filled by a snapshot, promoted, and replaces a voter that leads", async () => {
  const value = new Uint8Array(128 * 1024).fill(7);
  for (let i = 0; i < 200; i += 8) {
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((j) => client.put(`k${i + j}`, value)));
  }
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
  expect(events.map(({ kind }) => kind)).toContain("snapshotInstalled");
  for (let i = 0; i < 200; i += 40) expect((await client.get(`k${i}`)).kv?.value).toEqual(value);
  const status = await client.admin.status(cluster.endpoint(cluster.nameOf(leader)));
  expect(status.replicas.map((each) => each.shardId)).not.toContain(shardId);
});
