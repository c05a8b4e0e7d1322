/** The commands about members and replicas: what they ask for, and what they print. */
import { describe, expect, test } from "vitest";
import type { StatusResponse } from "../../src/protocol/admin-messages.js";
import { replicaSheet } from "../../src/cli/replica-sheet.js";
import { FakeClient, MAP } from "./fake-client.js";
import { flotctl } from "./run.js";

const CLUSTER = "              2a";

describe("member", () => {
  test("add prints what the new node has to be started with", async () => {
    const { out, client } = await flotctl(["member", "add", "n4", "--peer-urls", "http://h:2380"]);
    expect(client.requests).toEqual(["addMember n4 h:2380 false"]);
    expect(out.split("\n")).toEqual([
      `Member               4d added to cluster ${CLUSTER}`,
      "",
      'FLOTILLA_NAME="n4"',
      `FLOTILLA_INITIAL_CLUSTER="${MAP.nodes.map((node) => `${node.name}=${node.peerAddress}`).join(",")},n4=h:2380"`,
      'FLOTILLA_ADVERTISE_PEER="h:2380"',
      'FLOTILLA_INITIAL_CLUSTER_STATE="existing"',
      "",
    ]);
  });

  test("add takes a learner, and one address", async () => {
    const learner = await flotctl(["member", "add", "n4", "--peer-address", "h:1", "--learner"]);
    expect(learner.out).toContain(`4d added as learner to cluster ${CLUSTER}\n`);
    expect((await flotctl(["member", "add", "n4"])).code).toBe(128);
    const two = await flotctl(["member", "add", "n4", "--peer-urls", "a:1,b:1"]);
    expect([two.code, two.err]).toEqual([128, expect.stringContaining("one peer address")]);
  });

  test.each([
    [["remove", "n2"], "removeMember 2", `Member                2 removed from cluster ${CLUSTER}`],
    [["promote", "2"], "promoteMember 2", `Member                2 promoted in cluster ${CLUSTER}`],
    [
      ["update", "n2", "--peer-urls", "h:9"],
      "updateMember 2 h:9",
      `Member                2 updated in cluster ${CLUSTER}`,
    ],
  ])("%j", async (args, request, sentence) => {
    const { out, client } = await flotctl(["member", ...args]);
    expect(client.requests).toEqual([request]);
    expect(out).toBe(`${sentence}\n`);
  });

  test("remove says what is still to move when it has waited long enough", async () => {
    const client = new FakeClient();
    client.replicasLeft = 3;
    const { out, code } = await flotctl(["member", "remove", "n1"], { client });
    expect(out).toBe(`Member                1 is leaving cluster ${CLUSTER}: 3 replicas to move\n`);
    expect(code).toBe(0);
  });

  test("a member that is not there is named", async () => {
    const { code, err } = await flotctl(["member", "remove", "n9"]);
    expect([code, err]).toEqual([1, expect.stringContaining("member not found: n9")]);
  });
});

describe("shard replicas", () => {
  test("changes one replica at a time, then shows all", async () => {
    const { out, client } = await flotctl(["shard", "replicas", "2", "--add", "n3"]);
    expect(client.requests).toEqual(["changeReplica 2 add 3"]);
    expect(out.split("\n")).toHaveLength(4);
    const two = await flotctl(["shard", "replicas", "2", "--add", "n3", "--remove", "n1"]);
    expect([two.code, two.err]).toEqual([128, expect.stringContaining("one change at a time")]);
    expect((await flotctl(["shard", "replicas", "9"])).err).toContain("there is no shard 9");
  });

  test("shows who leads, who follows how far, who is to come, and who does not answer", () => {
    const shard = MAP.shards[0]!;
    const target = [...shard.replicas, { replicaId: 8, nodeId: 9, role: "learner" as const }];
    const own = { shardId: 2, keyspaceId: 1, leaderNodeId: 1, term: 5, commitIndex: 9 };
    const rest = { revision: 1, closedRevision: 1, compactedRevision: 0, storedBytes: 0 };
    const followers = [{ replicaId: 2, matchIndex: 7, state: "replicate" }];
    const statuses = [
      { ...own, ...rest, replicaId: 1, role: "leader", appliedIndex: 9, followers },
      { ...own, ...rest, replicaId: 2, role: "follower", appliedIndex: 6 },
    ].map((replica) => ({ replicas: [replica] }) as unknown as StatusResponse);
    expect(replicaSheet(MAP, { ...shard, target }, statuses).rows).toEqual([
      ["n1", 1, "voter", "-", 9, "leader"],
      ["n2", 2, "voter", 7, 6, "replicate"],
      ["n3", 3, "voter", "-", "-", "unreachable"],
      ["9", 8, "learner", "-", "-", "unreachable"],
    ]);
  });
});
