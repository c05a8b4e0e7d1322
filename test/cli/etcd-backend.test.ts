/** The members as a node's gateway gives them: what is confirmed, or what its node knows. */
import { afterEach, expect, test } from "vitest";
import { SdkBackend } from "../../src/cli/etcd-backend.js";
import type { NodeDescriptor } from "../../src/protocol/cluster.js";
import { notApplied } from "../../src/protocol/errors.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { FakeCluster } from "../support/fake-cluster.js";
import { errorOf } from "../support/error-of.js";
import { testEnv } from "../support/test-env.js";

const OWN_NODE = 1;

let backend: SdkBackend;

afterEach(() => backend.close());

/** The backend of a node that has not heard of the last member that came. */
async function lagging(): Promise<FakeCluster> {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  const { map } = cluster;
  cluster.stale.set(OWN_NODE, { ...map, version: 4, nodes: map.nodes.slice(0, 2) });
  cluster.map = { ...map, version: 5 };
  for (const { shardId } of map.shards) cluster.moveLeader(shardId, 2);
  backend = new SdkBackend(testEnv({ time: "real", network: cluster.network }), {
    address: cluster.addressOf(OWN_NODE),
    nodeId: OWN_NODE,
    clusterId: 1n,
    requestSizeBytesMax: 1024 * 1024,
  });
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
  expect([...new Set(asked.map(({ nodeId }) => nodeId))]).toEqual([OWN_NODE]);
});

test("its status is asked of nobody else", async () => {
  const cluster = await lagging();
  for (let i = 0; i < 4; i++) await backend.status().catch(() => undefined);
  const asked = cluster.seen.filter(({ type }) => type === MESSAGE_TYPES.map).slice(1);
  expect([asked.length, ...new Set(asked.map(({ nodeId }) => nodeId))]).toEqual([4, OWN_NODE]);
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
