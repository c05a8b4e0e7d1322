/** Nodes whose map is old, or empty, and who cannot know: the client finds those who do. */
import { describe, expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import type { ClusterMap } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { textOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { testEnv } from "../support/test-env.js";

const CUT_OFF = 1;
const PLANS = [
  { name: "default", kind: "range", cuts: [] },
  { name: "docs", kind: "range", cuts: ["g", "p"] },
] as const;

interface Setting {
  readonly cluster: FakeCluster;
  readonly client: Client;
}

/** The first node that the client is told of is cut off, and has this map. */
async function setting(
  stale: (map: ClusterMap) => ClusterMap,
  requestTimeoutMs = 1500,
): Promise<Setting> {
  const cluster = await FakeCluster.start(PLANS);
  cluster.map = { ...cluster.map, version: 5 };
  cluster.stale.set(CUT_OFF, stale(cluster.map));
  // Whoever is cut off leads nothing.
  for (const { shardId } of cluster.map.shards) cluster.moveLeader(shardId, 2);
  const env = testEnv({ time: "real", network: cluster.network });
  const client = await connectBy(env, { endpoints: cluster.endpoints, requestTimeoutMs });
  return { cluster, client };
}

const unfounded = (map: ClusterMap): ClusterMap => ({
  ...map,
  version: 0,
  nodes: [],
  keyspaces: [],
  shards: [],
});

const withoutDocs = (map: ClusterMap): ClusterMap => ({
  ...map,
  version: 2,
  keyspaces: map.keyspaces.filter(({ name }) => name !== "docs"),
  shards: map.shards.filter(({ shardId }) => shardId === 100),
});

describe("a first node that is cut off", () => {
  test("since before the cluster was founded, holds nobody up", async () => {
    const { client } = await setting(unfounded);
    await client.put("k", "v");
    expect(textOf((await client.get("k")).kv!.value)).toBe("v");
    await client.close();
  });

  test("since before a keyspace was made, holds nobody up", async () => {
    const { client } = await setting(withoutDocs);
    const docs = client.keyspace("docs");
    await docs.put("house", "v");
    expect((await docs.range({ key: "", prefix: true })).kvs.length).toBe(1);
    await client.close();
  });

  test("and is the only one that anybody was told of, names the others", async () => {
    const { cluster } = await setting(withoutDocs);
    const env = testEnv({ time: "real", network: cluster.network });
    const client = await connectBy(env, { endpoints: [cluster.addressOf(CUT_OFF)] });
    expect((await client.keyspace("docs").put("house", "v")).header.nodeId).toBe(2);
    await client.close();
  });

  test("since before a shard was replaced, holds nobody up", async () => {
    const { cluster, client } = await setting((map) => ({ ...map, version: 2 }));
    const shards = cluster.map.shards.map((shard) => {
      const epoch = { configuration: 1, range: 2 };
      return shard.shardId === 100 ? { ...shard, shardId: 900, generation: 2, epoch } : shard;
    });
    cluster.map = { ...cluster.map, version: 6, shards };
    cluster.moveLeader(900, 2);
    expect((await client.put("k", "v")).header.shardId).toBe(900);
    expect((await client.admin.locate("k")).shardId).toBe(900);
    await client.close();
  });

  test("does not keep a client that knows more from the revision of a keyspace", async () => {
    const { cluster, client } = await setting((map) => map);
    const docs = client.keyspace("docs");
    await docs.put("house", "v");
    cluster.stale.set(CUT_OFF, withoutDocs(cluster.map));
    expect((await docs.range({ key: "", prefix: true })).kvs.length).toBe(1);
    await client.close();
  });

  test("is not asked again and again for the map", async () => {
    const { cluster, client } = await setting(withoutDocs);
    cluster.seen.length = 0;
    for (let i = 0; i < 6; i++) await client.admin.map();
    const asked = new Set(cluster.seen.map(({ nodeId }) => nodeId));
    expect(asked).toEqual(new Set([1, 2, 3]));
    await client.close();
  });
});

describe("that there is no keyspace of a name", () => {
  test("is said by the placement group only", async () => {
    const { cluster, client } = await setting((map) => map, 300);
    for (const { nodeId } of cluster.map.nodes) cluster.stale.set(nodeId, cluster.map);
    const error = await errorOf(client.keyspace("none").get("k"));
    expect([error.code, error.outcome]).toEqual(["unavailable", "notApplied"]);
    expect(error.message).toContain("none");
    cluster.stale.delete(3);
    expect((await errorOf(client.keyspace("none").get("k"))).code).toBe("keyspaceNotFound");
    await client.close();
  });

  test("is asked by many at once in few requests", async () => {
    const { cluster, client } = await setting((map) => map);
    cluster.stale.clear();
    cluster.seen.length = 0;
    const gets = Array.from({ length: 50 }, () => errorOf(client.keyspace("none").get("k")));
    const codes = new Set((await Promise.all(gets)).map(({ code }) => code));
    expect([...codes]).toEqual(["keyspaceNotFound"]);
    expect(cluster.seen.length).toBeLessThan(6);
    await client.close();
  });
});

describe("a node that fell silent", () => {
  test("with its connection open holds up one fetch of the map at most", async () => {
    const { cluster, client } = await setting((map) => map);
    cluster.stale.clear();
    cluster.network.silent.add(cluster.addressOf(CUT_OFF));
    const startMs = performance.now();
    for (let i = 0; i < 10; i++) await client.admin.map();
    // One of these waits in vain, for half of the time of a request.
    expect(performance.now() - startMs).toBeLessThan(1200);
    await client.close();
  });

  test("holds up one question to the placement group at most", async () => {
    const { cluster, client } = await setting((map) => map, 600);
    cluster.stale.clear();
    cluster.network.silent.add(cluster.addressOf(CUT_OFF));
    const change = { shardId: 100, action: "promote", nodeId: 2 } as const;
    const first = await errorOf(client.admin.changeReplica(change));
    expect([first.code, first.outcome]).toEqual(["timeout", "unknown"]);
    await client.admin.changeReplica(change);
    await client.close();
  });
});

test("a change that was made is not called refused where no map comes to show it", async () => {
  const { cluster, client } = await setting((map) => map, 300);
  cluster.stale.clear();
  cluster.interfere = ({ type }) => {
    return type === MESSAGE_TYPES.map ? notApplied("overloaded", "not now") : undefined;
  };
  const change = { shardId: 100, action: "promote", nodeId: 2 } as const;
  const error = await errorOf(client.admin.changeReplica(change));
  expect([error.code, error.outcome]).toEqual(["timeout", "unknown"]);
  await client.close();
});
