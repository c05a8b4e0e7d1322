/** Keyspaces and maps that outgrow one transaction, one page and one answer. */
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { KEYSPACE_SHARDS_MAX } from "../../src/base/limits.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { encodePlain } from "../../src/protocol/admin-codec.js";
import { eventually } from "../support/eventually.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

async function lone(): Promise<{ cluster: TestCluster; client: Client }> {
  const cluster = await TestCluster.start({ nodeCount: 1 });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 8000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  return { cluster, client };
}

describe("keyspaces of any size that is allowed", () => {
  test("a keyspace of more shards than a transaction has operations", async () => {
    const { client } = await lone();
    await client.admin.createKeyspace({ name: "many", kind: "hash", shards: 300 });
    const { clusterMap } = await client.admin.map();
    const many = clusterMap.keyspaces.find((each) => each.name === "many")!;
    const shards = clusterMap.shards.filter((each) => each.keyspaceId === many.keyspaceId);
    expect(shards).toHaveLength(300);
    expect(new Set(clusterMap.shards.map((each) => each.shardId)).size).toBe(
      clusterMap.shards.length,
    );
    const put = (): Promise<unknown> => client.keyspace("many").put("a", "1");
    await eventually(put);
  }, 20_000);

  test("a map of more than one page is read to its end", async () => {
    const { client } = await lone();
    const splitPoints = Array.from({ length: 24 }, (_, i) => {
      const point = new Uint8Array(24 * 1024).fill(97);
      point[0] = 97 + i;
      return point;
    });
    await client.admin.createKeyspace({ name: "long", kind: "range", splitPoints });
    const long = client.keyspace("long");
    for (const key of ["a", "m", "z"]) await eventually(() => long.put(key, "1"));
    const { clusterMap } = await client.admin.map();
    const { keyspaceId } = clusterMap.keyspaces.find((each) => each.name === "long")!;
    const shards = clusterMap.shards.filter((each) => each.keyspaceId === keyspaceId);
    expect(shards).toHaveLength(splitPoints.length + 1);
  }, 20_000);
});

test("a request for a keyspace whose fields have other types is refused", async () => {
  const { cluster, client } = await lone();
  const raw = await RawClient.dial(cluster.endpoints[0]!);
  const right = { name: "x", kind: "hash", splitPoints: [], shardCount: 1, replicationFactor: 0 };
  const wrong: object[] = [
    { ...right, name: 7 },
    { ...right, name: ["x"] },
    { ...right, kind: "other" },
    { ...right, kind: undefined },
    { ...right, splitPoints: 5 },
    { ...right, kind: "range", splitPoints: ["a", "b"] },
    { ...right, shardCount: "2" },
    { ...right, shardCount: KEYSPACE_SHARDS_MAX + 1 },
    { ...right, replicationFactor: "3" },
    {},
  ];
  for (const body of wrong) {
    const asked = raw.request(MESSAGE_TYPES.keyspaceCreate, (out) => encodePlain(out, body));
    await expect(asked).rejects.toMatchObject({ code: "invalidArgument", outcome: "notApplied" });
  }
  expect((await client.admin.keyspaces()).map((each) => each.name)).not.toContain("x");
  raw.close();
});
