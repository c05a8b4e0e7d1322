/** Shards without work rest, and are there at once when somebody wants them, whoever has gone. */
import { afterEach, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

/** A cluster whose shards all rest, and who leads the default keyspace's. */
async function resting(): Promise<{ cluster: TestCluster; client: Client; leader: string }> {
  const cluster = await TestCluster.start({ config: { quiesceAfterMs: 100 } });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints });
  cleanups.push(() => client.close());
  await eventually(() => client.put("k", "before"));
  const { header } = await client.put("k", "before");
  await eventually(() => isAtRest(cluster));
  return { cluster, client, leader: cluster.nameOf(header.nodeId) };
}

function isAtRest(cluster: TestCluster): boolean {
  return cluster.names.every((name) =>
    [...cluster.node(name).core.host.replicas].every(({ raft }) => raft.quiesced),
  );
}

test("a shard that rests answers like any other, and rests again", async () => {
  const { cluster, client } = await resting();
  await client.put("k", "after");
  expect(isAtRest(cluster)).toBe(false);
  for (const level of ["linearizable", "lease", "follower", "stale"] as const) {
    expect((await client.get("k", { level })).kv?.version).toBeGreaterThan(1);
  }
  // Lease and stale reads keep a shard awake for ten seconds after the last of them.
  await eventually(() => isAtRest(cluster), 20_000);
}, 40_000);

test("a leader that is lost while its shard rests has a successor at once", async () => {
  const { cluster, client, leader } = await resting();
  await cluster.crashNode(leader);
  const { header } = await eventually(() => client.put("k", "after"), 5000);
  expect(cluster.nameOf(header.nodeId)).not.toBe(leader);
  await cluster.startNode(leader);
  await eventually(() => isAtRest(cluster));
});

test("followers that are lost while their shard rests come back to it", async () => {
  const { cluster, client, leader } = await resting();
  const others = cluster.names.filter((name) => name !== leader);
  await Promise.all(others.map((name) => cluster.crashNode(name)));
  await Promise.all(others.map((name) => cluster.startNode(name)));
  const { kv } = await eventually(() => client.get("k"), 5000);
  expect(kv?.version).toBeGreaterThan(0);
  await eventually(() => isAtRest(cluster));
});

test("leaders of shards that rest can be moved", async () => {
  const { cluster, client, leader } = await resting();
  const { clusterMap } = await client.admin.map();
  const { keyspaceId } = clusterMap.keyspaces.find(({ name }) => name === "default")!;
  const { shardId } = clusterMap.shards.find((shard) => shard.keyspaceId === keyspaceId)!;
  const to = cluster.names.find((name) => name !== leader)!;
  await client.admin.moveLeader(shardId, to);
  const { nodeId } = cluster.node(to);
  await eventually(async () => (await client.get("k")).header.nodeId === nodeId);
  expect(cluster.node(leader).nodeId).not.toBe(nodeId);
});
