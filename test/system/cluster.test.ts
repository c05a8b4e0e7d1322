/** A real cluster of three nodes in this process, through the SDK: what a user relies on. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import type { Client, Transaction } from "../../src/client/index.js";
import { decodePlain, encodePlain } from "../../src/protocol/admin-codec.js";
import type { MapResponse } from "../../src/protocol/admin-messages.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { eventually } from "../support/eventually.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";

const SMALL_KEYSPACE = { kind: "range", splitPoints: [], shardCount: 1, replicationFactor: 0 };

let cluster: TestCluster;
let client: Client;

beforeAll(async () => {
  cluster = await TestCluster.start();
  client = await connect({ endpoints: cluster.endpoints });
  await eventually(() => client.put("ready", "yes"));
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

describe("the default keyspace counts its revisions as etcd does", () => {
  test("each put takes one revision; a delete of nothing takes none", async () => {
    const first = await client.put("a", "1");
    const second = await client.put("b", "2");
    expect(second.header.revision).toBe(first.header.revision + 1);
    const nothing = await client.delete("absent");
    expect(nothing.deleted).toBe(0);
    expect(nothing.header.revision).toBe(second.header.revision);
    const third = await client.put("a", "3", { prevKv: true });
    expect(third.header.revision).toBe(second.header.revision + 1);
    expect(utf8Text(third.prevKv!.value)).toBe("1");
    const { kv } = await client.get("a");
    expect(kv).toMatchObject({
      createRevision: first.header.revision,
      modRevision: third.header.revision,
      version: 2,
    });
  });

  test("a range is in order, at any revision that is not compacted", async () => {
    for (const key of ["r/3", "r/1", "r/2"]) await client.put(key, key);
    const before = (await client.range({ key: "r/", prefix: true })).header.revision;
    await client.delete("r/2");
    const now = await client.range({ key: "r/", prefix: true });
    expect(now.kvs.map((kv) => utf8Text(kv.key))).toEqual(["r/1", "r/3"]);
    const then = await client.range({ key: "r/", prefix: true, revision: before });
    expect(then.kvs.map((kv) => utf8Text(kv.key))).toEqual(["r/1", "r/2", "r/3"]);
    const limited = await client.range({ key: "r/", prefix: true, limit: 1 });
    expect(limited).toMatchObject({ more: true, count: 2 });
  });

  test("a transaction compares first and writes one revision", async () => {
    await client.put("t", "old");
    const swap = (expected: string, value: string): Transaction => ({
      compares: [
        {
          key: utf8("t"),
          rangeEnd: undefined,
          result: "equal",
          target: { kind: "value", value: utf8(expected) },
        },
      ],
      success: [put("t", value), put("t2", value)],
      failure: [],
    });
    const lost = await client.txn(swap("other", "new"));
    expect(lost.succeeded).toBe(false);
    const won = await client.txn(swap("old", "new"));
    expect(won.succeeded).toBe(true);
    expect(won.header.revision).toBe(lost.header.revision + 1);
    const { kvs } = await client.range({ key: "t", prefix: true });
    expect(kvs.map((kv) => kv.modRevision)).toEqual([won.header.revision, won.header.revision]);
  });

  test("a compacted revision is refused, and so is one of the future", async () => {
    await client.put("c", "1");
    const { header } = await client.put("c", "2");
    await client.compact(header.revision);
    await expect(client.get("c", { revision: header.revision - 1 })).rejects.toMatchObject({
      code: "compacted",
      outcome: "notApplied",
    });
    expect((await client.get("c", { revision: header.revision })).kv?.modRevision).toBe(
      header.revision,
    );
    await expect(client.get("c", { revision: header.revision + 1000 })).rejects.toMatchObject({
      code: "futureRevision",
    });
    await expect(client.compact(header.revision)).rejects.toMatchObject({ code: "compacted" });
  });

  test("a watch shows every event once and in order, from a past revision on", async () => {
    const first = await client.put("w/a", "1");
    await client.put("w/b", "2");
    const watch = client.watch({
      key: "w/",
      prefix: true,
      startRevision: first.header.revision,
      prevKv: true,
    });
    await client.put("w/a", "3");
    await client.delete("w/b");
    const seen: string[] = [];
    for await (const item of watch) {
      if (!("events" in item)) continue;
      for (const { type, kv, prevKv } of item.events) {
        const before = prevKv === undefined ? "-" : utf8Text(prevKv.value);
        seen.push(`${type} ${utf8Text(kv.key)} ${utf8Text(kv.value)} ${before}`);
      }
      if (seen.length >= 4) break;
    }
    expect(seen).toEqual(["put w/a 1 -", "put w/b 2 -", "put w/a 3 1", "delete w/b  2"]);
  });
});

describe("read levels", () => {
  test("each says by which level it was served and which revision it shows", async () => {
    const { header } = await client.put("level", "x");
    const strong = await client.get("level");
    expect(strong.header).toMatchObject({ level: "linearizable", revision: header.revision });
    const follower = await client.get("level", { level: "follower" });
    expect(follower.header.level).toBe("follower");
    expect(follower.header.revision).toBeGreaterThanOrEqual(header.revision);
    const leased = await eventually(async () => {
      const answer = await client.get("level", { level: "lease" });
      return answer.header.level === "lease" && answer;
    });
    expect(utf8Text(leased.kv!.value)).toBe("x");
    const stale = await client.get("level", { level: "stale", minRevision: header.revision });
    expect(stale.header.level).toBe("stale");
    expect(stale.header.revision).toBeGreaterThanOrEqual(header.revision);
    expect(utf8Text(stale.kv!.value)).toBe("x");
  });

  test("a stale read holds to the age that was asked for", async () => {
    for (let i = 0; i < 20; i++) {
      const { header } = await client.get("level", { level: "stale", maxStalenessMs: 500 });
      expect(header.ageMs).toBeLessThanOrEqual(500);
    }
  });
});

describe.each([
  { name: "words", kind: "range" as const, splitPoints: ["g", "n", "t"] },
  { name: "bag", kind: "hash" as const, shards: 4 },
])("a $kind keyspace of four shards", (options) => {
  let shared: Client;
  const keys = ["apple", "grape", "kiwi", "lemon", "melon", "olive", "peach", "quince", "zest"];

  beforeAll(async () => {
    const keyspace = await client.admin.createKeyspace(options);
    expect(keyspace.dense).toBe(false);
    shared = client.keyspace(options.name);
    for (const key of keys) await shared.put(key, `${key}!`);
  });

  test("its shards are spread over the nodes", async () => {
    const { clusterMap } = await client.admin.map();
    const own = clusterMap.keyspaces.find((each) => each.name === options.name);
    const shards = clusterMap.shards.filter((each) => each.keyspaceId === own?.keyspaceId);
    expect(shards).toHaveLength(4);
    expect(new Set(shards.map((shard) => shard.preferredNodeId)).size).toBe(3);
  });

  test("revisions rise over all its shards in the order of the writes", async () => {
    let last = 0;
    for (const key of keys) {
      const { header } = await shared.put(key, "again");
      expect(header.revision).toBeGreaterThan(last);
      last = header.revision;
    }
    for (const key of keys) expect(utf8Text((await shared.get(key)).kv!.value)).toBe("again");
  });

  test("a range over all shards shows one state", async () => {
    const before = await shared.range({ key: "", prefix: true, fanOut: true });
    expect(before.kvs.map((kv) => utf8Text(kv.key))).toEqual(keys);
    expect(before.count).toBe(keys.length);
    await shared.put("apple", "later");
    const then = await shared.range({
      key: "",
      prefix: true,
      fanOut: true,
      revision: before.header.revision,
    });
    expect(then.kvs.map((kv) => utf8Text(kv.value))).toEqual(keys.map(() => "again"));
  });

  test("a watch over all shards is in revision order", async () => {
    const start = await shared.put("apple", "0");
    const watch = shared.watch({
      key: "",
      prefix: true,
      fanOut: true,
      startRevision: start.header.revision,
    });
    const expected = [start.header.revision];
    for (const key of keys) expected.push((await shared.put(key, "watched")).header.revision);
    const seen: number[] = [];
    for await (const item of watch) {
      if ("events" in item) seen.push(item.revision);
      if (seen.length === expected.length) break;
    }
    expect(seen).toEqual(expected);
  });

  test("a transaction over two shards is refused and changes nothing", async () => {
    const transaction = {
      compares: [],
      success: [put("apple", "x"), put("zest", "x")],
      failure: [],
    };
    await expect(shared.txn(transaction)).rejects.toMatchObject({
      code: "crossShard",
      outcome: "notApplied",
    });
    expect(utf8Text((await shared.get("apple")).kv!.value)).toBe("watched");
  });

  test("revisions are compacted on all shards", async () => {
    const { header } = await shared.put("melon", "last");
    await shared.compact(header.revision);
    await expect(shared.get("apple", { revision: header.revision - 1 })).rejects.toMatchObject({
      code: "compacted",
    });
  });
});

test("every node knows at once of a new keyspace, where it is asked to make sure", async () => {
  const nodes = await Promise.all(cluster.endpoints.map((each) => RawClient.dial(each)));
  for (let i = 0; i < 5; i++) {
    const wanted = { ...SMALL_KEYSPACE, name: `new-${i}` };
    await nodes[0]!.request(MESSAGE_TYPES.keyspaceCreate, (out) => encodePlain(out, wanted));
    const asked = nodes.map(async (node) => {
      let names: readonly string[] = [];
      await node.request(
        MESSAGE_TYPES.map,
        (out) => encodePlain(out, { confirmed: true }),
        (reader) => {
          const { clusterMap } = decodePlain<MapResponse>(reader);
          names = clusterMap.keyspaces.map(({ name }) => name);
        },
      );
      return names.includes(wanted.name);
    });
    expect(await Promise.all(asked)).toEqual([true, true, true]);
  }
  for (const node of nodes) node.close();
});

test("a hash keyspace refuses ordered scans that did not ask to fan out", async () => {
  const bag = client.keyspace("bag");
  await expect(bag.range({ key: "a", prefix: true })).rejects.toMatchObject({
    code: "orderedScanRefused",
  });
});

test("leaderships are spread evenly and can be moved", async () => {
  await eventually(async () => {
    const { clusterMap, leaders } = await client.admin.map();
    // The placement group may be led anywhere.
    const spread = clusterMap.shards.filter((shard) => shard.keyspaceId !== 0);
    const wrong = spread.filter((shard) => {
      const leader = leaders.find((each) => each.shardId === shard.shardId);
      return leader?.nodeId !== shard.preferredNodeId;
    });
    expect(wrong.map((shard) => shard.shardId)).toEqual([]);
  });
  const shard = await client.admin.locate("a");
  const target = shard.replicas.find((each) => each.nodeId !== shard.preferredNodeId)!;
  await client.admin.moveLeader(shard.shardId, target.nodeId);
  const answer = await client.put("a", "moved");
  expect(answer.header.nodeId).toBe(target.nodeId);
});

function put(key: string, value: string): Transaction["success"][number] {
  return {
    kind: "put",
    key: utf8(key),
    value: utf8(value),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
}
