/**
 * Real processes with real data on a real disk: what a person does in the first five minutes, and
 * SIGKILL in the middle of it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { eventually } from "../support/eventually.js";
import { ProcessCluster, runNode } from "../support/processes.js";

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start(["--initial-keyspace", "files:hash:shards=4"]);
}, 60_000);

afterAll(async () => {
  await cluster.close();
});

/** A tree of files of all sizes, some of them empty, some of half a megabyte. */
function makeTree(directory: string, count: number): void {
  const prng = new Prng(7);
  for (let i = 0; i < count; i++) {
    const folder = join(directory, `d${i % 13}`, `e${i % 5}`);
    mkdirSync(folder, { recursive: true });
    const size = i % 100 === 0 ? 512 * 1024 : prng.between(0, 3000);
    writeFileSync(
      join(folder, `f${i}`),
      Uint8Array.from({ length: size }, () => prng.u32()),
    );
  }
}

test("files imported while a node is killed and restarted are all there, byte for byte", async () => {
  const tree = join(cluster.directory, "tree");
  makeTree(tree, 1500);
  const acknowledged = join(cluster.directory, "acknowledged");
  const files = ["--keyspace", "files", "--from-dir", tree];
  const importing = cluster.run(["import", ...files, "--acknowledged", acknowledged]);
  await eventually(() => countLines(acknowledged) > 100);
  await cluster.signal("n2", "SIGKILL");
  await eventually(() => countLines(acknowledged) > 600);
  cluster.startNode("n2");
  const imported = await importing;
  expect(imported.stdout + imported.stderr).toContain("failed 0");
  expect(imported.code).toBe(0);
  await cluster.signal("n1", "SIGKILL");
  const verified = await cluster.run(["verify", ...files]);
  expect(verified.stdout).toMatch(/identical 1500, missing 0, different 0/);
  expect(verified.code).toBe(0);
  cluster.startNode("n1");
  const out = join(cluster.directory, "out");
  const exported = await cluster.run(["export", "--keyspace", "files", "--to-dir", out]);
  expect(exported.code).toBe(0);
  const names = readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(names).toHaveLength(1500);
  const different: string[] = [];
  for (const name of names) {
    const copy = readFileSync(join(out, name.slice(tree.length)));
    if (!copy.equals(readFileSync(name))) different.push(name);
  }
  expect(different).toEqual([]);
}, 120_000);

test("put, get, del, txn and watch print what etcdctl prints", async () => {
  expect((await cluster.run(["put", "k", "v1"])).stdout).toBe("OK\n");
  expect((await cluster.run(["put", "k", "v2", "--prev-kv"])).stdout).toBe("OK\nk\nv1\n");
  expect((await cluster.run(["get", "k"])).stdout).toBe("k\nv2\n");
  expect((await cluster.run(["get", "k", "--print-value-only"])).stdout).toBe("v2\n");
  expect((await cluster.run(["get", "absent"])).stdout).toBe("");
  const txn = await cluster.run(["txn"], 'value("k") = "v2"\n\nput k v3\n\nget k\n\n');
  expect(txn.stdout).toBe("SUCCESS\n\nOK\n");
  expect((await cluster.run(["del", "k"])).stdout).toBe("1\n");
  expect((await cluster.run(["del", "k"])).stdout).toBe("0\n");
});

test("errors say what happened, and exit with the documented code", async () => {
  const empty = await cluster.run(["put", "", "x"]);
  expect(empty.code).toBe(1);
  expect(empty.stderr).toContain("must not be empty");
  expect((await cluster.run(["get"])).code).toBe(128);
  const future = await cluster.run(["get", "ready", "--rev", "999999"]);
  expect(future.code).toBe(1);
  expect(future.stderr).toContain("future");
});

test("a second process on a data directory ends with a clear message", async () => {
  const args = [
    ["dist/src/cli/flotilla.js", "start", "--name", "n3"],
    ["--data-dir", join(cluster.directory, "n3")],
    ["--listen-client", "127.0.0.1:0", "--listen-peer", "127.0.0.1:0"],
    ["--initial-cluster", cluster.founders],
  ];
  const second = await runNode(args.flat());
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/another process/);
});

test("SIGTERM stops a node in order, with exit code 0", async () => {
  expect(await cluster.signal("n3", "SIGTERM")).toBe(0);
  expect((await cluster.run(["put", "after", "n3"])).code).toBe(0);
  cluster.startNode("n3");
  await eventually(async () => {
    const { stdout } = await cluster.run(["endpoint", "health", "--cluster"]);
    return (stdout.match(/is healthy/g) ?? []).length === 3;
  }, 20_000);
});

function countLines(path: string): number {
  try {
    return readFileSync(path, "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
}
