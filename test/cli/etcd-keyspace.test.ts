/** What a node shows of the default keyspace, by its replicas and by the map. */
import { expect, test } from "vitest";
import { shownReplicas } from "../../src/cli/etcd-keyspace.js";
import type { ReplicaStatus } from "../../src/protocol/admin-messages.js";
import { clusterMap } from "../support/cluster-maps.js";

const SHARD_ID = 100;
const LEADS = { shardId: SHARD_ID, nodeId: 1, term: 7 };

function replica(role: ReplicaStatus["role"]): ReplicaStatus {
  return {
    shardId: SHARD_ID,
    keyspaceId: 10,
    replicaId: 1,
    role,
    leaderNodeId: 1,
    term: 7,
    commitIndex: 5,
    appliedIndex: 4,
    revision: 3,
    closedRevision: 3,
    compactedRevision: 0,
    storedBytes: 9,
    writesFailed: 2,
  };
}

function shown(
  nodeId: number,
  replicas: readonly ReplicaStatus[],
  learner?: true,
): ReturnType<typeof shownReplicas> {
  const plain = clusterMap([{ name: "default", kind: "range", cuts: [] }]);
  const nodes = plain.nodes.map((node) => (node.nodeId === nodeId ? { ...node, learner } : node));
  return shownReplicas({ nodeId, replicas }, { clusterMap: { ...plain, nodes }, leaders: [LEADS] });
}

test("a node shows its replica", () => {
  expect(shown(2, [replica("follower")])).toMatchObject({
    leaderNodeId: 1,
    term: 7,
    commitIndex: 5,
    isLearner: false,
    writesFailed: 2,
  });
});

test("a node without one knows the leader by hearsay", () => {
  expect(shown(2, [])).toMatchObject({ leaderNodeId: 1, term: 7, revision: 0, isLearner: false });
});

test("a member that learns is a learner, with a replica and without", () => {
  expect(shown(2, [], true).isLearner).toBe(true);
  expect(shown(2, [replica("learner")], true).isLearner).toBe(true);
  expect(shown(2, [replica("learner")]).isLearner).toBe(true);
});
