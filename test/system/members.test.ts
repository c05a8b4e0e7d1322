/** Nodes that are added, removed and replaced in a running cluster, under load and crashes. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { KvError, connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

async function started(nodeCount = 3): Promise<{ cluster: TestCluster; client: Client }> {
  const cluster = await TestCluster.start({ nodeCount });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 10_000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  await eventually(async () => (await client.admin.members()).length === nodeCount);
  return { cluster, client };
}

async function add(cluster: TestCluster, client: Client, name: string): Promise<number> {
  await cluster.prepare(name);
  const request = { name, peerAddress: cluster.peerAddress(name), learner: false };
  const { nodeId } = await client.admin.addMember(request).catch(async (error: unknown) => {
    // A node that has left a moment ago took the connection along: it may have been done.
    if (!(error instanceof KvError) || error.outcome !== "unknown") throw error;
    const members = await eventually(() => client.admin.members());
    const added = members.find((each) => each.name === name && each.incarnation === "");
    return added ?? client.admin.addMember(request);
  });
  return nodeId;
}

/** Writes until it is stopped; what was acknowledged must be there afterwards. */
class Load {
  readonly acknowledged: Map<string, string> = new Map();
  readonly failures: KvError[] = [];
  writes = 0;
  readonly #client: Client;
  readonly #writers: readonly Promise<void>[];
  #stopped = false;

  constructor(client: Client, writers = 4) {
    this.#client = client;
    this.#writers = Array.from({ length: writers }, (_, id) => this.#write(id));
    cleanups.push(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers);
  }

  async check(): Promise<void> {
    await this.stop();
    expect(this.acknowledged.size).toBeGreaterThan(50);
    expect(this.failures.filter((error) => error.code === "internal")).toEqual([]);
    for (const [key, value] of this.acknowledged) {
      expect(utf8Text((await this.#client.get(key)).kv!.value)).toBe(value);
    }
  }

  async #write(id: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const key = `load/${id}/${i % 50}`;
      try {
        await this.#client.put(key, `${i}`);
        this.acknowledged.set(key, `${i}`);
        this.writes++;
      } catch (error) {
        // It may have been applied: the key's value is known again after the next write.
        this.failures.push(KvError.from(error));
        this.acknowledged.delete(key);
      }
    }
  }
}

/** Every shard, the placement group included, has voters on exactly these nodes. */
async function untilOn(client: Client, nodeIds: readonly number[]): Promise<void> {
  await eventually(async () => {
    const { shards } = (await client.admin.map()).clusterMap;
    for (const { shardId, replicas, target } of shards) {
      const voters = replicas.filter((each) => each.role === "voter").map((each) => each.nodeId);
      expect({ shardId, voters: voters.sort((a, b) => a - b) }).toEqual({
        shardId,
        voters: [...nodeIds].sort((a, b) => a - b),
      });
      expect(replicas).toHaveLength(nodeIds.length);
      expect(target).toBeUndefined();
    }
  }, 20_000);
}

function idsOf(cluster: TestCluster, ...names: readonly string[]): number[] {
  return names.map((name) => cluster.node(name).nodeId);
}

/** Resolves with the text of why a node stopped itself. */
async function reasonOf(cluster: TestCluster, name: string): Promise<string> {
  return (await cluster.node(name).failed).message;
}

test("a node is removed while it leads: all moves to another one, and it stops", async () => {
  const { cluster, client } = await started();
  await client.admin.createKeyspace({ name: "many", kind: "hash", shards: 4 });
  await add(cluster, client, "n4");
  await cluster.startNode("n4");
  const load = new Load(client);
  await eventually(() => load.writes > 100);
  const { header } = await client.put("who", "leads");
  const leaving = cluster.nameOf(header.nodeId);
  const stopped = reasonOf(cluster, leaving);
  await client.admin.removeMember(header.nodeId);
  const rest = cluster.names.filter((name) => name !== leaving);
  await untilOn(client, idsOf(cluster, ...rest));
  expect(await stopped).toMatch(/was removed from the cluster/);
  await expect(client.admin.status(cluster.endpoint(leaving))).rejects.toMatchObject({
    code: "unavailable",
  });
  await eventually(async () => (await client.admin.members()).length === 3);
  await load.check();
  expect(load.failures.filter((error) => error.outcome === "notApplied")).toEqual([]);
  const terms = async (): Promise<number[]> => {
    const status = await client.admin.status(cluster.endpoint("n4"));
    return status.replicas.map((replica) => replica.term);
  };
  // The one that left comes back as it was: it is refused, and nobody's term grows.
  const before = await terms();
  await cluster.crashNode(leaving);
  const back = await cluster.startNode(leaving);
  expect((await back.failed).message).toMatch(/was removed from the cluster/);
  expect(await terms()).toEqual(before);
}, 40_000);

test("a node whose disk was lost is replaced under the same name and address", async () => {
  const { cluster, client } = await started();
  const load = new Load(client);
  await eventually(() => load.writes > 100);
  const lost = cluster.node("n3").nodeId;
  await cluster.crashNode("n3");
  cluster.wipe("n3");
  const stranger = await cluster.startNode("n3");
  expect((await stranger.failed).message).toMatch(/registered with another data directory/);
  await cluster.crashNode("n3");
  cluster.wipe("n3");
  await eventually(() => client.admin.removeMember(lost));
  await eventually(async () => (await client.admin.members()).length === 2);
  const nodeId = await add(cluster, client, "n3");
  expect(nodeId).not.toBe(lost);
  await cluster.startNode("n3");
  await untilOn(client, idsOf(cluster, "n1", "n2", "n3"));
  expect(cluster.node("n3").nodeId).toBe(nodeId);
  await load.check();
  // It keeps its identity, and its data, over a restart.
  await cluster.crashNode("n1");
  await cluster.crashNode("n3");
  await cluster.startNode("n3");
  await eventually(() => client.put("again", "yes"));
  await load.check();
}, 40_000);

test("every founder is replaced, one after the other; a watch misses nothing", async () => {
  const { cluster, client } = await started();
  const watch = client.watch({ key: "w/", prefix: true });
  await watch.started;
  const seen: number[] = [];
  const watching = (async (): Promise<void> => {
    for await (const item of watch) if ("events" in item) seen.push(item.revision);
  })();
  // Where the test fails first, the client is closed under the watch.
  watching.catch(() => undefined);
  const written: number[] = [];
  const write = async (key: string): Promise<void> => {
    // A node that is stopped here takes its connections along; what is unknown is not counted.
    const put = await client.put(key, "x").catch(() => undefined);
    if (put !== undefined) written.push(put.header.revision);
  };
  for (const [i, name] of ["n4", "n5", "n6"].entries()) {
    await add(cluster, client, name);
    await cluster.startNode(name);
    const { nodeId } = cluster.node(`n${i + 1}`);
    await eventually(() => client.admin.removeMember(nodeId));
    for (let left = 1; left > 0;) {
      await write(`w/${i}`);
      left = (await eventually(() => client.admin.members())).filter(
        (node) => node.nodeId === nodeId,
      ).length;
    }
    // A founder without a cached map finds the others all the same.
    if (i === 1) await cluster.crashNode("n3");
    if (i === 1) rmSync(join(cluster.directory, "n3", "cluster-map.json"));
    if (i === 1) await cluster.startNode("n3");
  }
  await untilOn(client, idsOf(cluster, "n4", "n5", "n6"));
  for (const name of ["n1", "n2", "n3"]) await cluster.crashNode(name);
  for (const name of ["n4", "n5", "n6"]) await cluster.crashNode(name);
  for (const name of ["n4", "n5", "n6"]) await cluster.startNode(name);
  written.push((await eventually(() => client.put("w/last", "x"))).header.revision);
  await eventually(() => expect(seen.at(-1)).toBe(written.at(-1)));
  expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  expect(written.filter((revision) => !seen.includes(revision))).toEqual([]);
  watch.cancel();
  await watching;
}, 60_000);

test("nodes crash at any point of a removal, the placement leader too: it is completed", async () => {
  const { cluster, client } = await started();
  await client.admin.createKeyspace({ name: "many", kind: "hash", shards: 3 });
  await add(cluster, client, "n4");
  await cluster.startNode("n4");
  const load = new Load(client, 2);
  const leaving = cluster.node("n1").nodeId;
  await eventually(() => client.admin.removeMember(leaving));
  for (const victim of ["n2", "n4", "n1", "n3"]) {
    await cluster.crashNode(victim);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await cluster.startNode(victim);
    await eventually(() => client.put("alive", victim), 20_000);
  }
  await untilOn(client, idsOf(cluster, "n2", "n3", "n4"));
  await load.check();
  const names = (await client.admin.members()).map((node) => node.name);
  expect(names.sort()).toEqual(["n2", "n3", "n4"]);
}, 60_000);

test("a removal that would break a quorum is refused, and so is a node that nobody added", async () => {
  const { cluster, client } = await started();
  await cluster.crashNode("n3");
  const { nodeId } = cluster.node("n2");
  await eventually(async () => {
    const refusal = await client.admin.removeMember(nodeId).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "invalidArgument", outcome: "notApplied" });
  });
  await expect(client.admin.removeMember(12345)).rejects.toMatchObject({ code: "nodeNotFound" });
  await cluster.prepare("n9");
  await expect(cluster.startNode("n9")).rejects.toMatchObject({
    code: "nodeRefused",
    message: expect.stringMatching(/no member named n9 is registered/) as string,
  });
});

test("a cluster of one grows to three", async () => {
  const { cluster, client } = await started(1);
  await client.put("a", "1");
  for (const name of ["n2", "n3"]) {
    await add(cluster, client, name);
    await cluster.startNode(name);
  }
  await untilOn(client, idsOf(cluster, "n1", "n2", "n3"));
  await cluster.crashNode("n1");
  await eventually(async () => expect(utf8Text((await client.get("a")).kv!.value)).toBe("1"));
});
