/** A full disk ends no node: neither a change of the map nor a snapshot that does not fit does. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { FillableDisk } from "../support/fillable-disk.js";
import { TestCluster } from "../support/test-cluster.js";

const MEBIBYTE = 1024 * 1024;

const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);
const cleanups: (() => Promise<void>)[] = [];

beforeEach(() => {
  uncaught.length = 0;
  process.on("uncaughtException", note);
});

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
  process.off("uncaughtException", note);
});

interface Started {
  readonly cluster: TestCluster;
  readonly client: Client;
  readonly disks: Map<string, FillableDisk>;
  readonly follower: string;
}

async function started(memtablesBytesMax = 32 * MEBIBYTE): Promise<Started> {
  const disks = new Map<string, FillableDisk>();
  const cluster = await TestCluster.start({
    config: { memtablesBytesMax },
    disk: (name, disk) => {
      const fillable = new FillableDisk(disk);
      disks.set(name, fillable);
      return fillable;
    },
  });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 8000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  await eventually(async () => (await client.admin.members()).length === 3);
  const leader = cluster.nameOf((await client.put("a", "b")).header.nodeId);
  const follower = cluster.names.find((name) => name !== leader)!;
  return { cluster, client, disks, follower };
}

function shardsAt(client: Client, cluster: TestCluster, name: string): Promise<number[]> {
  return client.admin
    .status(cluster.endpoint(name))
    .then((status) => status.replicas.map((each) => each.shardId));
}

/** Such a map is much to read and write for a machine that has other work. */
const SLOW_MS = 25_000;

test("a change of the map is taken, and its replicas open when there is room", async () => {
  const { cluster, client, disks, follower } = await started();
  disks.get(follower)!.full = true;
  // Longer than what the manifest holds in reserve.
  const splitPoints = Array.from({ length: 20 }, (_, i) => {
    const point = new Uint8Array(32 * 1024).fill(97);
    point[0] = 97 + i;
    return point;
  });
  await client.admin.createKeyspace({ name: "more", kind: "range", splitPoints });
  const { clusterMap } = await client.admin.map();
  const wanted = clusterMap.shards.map((each) => each.shardId);
  // A shard that is led where there is room takes writes.
  const led = clusterMap.shards.find(
    ({ preferredNodeId, range }) =>
      range.start.length > 4 && cluster.nameOf(preferredNodeId) !== follower,
  );
  await eventually(() => client.keyspace("more").put(led!.range.start.slice(4), "1"), SLOW_MS);
  const other = cluster.names.find((name) => name !== follower)!;
  await eventually(
    async () => (await shardsAt(client, cluster, other)).length === wanted.length,
    SLOW_MS,
  );
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect((await shardsAt(client, cluster, follower)).length).toBeLessThan(wanted.length);
  expect(uncaught).toEqual([]);
  disks.get(follower)!.full = false;
  await eventually(async () => {
    const open = new Set(await shardsAt(client, cluster, follower));
    return wanted.every((shardId) => open.has(shardId));
  }, SLOW_MS);
  expect(uncaught).toEqual([]);
}, 90_000);

test("a snapshot that does not fit is refused, and comes when there is room", async () => {
  const { cluster, client, disks, follower } = await started(24 * MEBIBYTE);
  await cluster.crashNode(follower);
  const value = new Uint8Array(256 * 1024).fill(7);
  const put = async (i: number): Promise<void> =>
    void (await eventually(() => client.put(`base/${i}`, value)));
  for (let i = 0; i < 240; i += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, j) => put(i + j)));
  }
  const { header } = await eventually(() => client.put("small", "after"));
  await cluster.startNode(follower);
  disks.get(follower)!.full = true;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(uncaught).toEqual([]);
  disks.get(follower)!.full = false;
  await eventually(async () => {
    const { replicas } = await client.admin.status(cluster.endpoint(follower));
    const replica = replicas.find((each) => each.shardId === header.shardId);
    return replica !== undefined && replica.revision >= header.revision;
  }, 15_000);
  expect(uncaught).toEqual([]);
}, 40_000);

test("a leader whose disk fills up hands over, and writes go on", async () => {
  const { cluster, client, disks } = await started();
  const leader = cluster.nameOf((await client.put("a", "1")).header.nodeId);
  disks.get(leader)!.full = true;
  const { header } = await eventually(async () => {
    const answer = await client.put("a", "2");
    return cluster.nameOf(answer.header.nodeId) !== leader && answer;
  });
  expect(cluster.nameOf(header.nodeId)).not.toBe(leader);
  for (let i = 0; i < 50; i++) await client.put("a", `${i}`);
  const endpoint = cluster.endpoint(leader);
  expect((await client.admin.status(endpoint)).alarms).toEqual(["noSpace"]);
  disks.get(leader)!.full = false;
  await eventually(async () => (await client.admin.status(endpoint)).alarms?.length === 0);
  expect(uncaught).toEqual([]);
});

/** Writes until the room that the logs had prepared is used up and no more entries are taken. */
async function fillLogs(client: Client): Promise<void> {
  const value = new Uint8Array(MEBIBYTE);
  for (;;) {
    const puts = Array.from({ length: 8 }, (_, i) => client.put(`fill/${i}`, value));
    const ended = await Promise.allSettled(puts);
    if (ended.every(({ status }) => status === "rejected")) return;
  }
}

test("a leader that dies while all disks are full has a successor, which serves reads", async () => {
  const { cluster, client, disks } = await started();
  const leader = cluster.nameOf((await client.put("a", "1")).header.nodeId);
  for (const disk of disks.values()) {
    disk.full = true;
    disk.tellsRoom = true;
  }
  await fillLogs(client);
  for (const name of cluster.names) {
    await eventually(
      async () => (await client.admin.status(cluster.endpoint(name))).alarms?.length === 1,
    );
  }
  await cluster.crashNode(leader);
  const { kv } = await eventually(() => client.get("a"), SLOW_MS);
  expect(utf8Text(kv!.value)).toBe("1");
  await expect(client.put("a", "2")).rejects.toMatchObject({ code: "noSpace" });
  expect(uncaught).toEqual([]);
}, 60_000);
