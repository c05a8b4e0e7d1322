/** etcd's Maintenance calls at three processes, by gRPC and by etcdctl where it is installed. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { GrpcClient, frameOf } from "../../scripts/bench/grpc-client.js";
import type { GrpcOutcome } from "../../scripts/bench/grpc-client.js";
import { ProcessCluster } from "../support/processes.js";
import { isInstalled, runProgram } from "../support/programs.js";
import type { ProgramResult } from "../support/programs.js";
import { readSnapshot } from "../support/snapshots.js";
import { FakeTerminal } from "../cli/fake-terminal.js";
import { eventually } from "../support/eventually.js";
import { runFlotctl } from "../../src/cli/run-flotctl.js";
import { connectBySdk } from "../../src/cli/sdk-connection.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { must } from "../../src/base/assert.js";
import { concatBytes, hex } from "../../src/base/bytes.js";
import type { Message } from "../../src/gateway/message-codec.js";

const OPEN = new Uint8Array([0]);
const KEYS = 1500;
const HEALTH = "grpc.health.v1.HealthCheck";

let cluster: ProcessCluster;
let clients: readonly GrpcClient[];
/** That of the last key. */
let revision = 0n;

beforeAll(async () => {
  cluster = await ProcessCluster.start();
  clients = cluster.names.map((name) => new GrpcClient(cluster.endpoint(name)));
  for (let from = 0; from < KEYS; from += 100) {
    const success = Array.from({ length: 100 }, (_, i) => ({
      request_put: { key: bytesOf(`k${from + i}`), value: new Uint8Array(700).fill(from) },
    }));
    const { response } = await clients[0]!.call("/etcdserverpb.KV/Txn", "Txn", { success });
    revision = (must(response)["header"] as { revision: bigint }).revision;
  }
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await cluster.close();
});

function care(client: GrpcClient, name: string, request: Message = {}): Promise<GrpcOutcome> {
  return client.call(`/etcdserverpb.Maintenance/${name}`, name, request);
}

/** What all members answer, once all have applied and compacted as much. */
async function hashes(asked: bigint): Promise<readonly GrpcOutcome[]> {
  for (;;) {
    const found = await Promise.all(
      clients.map((client) => care(client, "HashKV", { revision: asked })),
    );
    const isBehind = ({ message }: GrpcOutcome): boolean => message.includes("future");
    const compacted = new Set(found.map(({ response }) => response?.["compact_revision"]));
    if (!found.some(isBehind) && compacted.size === 1) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function compact(at: bigint): Promise<void> {
  const request = { revision: at };
  await clients[0]!.call("/etcdserverpb.KV/Compact", "Compaction", request);
}

/** Keys and values with a prefix. */
async function textOf(client: Client, prefix = ""): Promise<string> {
  const { kvs } = await client.range({ key: prefix, prefix: true });
  return kvs.map(({ key, value }) => `${hex(key)}=${hex(value)}`).join(" ");
}

describe("by gRPC", () => {
  test("members agree by hash, at any revision that can be read, and files do not matter", async () => {
    const known = new Set<unknown>();
    for (const asked of [revision - 5n, revision]) {
      const found = (await hashes(asked)).map(({ response }) => response);
      expect(new Set(found.map((one) => one?.["hash"])).size).toBe(1);
      expect(found[0]).toMatchObject({ hash_revision: asked, compact_revision: -1n });
      known.add(found[0]?.["hash"]);
    }
    expect(known.size).toBe(2);
    await compact(revision - 2n);
    const before = (await hashes(revision)).map(({ response }) => response?.["hash"]);
    expect((await care(clients[1]!, "Defragment")).status).toBe(0);
    const after = (await hashes(revision)).map(({ response }) => response?.["hash"]);
    expect(after).toEqual(before);
    const [gone] = await hashes(revision - 3n);
    expect(gone!.message).toBe("etcdserver: mvcc: required revision has been compacted");
    const future = await care(clients[0]!, "HashKV", { revision: revision + 1000n });
    expect(future.message).toBe("etcdserver: mvcc: required revision is a future revision");
  }, 60_000);

  test("a range of any size comes as a stream", async () => {
    const stream = clients[2]!.stream("/etcdserverpb.KV/RangeStream", "RangeStream");
    stream.write(frameOf("RangeRequest", { key: OPEN, range_end: OPEN }));
    stream.end();
    const parts = (await stream.rest()).map((next) => next["range_response"] as Message);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.flatMap((part) => part["kvs"])).toHaveLength(KEYS + 1);
    expect(parts.at(-1)).toMatchObject({ header: { revision }, count: BigInt(KEYS + 1) });
    expect((await stream.ended).status).toBe(0);
  });

  test("a snapshot is of one revision, though others write, and of what there is", async () => {
    const stream = clients[1]!.stream("/etcdserverpb.Maintenance/Snapshot", "Snapshot");
    stream.send({});
    stream.end();
    const blobs = [(await stream.next())?.["blob"] as Uint8Array];
    const put = { key: bytesOf("k1"), value: bytesOf("later") };
    await clients[0]!.call("/etcdserverpb.KV/Put", "Put", put);
    blobs.push(...(await stream.rest()).map((next) => next["blob"] as Uint8Array));
    const { reader, kvs } = await readSnapshot(concatBytes(...blobs));
    expect(reader.revision).toBe(Number(revision));
    expect(kvs).toHaveLength(KEYS + 1);
    const one = kvs.find(({ key }) => key.length === 2 && key[1] === 0x31);
    expect(one).toMatchObject({ version: 1, createRevision: 3, modRevision: 3, lease: 0n });
  });
});

describe("by flotctl", () => {
  test("a snapshot is saved, checked, and restored into an empty keyspace", async () => {
    const client = await connect({ endpoints: cluster.endpoints.split(",") });
    await client.leases.grant(300, 77n);
    await client.put("leased", "v", { lease: 77n });
    const path = join(cluster.directory, "flotctl.snapshot");
    expect(await cluster.flotctl("snapshot", "save", path)).toBe(`Snapshot saved at ${path}\n`);
    const { reader } = await readSnapshot(new Uint8Array(readFileSync(path)));
    const status = await cluster.flotctl("snapshot", "status", path);
    expect(status).toContain(`, ${reader.revision}, ${KEYS + 2}, `);
    await cluster.flotctl("keyspace", "create", "copy");
    const restored = await cluster.run(["snapshot", "restore", path, "--keyspace", "copy"]);
    expect(restored.stdout).toContain(`restored ${KEYS + 2} keys, `);
    const copied = await client.keyspace("copy").leases.timeToLive(77n, { keys: true });
    expect(copied).toMatchObject({ grantedTtlSeconds: 300, keys: [bytesOf("leased")] });
    const again = await cluster.run(["snapshot", "restore", path, "--keyspace", "copy"]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("must be empty")]);
    expect(await textOf(client.keyspace("copy"))).toBe(await textOf(client));
    await client.leases.revoke(77n);
    await client.close();
  }, 60_000);

  test("hashes, alarms and defrag", async () => {
    const hashes = await cluster.flotctl("endpoint", "hashkv", "--cluster", "--rev", `${revision}`);
    const found = hashes.trimEnd().split("\n");
    expect(new Set(found.map((line) => line.split(", ").slice(1).join(" "))).size).toBe(1);
    expect(found).toHaveLength(3);
    expect(await cluster.flotctl("alarm", "list")).toBe("");
    expect(await cluster.flotctl("alarm", "disarm")).toBe("");
    const done = await cluster.flotctl("defrag", "--cluster");
    expect(done.match(/^Finished defragmenting member/gm)).toHaveLength(3);
  }, 60_000);

  test("a mirror has what there is, and follows what changes", async () => {
    await cluster.flotctl("keyspace", "create", "mirror");
    const terminal = new FakeTerminal();
    const args = ["make-mirror", cluster.endpoint("n2"), "--dest-keyspace", "mirror"];
    const source = ["--prefix", "k10", "--endpoints", cluster.endpoints];
    const running = runFlotctl([...args, ...source], terminal, connectBySdk);
    const client = await connect({ endpoints: cluster.endpoints.split(",") });
    const isSame = async (): Promise<boolean> =>
      (await textOf(client.keyspace("mirror"))) === (await textOf(client, "k10"));
    await eventually(isSame, 20_000);
    await client.put("k10new", "changed");
    await eventually(isSame, 20_000);
    await client.delete("k10new");
    await eventually(isSame, 20_000);
    await client.close();
    terminal.interrupt();
    expect([await running, terminal.err.text]).toEqual([5, ""]);
  }, 60_000);

  test("check perf measures, and leaves no keys", async () => {
    const checked = await cluster.run(["check", "perf", "--load", "s", "--duration", "2s"]);
    expect(checked.stdout).toMatch(/^(PASS|FAIL): Throughput/);
    expect(checked.stdout).toContain("PASS: No request failed");
    expect(await cluster.flotctl("get", "/flotctl-check-perf/", "--prefix")).toBe("");
  }, 60_000);
});

describe.skipIf(!isInstalled("etcdctl", "version"))("by etcdctl", () => {
  function etcdctl(args: readonly string[], names = cluster.names): Promise<ProgramResult> {
    const endpoints = names.map((name) => cluster.endpoint(name)).join(",");
    return runProgram("etcdctl", ["--endpoints", endpoints, ...args]);
  }

  test("snapshot save writes a file that is whole", async () => {
    const path = join(cluster.directory, "etcdctl.snapshot");
    const saved = await etcdctl(["snapshot", "save", path], ["n3"]);
    expect(saved.stdout).toContain(`Snapshot saved at ${path}`);
    expect(saved.code).toBe(0);
    expect(statSync(path).size % 512).toBe(32);
    expect((await readSnapshot(new Uint8Array(readFileSync(path)))).kvs).toHaveLength(KEYS + 1);
  }, 60_000);

  test("hashes, alarms, defrag and health are what etcd's would be", async () => {
    const { stdout } = await etcdctl(["endpoint", "hashkv", "--rev", String(revision)]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.split(", ")[1])).size).toBe(1);
    const calm = { code: 0, stdout: "", stderr: "" };
    expect(await etcdctl(["alarm", "list"])).toEqual(calm);
    expect(await etcdctl(["alarm", "disarm"])).toEqual(calm);
    const defrag = await etcdctl(["defrag", "--command-timeout", "30s"]);
    expect([
      defrag.code,
      defrag.stdout.match(/Finished defragmenting etcd member/g)?.length,
    ]).toEqual([0, 3]);
    expect((await etcdctl(["endpoint", "health"])).code).toBe(0);
  }, 60_000);
});

test("without a majority a member still has a snapshot, and says that it has no leader", async () => {
  for (const name of ["n2", "n3"]) await cluster.signal(name, "SIGKILL");
  const client = clients[0]!;
  await eventually(async () => {
    const { response } = await client.call("/grpc.health.v1.Health/Check", HEALTH, {});
    return response?.["status"] === 2;
  }, 20_000);
  const request = { key: bytesOf("k1") };
  const refused = await client.call("/etcdserverpb.KV/Range", "Range", request, {
    hasleader: "true",
  });
  expect([refused.status, refused.message]).toEqual([14, "etcdserver: no leader"]);
  const stream = client.stream("/etcdserverpb.Maintenance/Snapshot", "Snapshot");
  stream.send({});
  stream.end();
  const blobs = (await stream.rest()).map((next) => next["blob"] as Uint8Array);
  expect((await stream.ended).message).toBe("");
  expect((await readSnapshot(concatBytes(...blobs))).kvs).toHaveLength(KEYS + 1);
  const path = join(cluster.directory, "stale.snapshot");
  const args = ["snapshot", "save", path, "--consistency", "stale", "--command-timeout", "20s"];
  const saved = await cluster.run(args);
  expect([saved.code, saved.stdout]).toEqual([0, `Snapshot saved at ${path}\n`]);
  expect((await readSnapshot(new Uint8Array(readFileSync(path)))).kvs).toHaveLength(KEYS + 1);
}, 90_000);
