/** What the harness orders as an operator: the next step by the map, plans that lose nothing. */
import { expect, test } from "vitest";
import { isWhole } from "../../../jepsen-style/processes/nemeses-replace.js";
import { swapPlan } from "../../../jepsen-style/processes/nemeses-members.js";
import { moveReplica, nextChange } from "../../../jepsen-style/processes/operations.js";
import type { Cluster } from "../../../jepsen-style/processes/cluster.js";
import { Prng } from "../../../src/base/prng.js";
import type {
  ClusterMap,
  NodeDescriptor,
  ReplicaDescriptor,
  ShardDescriptor,
} from "../../../src/protocol/cluster.js";
import type { ReplicaChangeRequest } from "../../../src/protocol/admin-messages.js";
import { notApplied } from "../../../src/protocol/errors.js";

const NODES = 5;
const SHARD = 2;

function node(nodeId: number, change: Partial<NodeDescriptor> = {}): NodeDescriptor {
  const addresses = { clientAddress: `c${nodeId}`, peerAddress: `p${nodeId}` };
  return { nodeId, name: `n${nodeId}`, ...addresses, incarnation: "i", labels: {}, ...change };
}

function voters(...nodeIds: readonly number[]): ReplicaDescriptor[] {
  return nodeIds.map((nodeId) => ({ replicaId: 10 + nodeId, nodeId, role: "voter" }));
}

function mapOf(
  replicas: readonly ReplicaDescriptor[],
  change: Partial<ShardDescriptor> = {},
  nodes = Array.from({ length: NODES }, (_, at) => node(at + 1)),
): ClusterMap {
  const shard = { shardId: SHARD, replicas, preferredNodeId: 1, ...change } as ShardDescriptor;
  return { nodes, shards: [shard] } as unknown as ClusterMap;
}

const MOVE = { shardId: SHARD, from: 1, to: 4 };
const learner: ReplicaDescriptor = { replicaId: 20, nodeId: 4, role: "learner" };

test.each([
  ["add", mapOf(voters(1, 2, 3))],
  ["promote", mapOf([...voters(1, 2, 3), learner])],
  ["remove", mapOf(voters(1, 2, 3, 4))],
  ["done", mapOf(voters(2, 3, 4))],
  ["wait", mapOf(voters(1, 2, 3), { target: voters(1, 2) })],
  ["wait", mapOf([...voters(1, 2, 3), { ...learner, leaving: true }])],
  ["wait", mapOf([...voters(2, 3, 4), { ...learner, nodeId: 1, leaving: true }])],
  ["void", mapOf(voters(1, 2, 3), {}, [node(1), node(2), node(3)])],
  ["void", mapOf(voters(1, 2, 3), {}, [node(1), node(4, { state: "leaving" })])],
  ["void", { ...mapOf(voters(1, 2, 3)), shards: [] }],
] as const)("the next step of a move: %s", (step, map) => {
  expect(nextChange(map, MOVE)).toBe(step);
});

test("a move goes on over refusals and answers that got lost, and asks for nothing twice", async () => {
  let replicas = voters(1, 2, 3);
  const asked: string[] = [];
  const changeReplica = ({ action, nodeId }: ReplicaChangeRequest): Promise<void> => {
    asked.push(`${action} ${nodeId}`);
    if (asked.length === 1) return Promise.reject(notApplied("unavailable", "no leader"));
    if (action === "add") replicas = [...replicas, learner];
    if (action === "promote") replicas = voters(1, 2, 3, 4);
    if (action === "remove") replicas = voters(2, 3, 4);
    return Promise.reject(notApplied("timeout", "nobody answered"));
  };
  const map = (): Promise<object> => Promise.resolve({ clusterMap: mapOf(replicas) });
  const cluster = { observer: { admin: { map, changeReplica } } } as unknown as Cluster;
  expect(await moveReplica(cluster, MOVE, 10_000)).toBe("done");
  expect(asked).toEqual(["add 4", "add 4", "promote 4", "remove 1"]);
});

test("a move that nobody takes is late", async () => {
  const changeReplica = (): Promise<void> => Promise.reject(notApplied("unavailable", "no leader"));
  const map = (): Promise<object> => Promise.resolve({ clusterMap: mapOf(voters(1, 2, 3)) });
  const cluster = { observer: { admin: { map, changeReplica } } } as unknown as Cluster;
  expect(await moveReplica(cluster, MOVE, 10)).toBe("late");
});

test("a plan of a swap takes a majority where there are nodes for it, and no node twice", () => {
  const plans = Array.from({ length: 50 }, (_, seed) => {
    return swapPlan(mapOf(voters(1, 2, 3)), { prng: new Prng(seed) })!;
  });
  for (const { shardId, pairs } of plans) {
    expect([shardId, pairs.length]).toEqual([SHARD, 2]);
    expect(new Set(pairs.map(([, to]) => to))).toEqual(new Set([4, 5]));
    expect(new Set(pairs.map(([from]) => from)).size).toBe(2);
    for (const [from] of pairs) expect([1, 2, 3]).toContain(from);
  }
  const leaderFirst = plans.filter(({ pairs }) => pairs[0]?.[0] === 1).length;
  expect(leaderFirst).toBeGreaterThan(plans.length / 2);
  expect(swapPlan(mapOf(voters(1, 2, 3, 4, 5)), { prng: new Prng(1) })).toBeUndefined();
});

test("a disk may be lost only while nothing else is missing", () => {
  expect(isWhole(mapOf(voters(1, 2, 3)))).toBe(true);
  const others = [2, 3, 4, 5].map((id) => node(id));
  for (const lacking of [
    mapOf(voters(1, 2)),
    mapOf([...voters(1, 2), learner]),
    mapOf(voters(1, 2, 3), { target: voters(2, 3) }),
    mapOf(voters(1, 2, 3), {}, [node(1, { state: "leaving" }), ...others]),
    mapOf(voters(1, 2, 3), {}, [node(1, { incarnation: "" }), ...others]),
  ]) {
    expect(isWhole(lacking)).toBe(false);
  }
});
