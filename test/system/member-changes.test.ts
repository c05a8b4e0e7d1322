/** Real processes: a node is found at another address, and one that was added as learner votes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { GrpcOutcome } from "../../scripts/bench/grpc-client.js";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { ProcessCluster, settingsIn } from "../support/processes.js";

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start();
}, 60_000);

afterAll(async () => {
  await cluster.close();
});

/** Waits until the user's shard has a voter on each of these nodes, and no other replica. */
async function untilOn(...names: readonly string[]): Promise<void> {
  await eventually(async () => {
    const lines = (await cluster.flotctl("shard", "replicas", "2")).trim().split("\n");
    const voters = lines.filter((line) => /, voter, \d+, \d+, (replicate|leader)$/.test(line));
    expect(voters.map((line) => line.split(",")[0]!).toSorted()).toEqual(names);
    expect(lines).toHaveLength(names.length);
  }, 20_000);
}

test("a node with another peer port is found there once its member is updated", async () => {
  await untilOn("n1", "n2", "n3");
  expect(await cluster.signal("n3", "SIGTERM")).toBe(0);
  expect(await cluster.flotctl("put", "while", "away")).toBe("OK\n");
  const before = cluster.peerAddress("n3");
  await cluster.movePeer("n3");
  const after = cluster.peerAddress("n3");
  expect(await cluster.flotctl("member", "update", "n3", "--peer-urls", after)).toMatch(
    /^Member [ 0-9a-f]{16} updated in cluster [ 0-9a-f]{16}\n$/,
  );
  const list = await cluster.flotctl("member", "list");
  expect(list).toContain(after);
  expect(list).not.toContain(before);
  cluster.startNode("n3");
  await untilOn("n1", "n2", "n3");
  // It counts: with n1 gone, nothing is written without it.
  await cluster.signal("n1", "SIGKILL");
  expect(await cluster.flotctl("put", "with", "n3")).toBe("OK\n");
  expect(await cluster.flotctl("get", "while", "--print-value-only")).toBe("away\n");
  cluster.startNode("n1");
  await untilOn("n1", "n2", "n3");
}, 60_000);

test("a learner member takes over a voter's replicas once it is promoted, not before", async () => {
  await cluster.prepare("n4");
  const address = cluster.peerAddress("n4");
  const printed = await cluster.flotctl("member", "add", "n4", "--peer-urls", address, "--learner");
  expect(printed).toMatch(/^Member [ 0-9a-f]{16} added as learner to cluster/);
  const early = await cluster.run(["member", "promote", "n4"]);
  expect([early.code, early.stderr]).toEqual([1, expect.stringContaining("has not started yet")]);
  cluster.startNode("n4", [], settingsIn(printed));
  await eventually(async () => {
    expect(await cluster.flotctl("member", "list")).toMatch(/, started, n4, .*, true$/m);
  }, 20_000);
  const n4 = new GrpcClient(cluster.endpoint("n4"));
  const request = { key: bytesOf("by"), value: bytesOf("n4") };
  const put = (): Promise<GrpcOutcome> => n4.call("/etcdserverpb.KV/Put", "Put", request);
  const refused = { status: 14, message: "etcdserver: rpc not supported for learner" };
  expect(await put()).toMatchObject(refused);
  const range = { key: bytesOf("while"), serializable: true };
  expect(await n4.call("/etcdserverpb.KV/Range", "Range", range)).toMatchObject({
    status: 0,
    response: { kvs: [{ value: bytesOf("away") }] },
  });
  await cluster.signal("n2", "SIGKILL");
  await cluster.flotctl("member", "remove", "n2");
  await untilOn("n1", "n3");
  expect(await cluster.flotctl("member", "promote", "n4")).toMatch(
    /^Member [ 0-9a-f]{16} promoted in cluster [ 0-9a-f]{16}\n$/,
  );
  await untilOn("n1", "n3", "n4");
  expect(await cluster.flotctl("member", "list")).not.toMatch(/, true$/m);
  await eventually(async () => expect((await put()).status).toBe(0), 10_000);
  n4.close();
  await cluster.signal("n1", "SIGKILL");
  expect(await cluster.flotctl("put", "with", "n4")).toBe("OK\n");
  expect(await cluster.flotctl("get", "while", "--print-value-only")).toBe("away\n");
}, 60_000);
