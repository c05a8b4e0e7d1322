/**
 * Clusters of which not all founders come: they serve as soon as a majority has, and whoever comes
 * late is let in once, by those who came before.
 */
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { backupCluster } from "../../src/cli/cluster-backup.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import type { NodeDescriptor } from "../../src/protocol/cluster.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

async function started(
  nodeCount: number,
  ...late: readonly string[]
): Promise<{ cluster: TestCluster; client: Client }> {
  const cluster = await TestCluster.start({ nodeCount, late });
  cleanups.push(() => cluster.close());
  const there = cluster.names.filter((name) => !late.includes(name));
  const endpoints = there.map((name) => cluster.endpoint(name));
  const client = await connect({ endpoints, requestTimeoutMs: 10_000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("before", "yes"));
  return { cluster, client };
}

async function memberOf(client: Client, name: string): Promise<NodeDescriptor | undefined> {
  return (await client.admin.members()).find((each) => each.name === name);
}

/** How many shards have so many replicas, all of them voters, and are at rest. */
async function untilReplicas(client: Client, count: number): Promise<void> {
  await eventually(async () => {
    for (const { replicas, target } of (await client.admin.map()).clusterMap.shards) {
      expect(target).toBeUndefined();
      expect(replicas.map(({ role }) => role)).toEqual(Array<string>(count).fill("voter"));
    }
  }, 20_000);
}

/** Until a node has applied as much of each shard as the others. */
async function untilAsFarAs(client: Client, at: string, as: string): Promise<void> {
  await eventually(async () => {
    const [own, others] = await Promise.all([client.admin.status(at), client.admin.status(as)]);
    expect(own.replicas).toHaveLength(others.replicas.length);
    for (const { shardId, appliedIndex } of others.replicas) {
      const replica = own.replicas.find((each) => each.shardId === shardId);
      expect(replica?.appliedIndex).toBeGreaterThanOrEqual(appliedIndex);
    }
  }, 20_000);
}

test("two of three founders serve; the third comes late, and its disk is lost once only", async () => {
  const { cluster, client } = await started(3, "n3");
  expect(await client.admin.members()).toHaveLength(3);
  const backup = {
    env: cluster.env("backup"),
    admin: client.admin,
    directory: join(cluster.directory, "backups"),
    signal: new AbortController().signal,
    copied: () => undefined,
  };
  expect(await backupCluster(backup)).toMatchObject({ number: 1 });
  expect(await memberOf(client, "n3")).toMatchObject({ incarnation: "", clientAddress: "" });
  await untilReplicas(client, 3);
  for (let i = 0; i < 10; i++) {
    expect((await client.get("before", { level: "follower" })).kv).toBeDefined();
  }
  await cluster.startNode("n3");
  await eventually(async () => {
    expect((await memberOf(client, "n3"))?.clientAddress).toBe(cluster.endpoint("n3"));
  });
  await untilAsFarAs(client, cluster.endpoint("n3"), cluster.endpoint("n1"));
  // It bears as much as one that was there from the beginning.
  await cluster.crashNode("n1");
  await eventually(() => client.put("without n1", "yes"));
  await cluster.startNode("n1");
  await eventually(async () => (await client.admin.status(cluster.endpoint("n1"))).run === 2);
  await cluster.crashNode("n3");
  cluster.wipe("n3");
  const wiped = await cluster.startNode("n3");
  expect((await wiped.failed).message).toMatch(/is registered with another data directory/);
}, 60_000);

test("three of five founders serve, with two more replicas to come", async () => {
  const { cluster, client } = await started(5, "n2", "n4");
  await untilReplicas(client, 5);
  for (const name of ["n2", "n4"]) await cluster.startNode(name);
  for (const name of ["n2", "n4"]) {
    await untilAsFarAs(client, cluster.endpoint(name), cluster.endpoint("n1"));
  }
  for (const name of ["n3", "n5"]) await cluster.crashNode(name);
  const { header } = await eventually(() => client.put("by the late ones", "yes"));
  expect(header.revision).toBeGreaterThan(2);
}, 60_000);

test("a founder that never comes is removed, and another takes its place", async () => {
  const { cluster, client } = await started(3, "n3");
  const lost = (await memberOf(client, "n3"))!.nodeId;
  await eventually(() => client.admin.removeMember(lost));
  await eventually(async () => expect(await client.admin.members()).toHaveLength(2));
  await untilReplicas(client, 2);
  await cluster.prepare("n4");
  const peerAddress = cluster.peerAddress("n4");
  await client.admin.addMember({ name: "n4", peerAddress, learner: false });
  await cluster.startNode("n4");
  await untilReplicas(client, 3);
  await client.put("after", "yes");
  const back = await cluster.startNode("n3");
  expect((await back.failed).message).toMatch(/was removed from the cluster/);
}, 60_000);

test("who comes late is let in by a majority of those who came before, and by nobody else", async () => {
  const { cluster, client } = await started(3, "n3");
  await cluster.crashNode("n2");
  const third = await cluster.startNode("n3");
  const endpoints = [cluster.endpoint("n1"), cluster.endpoint("n3")];
  const hasty = await connect({ endpoints, requestTimeoutMs: 3000 });
  cleanups.push(() => hasty.close());
  const attempt = hasty.put("by n1 and n3", "no");
  // Were the disk of n3 lost now, n2 would not know that there had been another.
  await expect(attempt).rejects.toMatchObject({ name: "KvError" });
  expect([...third.core.host.replicas].map(({ shardId }) => shardId)).toEqual([1]);
  expect(cluster.node("n1").core.view.node(third.nodeId)?.incarnation).toBe("");
  await cluster.startNode("n2");
  await eventually(() => client.put("by all", "yes"), 20_000);
  await untilAsFarAs(client, cluster.endpoint("n3"), cluster.endpoint("n1"));
}, 60_000);

test("who is connected when another disk is registered under its name is let go", async () => {
  const { cluster } = await started(3, "n3");
  await cluster.crashNode("n2");
  const third = await cluster.startNode("n3");
  const { core } = cluster.node("n1");
  const { peers, view } = core;
  await eventually(() => expect(peers.isConnected(third.nodeId)).toBe(true));
  // As told by n2, which has let in the disk that n3 had before.
  const nodes = view.map.nodes.map((node) =>
    node.nodeId === third.nodeId ? { ...node, incarnation: "lost" } : node,
  );
  core.mapHeard({ ...view.map, version: view.map.version + 1, nodes });
  expect((await third.failed).message).toMatch(/is registered with another data directory/);
  await eventually(() => expect(peers.isConnected(third.nodeId)).toBe(false));
}, 20_000);
