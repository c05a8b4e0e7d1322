/** What happens to data when nodes go: crashes, restarts, lagging replicas, wiped disks. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
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

async function started(): Promise<{ cluster: TestCluster; client: Client }> {
  const cluster = await TestCluster.start();
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  return { cluster, client };
}

async function leaderOf(cluster: TestCluster, client: Client, key: string): Promise<string> {
  const { header } = await client.put(key, "who leads");
  return cluster.nameOf(header.nodeId);
}

describe("a node that crashes", () => {
  test("loses nothing that was acknowledged, and is led again soon", async () => {
    const { cluster, client } = await started();
    const acknowledged = new Map<string, string>();
    let stop = false;
    let writes = 0;
    const failures: string[] = [];
    const writer = async (id: number): Promise<void> => {
      for (let i = 0; !stop; i++) {
        const key = `w${id}/${i % 50}`;
        try {
          await client.put(key, `${i}`);
          acknowledged.set(key, `${i}`);
          writes++;
        } catch (error) {
          // An unknown outcome may have applied: the key's value is not known until written again.
          failures.push(KvError.from(error).code);
          acknowledged.delete(key);
        }
      }
    };
    const writers = Array.from({ length: 8 }, (_, id) => writer(id));
    for (let round = 0; round < 3; round++) {
      const before = writes;
      await eventually(() => writes > before + 500);
      const leader = await leaderOf(cluster, client, "probe");
      await cluster.crashNode(leader);
      await eventually(() => client.put("probe", "after the crash"));
      await cluster.startNode(leader);
    }
    stop = true;
    await Promise.all(writers);
    expect(acknowledged.size).toBeGreaterThan(100);
    expect(failures.filter((code) => !/unavailable|timeout|notLeader/.test(code))).toEqual([]);
    for (const [key, value] of acknowledged) {
      expect(utf8Text((await client.get(key)).kv!.value)).toBe(value);
    }
  });

  test("all of them at once: everything is there after the restart", async () => {
    const { cluster, client } = await started();
    for (let i = 0; i < 200; i++) await client.put(`k${i}`, `v${i}`);
    const { header } = await client.put("last", "one");
    await Promise.all(cluster.names.map((name) => cluster.crashNode(name)));
    await Promise.all(cluster.names.map((name) => cluster.startNode(name)));
    await eventually(async () => (await client.get("last")).kv?.modRevision === header.revision);
    for (let i = 0; i < 200; i++) {
      expect(utf8Text((await client.get(`k${i}`)).kv!.value)).toBe(`v${i}`);
    }
    const next = await client.put("next", "one");
    expect(next.header.revision).toBe(header.revision + 1);
  });

  test("an orderly stop hands leadership over: no write fails", async () => {
    const { cluster, client } = await started();
    const leader = await leaderOf(cluster, client, "a");
    let stop = false;
    let writes = 0;
    const writing = (async () => {
      while (!stop) {
        await client.put("a", `${writes}`);
        writes++;
      }
    })();
    await eventually(() => writes > 20);
    await cluster.stopNode(leader);
    const before = writes;
    await eventually(() => writes > before + 20);
    stop = true;
    await writing;
    expect(utf8Text((await client.get("a")).kv!.value)).toBe(`${writes - 1}`);
  });
});

test("a replica that lags behind the log is given a snapshot", async () => {
  const { cluster, client } = await started();
  const leader = await leaderOf(cluster, client, "a");
  const lagging = cluster.names.find((name) => name !== leader)!;
  await cluster.crashNode(lagging);
  const value = new Uint8Array(256 * 1024).fill(7);
  const writes = 220;
  for (let i = 0; i < writes; i++) await client.put(`big/${i % 60}`, value);
  await client.put("small", "after");
  await cluster.startNode(lagging);
  const target = await client.get("small");
  await eventually(async () => {
    const status = await client.admin.status(cluster.endpoint(lagging));
    const replica = status.replicas.find((each) => each.shardId === target.header.shardId);
    return replica !== undefined && replica.revision >= target.header.revision;
  }, 20_000);
  // With another node gone the quorum needs what the snapshot brought.
  const other = cluster.names.find((name) => name !== leader && name !== lagging)!;
  await cluster.crashNode(other);
  await eventually(() => client.put("small", "again"));
  for (let i = 0; i < 60; i++) {
    const { kv } = await client.get(`big/${i}`, { level: "follower" });
    expect(kv?.value.length).toBe(value.length);
  }
}, 60_000);

test("in a minority writes and linearizable reads fail soon, stale reads go on", async () => {
  const { cluster, client } = await started();
  await client.put("a", "kept");
  await client.get("a", { level: "stale" });
  const survivor = cluster.names[0]!;
  const lonely = await connect({
    endpoints: [cluster.endpoint(survivor)],
    requestTimeoutMs: 3000,
  });
  cleanups.push(() => lonely.close());
  await eventually(async () => {
    const { kv } = await lonely.get("a", { level: "stale" });
    return kv !== undefined;
  });
  for (const name of cluster.names.slice(1)) await cluster.crashNode(name);
  const failure = await lonely.put("a", "lost").then(
    () => undefined,
    (error: unknown) => KvError.from(error),
  );
  expect(failure?.code).toMatch(/unavailable|timeout|notLeader/);
  await expect(lonely.get("a")).rejects.toBeInstanceOf(KvError);
  const stale = await lonely.get("a", { level: "stale" });
  expect(stale.header.level).toBe("stale");
  expect(utf8Text(stale.kv!.value)).toBe("kept");
}, 30_000);

test("a node whose disk was wiped is refused under its old name, and ends", async () => {
  const { cluster, client } = await started();
  await client.put("a", "1");
  const wiped = cluster.names[2]!;
  await eventually(async () => (await client.admin.members()).length === 3);
  await cluster.crashNode(wiped);
  rmSync(join(cluster.directory, wiped), { recursive: true });
  const { failed } = await cluster.startNode(wiped);
  expect((await failed).message).toMatch(/registered with another data directory/);
  await client.put("a", "2");
  expect(utf8Text((await client.get("a")).kv!.value)).toBe("2");
});
