/**
 * What a node's gateway gives of its node: members, as they are confirmed or as it knows them; what
 * its replica has applied, where a watch begins and goes on without the others.
 */
import { afterEach, expect, test } from "vitest";
import { SdkBackend } from "../../src/cli/etcd-backend.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../../src/protocol/cluster.js";
import type { NodeDescriptor } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import { rangeOf } from "../../src/protocol/operations.js";
import type { Compare, PutOperation } from "../../src/protocol/operations.js";
import { READ_LEVELS } from "../../src/protocol/key-value.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { keyspaceRange } from "../../src/route/stored-key.js";
import { FakeCluster, preload } from "../support/fake-cluster.js";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { errorOf } from "../support/error-of.js";
import { testEnv } from "../support/test-env.js";

const OWN_NODE = 1;
const REQUEST_BYTES_MAX = 1024 * 1024;

let backend: SdkBackend;

afterEach(() => backend.close());

/** The backend of a node that follows. */
async function following(): Promise<FakeCluster> {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  for (const { shardId } of cluster.map.shards) cluster.moveLeader(shardId, 2);
  backend = new SdkBackend(testEnv({ time: "real", network: cluster.network }), {
    address: cluster.addressOf(OWN_NODE),
    nodeId: OWN_NODE,
    clusterId: 1n,
    requestSizeBytesMax: REQUEST_BYTES_MAX,
    isLearner: () => false,
  });
  return cluster;
}

/** The same, and it has not heard of the last member that came. */
async function lagging(): Promise<FakeCluster> {
  const cluster = await following();
  const { map } = cluster;
  cluster.stale.set(OWN_NODE, { ...map, version: 4, nodes: map.nodes.slice(0, 2) });
  cluster.map = { ...map, version: 5 };
  return cluster;
}

function idsOf(members: readonly NodeDescriptor[]): readonly number[] {
  return members.map(({ nodeId }) => nodeId);
}

test("members without more being asked are those that the node knows, asked alone", async () => {
  const cluster = await lagging();
  expect(idsOf(await backend.members("serializable"))).toEqual([1, 2]);
  const before = cluster.seen.length;
  await backend.members("serializable");
  const asked = cluster.seen.slice(before).filter(({ type }) => type === MESSAGE_TYPES.map);
  expect(new Set(asked.map(({ nodeId }) => nodeId))).toEqual(new Set([OWN_NODE]));
});

test("its status is asked of nobody else", async () => {
  const cluster = await lagging();
  for (let i = 0; i < 4; i++) await backend.status().catch(() => undefined);
  const asked = cluster.seen.filter(({ type }) => type === MESSAGE_TYPES.map).slice(1);
  expect([asked.length, ...new Set(asked.map(({ nodeId }) => nodeId))]).toEqual([4, OWN_NODE]);
});

test("a node that has not heard of its cluster yet lists no members, not none", async () => {
  const cluster = await lagging();
  cluster.stale.set(OWN_NODE, { ...cluster.map, version: 0, nodes: [], keyspaces: [], shards: [] });
  const error = await errorOf(backend.members("serializable"));
  expect(error).toMatchObject({ code: "unavailable", outcome: "notApplied" });
});

test("founders have their names from the founding on, others once they have started", async () => {
  const cluster = await lagging();
  const nodes = cluster.map.nodes.map((node) => ({ ...node, incarnation: "", clientAddress: "" }));
  const founding = {
    shardId: PLACEMENT_SHARD_ID,
    keyspaceId: SYSTEM_KEYSPACE_ID,
    range: keyspaceRange(SYSTEM_KEYSPACE_ID),
    epoch: { configuration: 1, range: 1 },
    generation: 1,
    replicas: [{ replicaId: 1, nodeId: 3, role: "voter" as const }],
    preferredNodeId: 3,
  };
  cluster.stale.set(OWN_NODE, { ...cluster.map, nodes, shards: [founding] });
  const members = await backend.members("serializable");
  expect(members.map(({ nodeId, isNamed }) => [nodeId, isNamed === true])).toEqual([
    [1, false],
    [2, false],
    [3, true],
  ]);
});

test("members that have to be confirmed are those of now, and known from then on", async () => {
  await lagging();
  expect(idsOf(await backend.members("linearizable"))).toEqual([1, 2, 3]);
  expect(idsOf(await backend.members("serializable"))).toEqual([1, 2, 3]);
});

test("where nobody confirms them they are refused, and told as far as known", async () => {
  const cluster = await lagging();
  await backend.members("serializable");
  cluster.interfere = ({ nodeId, type }) =>
    nodeId === OWN_NODE && type === MESSAGE_TYPES.map
      ? undefined
      : notApplied("unavailable", "cut off");
  const error = await errorOf(backend.members("linearizable"));
  expect(error).toMatchObject({ code: "timeout" });
  expect(idsOf(await backend.members("serializable"))).toEqual([1, 2]);
}, 20_000);

const WATCH = {
  key: bytesOf("k"),
  rangeEnd: undefined,
  prevKv: false,
  noPut: false,
  noDelete: false,
};

function putting(value: Uint8Array): PutOperation {
  const options = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", key: bytesOf("k"), value, ...options };
}

async function put(value: Uint8Array = bytesOf("v")): Promise<void> {
  await backend.put(putting(value));
}

test("what is within etcd's limit on a request is not refused for our own framing of it", async () => {
  await following();
  await put(new Uint8Array(REQUEST_BYTES_MAX - 23));
  const each = new Uint8Array(REQUEST_BYTES_MAX / 128 - 23);
  const puts = Array.from({ length: 128 }, () => putting(each));
  const compares = puts.map(({ key }): Compare => {
    return { key, rangeEnd: undefined, result: "equal", target: { kind: "version", value: 0 } };
  });
  const read = rangeOf(bytesOf("k"));
  const failure = puts.map(() => read);
  const answer = await backend.txn({ compares, success: puts, failure }, "linearizable");
  expect(answer.revision).toBeGreaterThan(0);
});

/** From now on the node reaches nobody but itself, and does alone what one can do alone. */
function cutOff(cluster: FakeCluster): void {
  cluster.interfere = ({ nodeId, level, type }) =>
    nodeId === OWN_NODE && (level === READ_LEVELS.stale || type >= MESSAGE_TYPES.sequence)
      ? undefined
      : notApplied("unavailable", "cut off");
}

test("what a node says of itself is asked of nobody else", async () => {
  const cluster = await following();
  await backend.members("serializable");
  cutOff(cluster);
  const before = cluster.seen.length;
  expect(await backend.status()).toMatchObject({ leaderNodeId: 2 });
  expect(new Set(cluster.seen.slice(before).map(({ nodeId }) => nodeId))).toEqual(new Set([1]));
});

test("a watch begins behind all that was answered anywhere while that is confirmed", async () => {
  const cluster = await following();
  preload(cluster, "default", ["k", "k"]);
  cluster.lagging.set(OWN_NODE, 2);
  expect(await backend.watchRevision()).toBe(3);
});

test("a watch begins at what its node has applied where nobody confirms more", async () => {
  const cluster = await following();
  preload(cluster, "default", ["k", "k"]);
  cutOff(cluster);
  const startMs = performance.now();
  expect(await backend.watchRevision()).toBe(3);
  expect(performance.now() - startMs).toBeLessThan(2000);
  cluster.interfere = () => undefined;
  preload(cluster, "default", ["k"]);
  cluster.lagging.set(OWN_NODE, 3);
  await eventually(async () => expect(await backend.watchRevision()).toBe(4));
});

test("a watch begins behind what was answered here, though its node has not applied it", async () => {
  const cluster = await following();
  cluster.lagging.set(OWN_NODE, 1);
  await put();
  cutOff(cluster);
  expect(await backend.watchRevision()).toBe(2);
});

test("a watch draws from its own node's replica, also while the leader is out of reach", async () => {
  const cluster = await following();
  await put();
  cutOff(cluster);
  const before = cluster.seen.length;
  const watch = backend.watch({ ...WATCH, startRevision: 2 });
  expect(await watch.next()).toMatchObject({ revision: 2 });
  const asked = cluster.seen.slice(before).filter(({ type }) => type === MESSAGE_TYPES.watch);
  expect(asked.map(({ nodeId }) => nodeId)).toEqual([OWN_NODE]);
  watch.cancel();
});

test("a watch from before a compaction that was answered here has nothing to begin with", async () => {
  const cluster = await following();
  preload(cluster, "default", ["k", "k"]);
  await backend.compact(3, false);
  // The node's own replica has not heard of it.
  cluster.history("default").compacted = 0;
  const late = backend.watch({ ...WATCH, startRevision: 2 });
  expect(await errorOf(late.next())).toMatchObject({ code: "compacted", details: { bound: 3 } });
  const watch = backend.watch({ ...WATCH, startRevision: 3 });
  expect(await watch.next()).toMatchObject({ revision: 3 });
  watch.cancel();
});

test("a watch from before a later compaction, that another node answered, is told of that", async () => {
  const cluster = await following();
  preload(cluster, "default", ["k", "k", "k"]);
  await backend.compact(3, false);
  cluster.history("default").compacted = 4;
  const late = backend.watch({ ...WATCH, startRevision: 2 });
  expect(await errorOf(late.next())).toMatchObject({ code: "compacted", details: { bound: 4 } });
});
