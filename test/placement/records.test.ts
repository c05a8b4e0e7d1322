/** The records of placement: what is written is read back, by key order and by number. */
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import {
  FIRST_COUNTERS,
  clusterRecord,
  countersRecord,
  decodeState,
  keyspaceRecord,
  nodeRecord,
  reservedRecord,
  shardRecord,
} from "../../src/placement/records.js";
import type {
  KeyspaceDescriptor,
  NodeDescriptor,
  ShardDescriptor,
} from "../../src/protocol/cluster.js";

const NODE: NodeDescriptor = {
  nodeId: 2 ** 47,
  name: "a",
  clientAddress: "a:1",
  peerAddress: "a:2",
  labels: { zone: "east" },
  incarnation: "disk",
};
const KEYSPACE: KeyspaceDescriptor = {
  keyspaceId: 7,
  name: "seven",
  kind: "hash",
  dense: false,
  replicationFactor: 3,
};
const shard = (shardId: number, end: Uint8Array | undefined): ShardDescriptor => ({
  shardId,
  keyspaceId: 7,
  range: { start: Uint8Array.of(0, 7, 255), end },
  epoch: { configuration: 2, range: 3 },
  generation: 4,
  replicas: [{ replicaId: 1, nodeId: NODE.nodeId, role: "voter" }],
  preferredNodeId: NODE.nodeId,
});

const COUNTERS = { shardId: 12, keyspaceId: 8, replicaId: 20, memberSerial: 3 };

test("no records are a cluster that is not founded yet", () => {
  expect(decodeState([], 0)).toEqual({
    map: undefined,
    counters: FIRST_COUNTERS,
    reserved: new Map(),
    placementReplicas: 3,
  });
});

test("everything that is written is read back", () => {
  const shards = [shard(10, Uint8Array.of(0, 8)), shard(11, undefined)];
  const records = [
    clusterRecord("abc", 5),
    countersRecord(COUNTERS),
    keyspaceRecord(KEYSPACE),
    nodeRecord(NODE),
    ...shards.map(shardRecord),
    reservedRecord(7, 5000),
  ];
  expect(decodeState(records, 42)).toEqual({
    map: {
      clusterId: "abc",
      version: 42,
      nodes: [NODE],
      keyspaces: [KEYSPACE],
      shards,
      removedNodes: [],
      nextReplicaId: 20,
    },
    counters: COUNTERS,
    reserved: new Map([[7, 5000]]),
    placementReplicas: 5,
  });
});

test("a shard that the counters are not past is not part of the state", () => {
  const records = [clusterRecord("abc", 5), countersRecord({ ...COUNTERS, shardId: 11 })];
  for (const id of [10, 11, 12]) records.push(shardRecord(shard(id, undefined)));
  expect(decodeState(records, 1).map?.shards.map((each) => each.shardId)).toEqual([10]);
});

describe("a record", () => {
  test("sorts by number", () => {
    const keys = [9, 10, 2 ** 48].map((id) => shardRecord(shard(id, undefined)).key);
    expect([...keys].sort()).toEqual(keys);
  });

  test("can be read by eye", () => {
    const { key, value } = reservedRecord(7, 5000);
    expect([key, utf8Text(value)]).toEqual(["sequencer/0000000000000007", '{"reservedTo":5000}']);
  });

  test("that is no JSON is named", () => {
    expect(() => decodeState([{ key: "cluster", value: utf8("{") }], 1)).toThrow(
      /placement record cluster is not JSON/,
    );
  });
});
