/** Puts and gets: where they go, how the map repairs itself, what is retried and what is not. */
import { describe, expect, test } from "vitest";
import { KEY_SIZE_BYTES_MAX, REQUEST_SIZE_BYTES_MAX } from "../../src/base/limits.js";
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { notApplied } from "../../src/protocol/errors.js";
import { READ_LEVELS } from "../../src/protocol/key-value.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { storedKey } from "../../src/route/stored-key.js";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { eventually } from "../support/eventually.js";
import { testEnv } from "../support/test-env.js";

const PLANS = [
  { name: "default", kind: "range", cuts: [] },
  { name: "docs", kind: "range", cuts: ["g", "p"] },
  { name: "files", kind: "hash", cuts: 4 },
] as const;

interface Setting {
  readonly cluster: FakeCluster;
  readonly client: Client;
}

async function setting(requestTimeoutMs = 2000): Promise<Setting> {
  const cluster = await FakeCluster.start(PLANS);
  const env = testEnv({ time: "real", network: cluster.network });
  const client = await connectBy(env, { endpoints: cluster.endpoints, requestTimeoutMs });
  cluster.seen.length = 0;
  return { cluster, client };
}

function puts(cluster: FakeCluster): readonly number[] {
  return cluster.seen.filter((one) => one.type === MESSAGE_TYPES.put).map((one) => one.nodeId);
}

describe("put and get", () => {
  test("bring back what was written, at the shard's leader, at once", async () => {
    const { cluster, client } = await setting();
    for (const [name, key] of [
      ["docs", "house"],
      ["files", "a/b"],
      ["default", "x"],
    ] as const) {
      const view = client.keyspace(name);
      const put = await view.put(key, `value of ${key}`);
      const got = await view.get(key);
      expect(textOf(got.kv!.value)).toBe(`value of ${key}`);
      expect(textOf(got.kv!.key)).toBe(key);
      expect(got.kv!.modRevision).toBe(put.header.revision);
      const shard = cluster.shardOf(storedKey(cluster.keyspace(name), bytesOf(key)));
      expect(got.header.shardId).toBe(shard.shardId);
      expect(got.header.nodeId).toBe(cluster.leaderOf(shard.shardId));
    }
    expect(cluster.seen.length).toBe(6);
    expect((await client.get("absent")).kv).toBe(undefined);
  });

  test("give the previous value where it is asked for", async () => {
    const { client } = await setting();
    await client.put("k", "1");
    const again = await client.put("k", "2", { prevKv: true });
    expect(textOf(again.prevKv!.value)).toBe("1");
  });

  test("read a shard that has one replica at every level", async () => {
    const cluster = await FakeCluster.start(PLANS);
    const { map } = cluster;
    const shards = map.shards.map((shard) => {
      const leader = cluster.leaderOf(shard.shardId);
      return { ...shard, replicas: shard.replicas.filter(({ nodeId }) => nodeId === leader) };
    });
    cluster.map = { ...map, shards };
    const env = testEnv({ time: "real", network: cluster.network });
    const client = await connectBy(env, { endpoints: cluster.endpoints, requestTimeoutMs: 1000 });
    await client.put("k", "1");
    for (const level of ["linearizable", "lease", "follower", "stale"] as const) {
      const { kv } = await client.get("k", { level });
      expect(textOf(kv!.value)).toBe("1");
    }
    await client.close();
  });

  test("read an older revision, a follower, and whatever is nearest", async () => {
    const { cluster, client } = await setting();
    const first = await client.put("k", "old");
    await client.put("k", "new");
    const old = await client.get("k", { revision: first.header.revision });
    expect(textOf(old.kv!.value)).toBe("old");
    const leader = cluster.leaderOf(100);
    for (let i = 0; i < 6; i++) {
      const { header } = await client.get("k", { level: "follower" });
      expect(header.nodeId).not.toBe(leader);
      expect(header.level).toBe("follower");
    }
    const nearby = new Set<number>();
    for (let i = 0; i < 9; i++) {
      nearby.add((await client.get("k", { level: "stale" })).header.nodeId);
    }
    expect(nearby.size).toBe(3);
  });

  test("may have keys and values of the limit, whatever frames them", async () => {
    const { client } = await setting();
    const prefix = 4;
    const put = (bytes: number): Promise<unknown> => client.put("k", new Uint8Array(bytes));
    await put(REQUEST_SIZE_BYTES_MAX - prefix - 1);
    expect((await errorOf(put(REQUEST_SIZE_BYTES_MAX - prefix))).code).toBe("requestTooLarge");
  });

  test("refuse what no server would take, and send nothing", async () => {
    const { cluster, client } = await setting();
    const large = new Uint8Array(KEY_SIZE_BYTES_MAX + 1);
    expect((await errorOf(client.put("", "v"))).code).toBe("keyEmpty");
    expect((await errorOf(client.get(large))).details.bound).toBe(KEY_SIZE_BYTES_MAX);
    const error = await errorOf(client.put("k", new Uint8Array(2_000_000)));
    expect([error.code, error.outcome]).toEqual(["requestTooLarge", "notApplied"]);
    expect(error.message).toContain("1572864");
    expect((await errorOf(client.keyspace("none").get("k"))).code).toBe("keyspaceNotFound");
    expect(cluster.seen.every((one) => one.type === MESSAGE_TYPES.map)).toBe(true);
  });
});

describe("a stale map repairs itself", () => {
  test("by the hint of who leads now, without a pause", async () => {
    const { cluster, client } = await setting();
    await client.put("k", "v");
    const before = cluster.leaderOf(100);
    const next = (before % 3) + 1;
    cluster.moveLeader(100, next);
    await client.put("k", "v");
    await client.put("k", "v");
    expect(puts(cluster)).toEqual([before, before, next, next]);
  });

  test("by the descriptors after a split, without asking for a map", async () => {
    const { cluster, client } = await setting();
    const docs = client.keyspace("docs");
    await docs.put("house", "1");
    const at = storedKey(cluster.keyspace("docs"), bytesOf("hotel"));
    cluster.split(102, at, 300, 1);
    const answer = await docs.put("hut", "2");
    expect(answer.header.shardId).toBe(300);
    expect(textOf((await docs.get("house")).kv!.value)).toBe("1");
    expect(cluster.seen.some((one) => one.type === MESSAGE_TYPES.map)).toBe(false);
  });

  test("by a new map where a shard is gone", async () => {
    const { cluster, client } = await setting();
    const shards = cluster.map.shards.map((shard) => {
      const epoch = { configuration: 1, range: 2 };
      return shard.shardId === 100 ? { ...shard, shardId: 900, generation: 2, epoch } : shard;
    });
    cluster.map = { ...cluster.map, version: 2, shards };
    cluster.moveLeader(900, 2);
    expect((await client.put("k", "v")).header.shardId).toBe(900);
  });

  test("while nobody leads, until somebody does", async () => {
    const { cluster, client } = await setting();
    cluster.moveLeader(100, 0);
    const pending = client.put("k", "v");
    setTimeout(() => cluster.moveLeader(100, 2), 60);
    expect((await pending).header.nodeId).toBe(2);
    expect(puts(cluster).length).toBeGreaterThan(2);
    expect(puts(cluster).length).toBeLessThan(30);
  });

  test("when the leader's node is killed and another one leads", async () => {
    const { cluster, client } = await setting();
    await client.put("k", "before");
    const leader = cluster.leaderOf(100);
    await cluster.stopNode(leader);
    cluster.moveLeader(100, (leader % 3) + 1);
    expect(textOf((await client.get("k")).kv!.value)).toBe("before");
    await client.put("k", "after");
    await cluster.startNode(leader);
    cluster.moveLeader(100, leader);
    expect((await client.put("k", "back")).header.nodeId).toBe(leader);
  });
});

describe("retries", () => {
  test("give up in time, and say that nothing was applied", async () => {
    const { cluster, client } = await setting(150);
    cluster.moveLeader(100, 0);
    const error = await errorOf(client.put("k", "v"));
    expect([error.code, error.outcome]).toEqual(["timeout", "notApplied"]);
    expect(error.message).toContain("does not lead");
    expect(cluster.history("default").revision).toBe(1);
  });

  test("do not repeat a write whose answer was lost with the connection", async () => {
    const { cluster, client } = await setting();
    const address = cluster.addressOf(cluster.leaderOf(100));
    cluster.interfere = ({ type }) => {
      if (type !== MESSAGE_TYPES.put) return undefined;
      cluster.network.cut(address);
      return "swallowAnswer";
    };
    const error = await errorOf(client.put("k", "v"));
    expect([error.code, error.outcome]).toEqual(["unavailable", "unknown"]);
    expect(puts(cluster).length).toBe(1);
    cluster.interfere = () => undefined;
    expect(textOf((await client.get("k")).kv!.value)).toBe("v");
  });

  test("do not repeat a write that was not answered in time", async () => {
    const { cluster, client } = await setting(100);
    cluster.interfere = () => "swallowAnswer";
    const error = await errorOf(client.put("k", "v"));
    expect([error.code, error.outcome]).toEqual(["timeout", "unknown"]);
    expect(puts(cluster).length).toBe(1);
  });

  test("repeat a read whose answer was lost", async () => {
    const { cluster, client } = await setting(900);
    await client.put("k", "v");
    let swallowed = 0;
    cluster.interfere = ({ type }) => {
      return type === MESSAGE_TYPES.get && swallowed++ === 0 ? "swallow" : undefined;
    };
    expect(textOf((await client.get("k")).kv!.value)).toBe("v");
    expect(swallowed).toBeGreaterThan(1);
  });

  test("follow overload, but not a full disk", async () => {
    const { cluster, client } = await setting();
    let refusals = 3;
    cluster.interfere = () => {
      return refusals-- > 0 ? notApplied("overloaded", "too much at once") : undefined;
    };
    await client.put("k", "v");
    expect(puts(cluster).length).toBe(4);
    cluster.interfere = () => notApplied("noSpace", "the disk is full");
    expect((await errorOf(client.put("k", "w"))).code).toBe("noSpace");
    expect(puts(cluster).length).toBe(5);
  });
});

describe("closing", () => {
  test("fails what is open, and everything after", async () => {
    const { cluster, client } = await setting();
    cluster.interfere = () => "swallow";
    const pending = errorOf(client.put("k", "v"));
    await eventually(() => cluster.seen.some(({ type }) => type === MESSAGE_TYPES.put));
    await client.close();
    expect((await pending).outcome).toBe("unknown");
    expect((await errorOf(client.get("k"))).code).toBe("closed");
  });

  test("a cluster that is being founded is waited for", async () => {
    const { cluster, client } = await setting();
    const founded = cluster.map;
    cluster.map = { ...founded, version: 0, keyspaces: [], shards: [] };
    const env = testEnv({ time: "real", network: cluster.network });
    const early = await connectBy(env, { endpoints: cluster.endpoints });
    const pending = early.put("k", "v");
    setTimeout(() => (cluster.map = founded), 20);
    expect((await pending).header.revision).toBe(2);
    await Promise.all([early.close(), client.close()]);
  });

  test("connecting to nobody fails soon", async () => {
    const cluster = await FakeCluster.start(PLANS);
    const env = testEnv({ time: "real", network: cluster.network });
    const error = await errorOf(connectBy(env, { endpoints: ["nowhere:1"] }));
    expect([error.code, error.outcome]).toEqual(["unavailable", "notApplied"]);
    expect(error.message).toContain("nowhere:1");
  });
});

describe("levels", () => {
  test("of the client are those of its reads", async () => {
    const { cluster } = await setting();
    const env = testEnv({ time: "real", network: cluster.network });
    const client = await connectBy(env, { endpoints: cluster.endpoints, level: "lease" });
    cluster.seen.length = 0;
    await client.get("k");
    await client.range({ key: "a", prefix: true });
    expect(cluster.seen.map((one) => one.level)).toEqual([READ_LEVELS.lease, READ_LEVELS.lease]);
  });
});
