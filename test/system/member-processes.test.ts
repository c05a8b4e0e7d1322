/** Real processes: a node that died for ever is replaced by a new one, by the commands alone. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.js";
import { ProcessCluster, settingsIn } from "../support/processes.js";

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start();
}, 60_000);

afterAll(async () => {
  await cluster.close();
});

test("n3 dies for ever, n4 takes its place, and n3 is let in no more", async () => {
  await cluster.signal("n3", "SIGKILL");
  rmSync(join(cluster.directory, "n3"), { recursive: true });
  cluster.startNode("n3");
  expect(await cluster.ended("n3")).toBe(1);
  const log = readFileSync(join(cluster.directory, "n3.log"), "utf8");
  expect(log).toMatch(/node n3 is registered with another data directory/);
  expect(await cluster.flotctl("member", "remove", "n3")).toMatch(
    /^Member [ 0-9a-f]{16} removed from cluster [ 0-9a-f]{16}\n$/,
  );
  await cluster.prepare("n4");
  const address = cluster.peerAddress("n4");
  const printed = await cluster.flotctl("member", "add", "n4", "--peer-urls", address);
  expect(printed).toMatch(/^Member [ 0-9a-f]{16} added to cluster [ 0-9a-f]{16}\n\n/);
  expect(await cluster.flotctl("member", "list")).toMatch(/, unstarted, n4, /);
  cluster.startNode("n4", [], settingsIn(printed));
  await eventually(async () => {
    const replicas = await cluster.flotctl("shard", "replicas", "2");
    expect(replicas).toMatch(/^n4, \d+, voter, \d+, \d+, (replicate|leader)$/m);
    expect(replicas.trim().split("\n")).toHaveLength(3);
  }, 20_000);
  expect(await cluster.flotctl("member", "list")).not.toMatch(/n3|unstarted/);
  // Two of the old ones and the new one: any of them may go.
  await cluster.signal("n1", "SIGKILL");
  expect(await cluster.flotctl("put", "after", "n1")).toBe("OK\n");
  expect(await cluster.flotctl("get", "ready", "--print-value-only")).toBe("yes\n");
  const refused = await cluster.run(["member", "remove", "n2"]);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining("not enough started members"),
  ]);
}, 60_000);
