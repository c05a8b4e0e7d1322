/** What placement decides on one command: whom it refuses, where it puts replicas and leaders. */
import { describe, expect, test } from "vitest";
import { KEYSPACE_SHARDS_MAX, KEY_SIZE_BYTES_MAX } from "../../src/base/limits.js";
import { utf8 } from "../../src/base/bytes.js";
import {
  createKeyspace,
  foundCluster,
  preferLeader,
  replicaCountOn,
} from "../../src/placement/commands.js";
import type { PlacementDecision } from "../../src/placement/decision.js";
import { addMember, registerNode, removeMember } from "../../src/placement/members.js";
import { decodeState } from "../../src/placement/records.js";
import type { PlacementState } from "../../src/placement/records.js";
import { balanceLeaders } from "../../src/placement/schedulers/balance-leader.js";
import type { KeyspaceCreateRequest } from "../../src/protocol/admin-messages.js";
import type { LeaderHint, ShardDescriptor } from "../../src/protocol/cluster.js";
import { founded, founders, nodeOf, placementShard } from "./support.js";

const EMPTY = decodeState([], 0);
/** A cluster of which no node has registered yet. */
const NO_NODES = founded(3, 0).state;

function request(changed: Partial<KeyspaceCreateRequest> = {}): KeyspaceCreateRequest {
  return {
    name: "new",
    kind: "hash",
    splitPoints: [],
    shardCount: 4,
    replicationFactor: 0,
    ...changed,
  };
}

function foundedWith(
  nodeCount: number,
  ...requests: readonly KeyspaceCreateRequest[]
): PlacementState {
  const records = founded(nodeCount);
  for (const each of requests) records.run(createKeyspace(records.state, each));
  return records.state;
}

const refused = (code: string): object => ({
  kind: "refused",
  error: { code, outcome: "notApplied" },
});

test("a cluster is founded once, and by another never", () => {
  const state = NO_NODES;
  const found = (clusterId: string): PlacementDecision =>
    foundCluster(state, clusterId, placementShard(3), founders(3));
  expect(found("abc")).toEqual({ kind: "nothing" });
  expect(found("def")).toMatchObject(refused("wrongCluster"));
});

test("a node may change its addresses, and not lose its data", () => {
  const state = foundedWith(1);
  expect(registerNode(state, nodeOf(1))).toEqual({ kind: "nothing" });
  expect(registerNode(state, nodeOf(1, { peerAddress: "p9" })).kind).toBe("write");
  expect(registerNode(state, nodeOf(1, { incarnation: "2" }))).toMatchObject(
    refused("nodeRefused"),
  );
});

describe("a keyspace is refused", () => {
  test.each<[string, string, Partial<KeyspaceCreateRequest>]>([
    ["invalidArgument", "a bad name", { name: "a/b" }],
    ["keyspaceExists", "a known name", { name: "known" }],
    ["invalidArgument", "too many shards", { shardCount: KEYSPACE_SHARDS_MAX + 1 }],
    ["invalidArgument", "less than no shards", { shardCount: -1 }],
    ["invalidArgument", "split points of hashes", { splitPoints: [utf8("m")] }],
    ["invalidArgument", "an empty split point", { kind: "range", splitPoints: [utf8("")] }],
    [
      "invalidArgument",
      "split points that do not ascend",
      { kind: "range", splitPoints: [utf8("m"), utf8("m")] },
    ],
    [
      "invalidArgument",
      "a split point beyond any key",
      { kind: "range", splitPoints: [new Uint8Array(KEY_SIZE_BYTES_MAX + 1)] },
    ],
    ["invalidArgument", "an even replication factor", { replicationFactor: 2 }],
    ["invalidArgument", "more replicas than nodes", { replicationFactor: 5 }],
    ["invalidArgument", "a number for a name", { name: 5 as unknown as string }],
  ])("%s: %s", (code, _what, changed) => {
    const state = foundedWith(3, request({ name: "known" }));
    expect(createKeyspace(state, request(changed))).toMatchObject(refused(code));
  });

  test("before there is a cluster, and a node in it", () => {
    expect(createKeyspace(EMPTY, request())).toMatchObject(refused("unavailable"));
    expect(createKeyspace(NO_NODES, request())).toMatchObject(refused("unavailable"));
  });
});

describe("replicas", () => {
  const shardsOf = (state: PlacementState): readonly ShardDescriptor[] =>
    state.map!.shards.filter((each) => each.keyspaceId !== 0);

  test("of a shard lie on nodes of their own; all nodes get as many, and as many leaders", () => {
    const shards = shardsOf(foundedWith(5, request({ shardCount: 10 }), request({ name: "b" })));
    const held = new Map<number, number>();
    const led = new Map<number, number>();
    for (const each of shards.slice(0, 10)) {
      expect(new Set(each.replicas.map((replica) => replica.nodeId)).size).toBe(3);
      for (const { nodeId } of each.replicas) held.set(nodeId, (held.get(nodeId) ?? 0) + 1);
      led.set(each.preferredNodeId, (led.get(each.preferredNodeId) ?? 0) + 1);
    }
    expect([...held.values()]).toEqual([6, 6, 6, 6, 6]);
    expect([...led.values()]).toEqual([2, 2, 2, 2, 2]);
  });

  test("are three where there are as many nodes, else one", () => {
    expect(shardsOf(foundedWith(2, request()))[0]!.replicas).toHaveLength(1);
    expect(shardsOf(foundedWith(4, request()))[0]!.replicas).toHaveLength(3);
  });

  test("of the default keyspace are as many as founders, and grow with a lone one's cluster", () => {
    const made = (nodeCount: number): readonly [number, number] => {
      const state = foundedWith(nodeCount, request({ name: "default", shardCount: 1 }));
      return [state.map!.keyspaces[0]!.replicationFactor, shardsOf(state)[0]!.replicas.length];
    };
    expect([1, 3, 5, 7].map(made)).toEqual([
      [3, 1],
      [3, 3],
      [5, 5],
      [7, 7],
    ]);
    const asked = request({ name: "default", replicationFactor: 3 });
    expect(shardsOf(foundedWith(5, asked))[0]!.replicas).toHaveLength(3);
  });

  test("that are not all possible yet are an odd number, and as many as there can be", () => {
    const counts = [1, 2, 3, 4, 5, 6, 7].map((nodeCount) => replicaCountOn(nodeCount, 5));
    expect(counts).toEqual([1, 1, 3, 3, 5, 5, 5]);
  });

  test.each([
    ["of three founders, one late", 3, 2, 3, [1, 2, 3]],
    ["of four founders, one late, three replicas at most", 4, 3, 4, [1, 2, 3]],
    ["of five founders, two late", 5, 3, 5, [1, 2, 3, 4, 5]],
    ["of five founders, two late, three replicas", 5, 3, 3, [1, 2, 3]],
    ["of seven founders, three late, five replicas", 7, 4, 5, [1, 2, 3, 4, 5]],
  ])("lie on founders that are late only where they must: %s", (_what, all, come, factor, on) => {
    const records = founded(all, come);
    const asked = request({ name: "default", shardCount: 3 });
    const given = factor === all ? asked : { ...asked, replicationFactor: factor };
    records.run(createKeyspace(records.state, given));
    for (const { replicas } of shardsOf(records.state)) {
      expect(replicas.map(({ nodeId }) => nodeId).sort((a, b) => a - b)).toEqual(on);
    }
  });

  test("do not lie on a node that was added and has not started, nor on a late one that leaves", () => {
    const records = founded(3, 2);
    const added = { name: "n4", peerAddress: "n4:9", learner: false };
    records.run(addMember(records.state, added));
    const all = { alive: new Set([1, 2]), fit: new Set([1, 2]), reports: new Map() };
    records.run(removeMember(records.state, 3, all));
    records.run(createKeyspace(records.state, request({ name: "default" })));
    for (const { replicas } of shardsOf(records.state)) expect(replicas).toHaveLength(1);
  });

  test("ranges follow on each other without a gap", () => {
    const points = ["d", "m"].map(utf8);
    const shards = shardsOf(foundedWith(1, request({ kind: "range", splitPoints: points })));
    expect(shards).toHaveLength(3);
    for (const [i, each] of shards.slice(1).entries()) {
      expect(each.range.start).toEqual(shards[i]!.range.end);
    }
  });
});

describe("leaderships", () => {
  const state = foundedWith(3, request({ shardCount: 3 }));
  const [, first, second, third] = state.map!.shards as [
    ShardDescriptor,
    ShardDescriptor,
    ShardDescriptor,
    ShardDescriptor,
  ];
  const all = new Set([1, 2, 3]);
  const other = (shard: ShardDescriptor): number => (shard.preferredNodeId % 3) + 1;
  const ledBy = (...pairs: [ShardDescriptor, number][]): Map<number, LeaderHint> =>
    new Map(pairs.map(([shard, nodeId]) => [shard.shardId, { nodeId } as LeaderHint]));

  test("are preferred only where a voter is", () => {
    expect(preferLeader(state, first.shardId, first.preferredNodeId)).toEqual({ kind: "nothing" });
    expect(preferLeader(state, first.shardId, other(first)).kind).toBe("write");
    expect(preferLeader(state, first.shardId, 9)).toMatchObject(refused("invalidArgument"));
    expect(preferLeader(state, 999, 1)).toMatchObject(refused("shardNotFound"));
  });

  test("are moved to where they are preferred, a few at a time", () => {
    const leaders = ledBy([first, other(first)], [second, other(second)], [third, other(third)]);
    const steps = balanceLeaders(state.map!, leaders, all, 2);
    expect(steps).toEqual(
      [first, second].map((shard) => ({
        shardId: shard.shardId,
        generation: shard.generation,
        fromNodeId: other(shard),
        toNodeId: shard.preferredNodeId,
      })),
    );
  });

  test("stay where they are right, or not known, or one of the two nodes is dead", () => {
    const right = ledBy([first, first.preferredNodeId]);
    expect(balanceLeaders(state.map!, right, all, 9)).toEqual([]);
    const wrong = ledBy([second, other(second)]);
    for (const dead of [second.preferredNodeId, other(second)]) {
      const alive = new Set([...all].filter((id) => id !== dead));
      expect(balanceLeaders(state.map!, wrong, alive, 9)).toEqual([]);
    }
  });
});
