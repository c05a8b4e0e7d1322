/** Locks and elections on real nodes: by the SDK while a leader is killed, by gRPC, by flotctl. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { frameOf, GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { GrpcStream } from "../../scripts/bench/grpc-client.js";
import { ProcessCluster } from "../support/processes.js";
import type { RunningCommand } from "../support/processes.js";
import { isInstalled, runProgram } from "../support/programs.js";
import { must } from "../../src/base/assert.js";
import { utf8Text } from "../../src/base/bytes.js";
import { acquireLock, campaign, connect, LeaderWatch, leaveLine } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";

let cluster: ProcessCluster;
let client: Client;

beforeAll(async () => {
  cluster = await ProcessCluster.start();
  client = await connect({ endpoints: cluster.endpoints.split(",") });
}, 60_000);

afterAll(async () => {
  await client.close();
  await cluster.close();
});

async function keysBelow(prefix: string): Promise<readonly string[]> {
  const { kvs } = await client.range({ key: prefix, prefix: true });
  return kvs.map(({ key }) => utf8Text(key));
}

async function leaderName(): Promise<string> {
  const { clusterMap, leaders } = await client.admin.map();
  const shard = must(clusterMap.shards.find(({ keyspaceId }) => keyspaceId !== 0));
  const hint = must(leaders.find(({ shardId }) => shardId === shard.shardId));
  return must(clusterMap.nodes.find(({ nodeId }) => nodeId === hint.nodeId)).name;
}

interface Standing {
  readonly own: Client;
  readonly elected: Promise<unknown>;
}

describe("by the SDK", () => {
  test("one holds the lock at a time, in turn, also while a leader is killed", async () => {
    const revisions: number[] = [];
    let holders = 0;
    const contend = async (): Promise<void> => {
      const own = await connect({ endpoints: cluster.endpoints.split(",") });
      const lease = await own.keepLease(30);
      for (let round = 0; round < 5; round++) {
        const held = await acquireLock(own, { name: "sdk", lease: lease.id, signal: lease.gone });
        expect(++holders).toBe(1);
        revisions.push(held.createRevision);
        await new Promise((resolve) => setTimeout(resolve, 20));
        holders--;
        await eventually(() => leaveLine(own, held));
      }
      await lease.revoke();
      await own.close();
    };
    const all = Promise.all([contend(), contend(), contend(), contend()]);
    await eventually(() => revisions.length > 3);
    const victim = await leaderName();
    await cluster.signal(victim, "SIGKILL");
    await all;
    cluster.startNode(victim);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(new Set(revisions).size).toBe(20);
    expect(await keysBelow("sdk/")).toEqual([]);
  }, 90_000);

  test("who dies while he waits, or leads, makes way when his lease ends", async () => {
    const watch = new LeaderWatch(client, "sdk-election");
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { kv } of watch) seen.push(utf8Text(kv.value));
    })();
    const stand = async (value: string, ttlSeconds: number): Promise<Standing> => {
      const own = await connect({ endpoints: cluster.endpoints.split(",") });
      const { id } = await own.leases.grant(ttlSeconds);
      return { own, elected: campaign(own, { name: "sdk-election", lease: id, value }) };
    };
    const candidates = async (): Promise<number> => (await keysBelow("sdk-election/")).length;
    const first = await stand("first", 5);
    await first.elected;
    const second = await stand("second", 2);
    await eventually(async () => (await candidates()) === 2);
    const lost = errorOf(second.elected);
    await second.own.close();
    expect(await lost).toMatchObject({ code: "closed" });
    await eventually(async () => (await candidates()) === 1);
    const third = await connect({ endpoints: cluster.endpoints.split(",") });
    const lease = await third.keepLease(2);
    const elected = campaign(third, { name: "sdk-election", lease: lease.id, value: "third" });
    await first.own.close();
    await elected;
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(["first", "third"]);
    await lease.revoke();
    await third.close();
    watch.cancel();
    await watching;
  }, 60_000);
});

describe("by gRPC", () => {
  const LOCK = "/v3lockpb.Lock/Lock";

  function startLock(at: GrpcClient, name: string): GrpcStream {
    const stream = at.stream(LOCK, "v3lockpb.Lock");
    stream.write(frameOf("v3lockpb.LockRequest", { name: bytesOf(name) }));
    stream.end();
    return stream;
  }

  test("who goes away while he waits leaves neither key nor lease behind", async () => {
    const [here, there] = ["n1", "n2"].map((name) => new GrpcClient(cluster.endpoint(name)));
    const first = await startLock(here!, "grpc").next();
    const key = must(first?.["key"]) as Uint8Array;
    const { ids } = await client.leases.list();
    for (const give of ["cancel", "close"] as const) {
      const stream = startLock(there!, "grpc");
      await eventually(async () => (await keysBelow("grpc/")).length === 2);
      if (give === "cancel") stream.cancel();
      else there!.close();
      await eventually(async () => (await keysBelow("grpc/")).length === 1);
      await eventually(async () => (await client.leases.list()).ids.length === ids.length);
    }
    const next = startLock(here!, "grpc").next();
    await here!.call("/v3lockpb.Lock/Unlock", "v3lockpb.Unlock", { key });
    const taken = must((await next)?.["key"]) as Uint8Array;
    expect(await keysBelow("grpc/")).toEqual([utf8Text(taken)]);
    here!.close();
  }, 60_000);

  test("who waits at a node that ends is told so, and leaves no key behind", async () => {
    const [here, there] = ["n1", "n2"].map((name) => new GrpcClient(cluster.endpoint(name)));
    await startLock(here!, "ending").next();
    const waiting = startLock(there!, "ending");
    await eventually(async () => (await keysBelow("ending/")).length === 2);
    const ending = cluster.signal("n2", "SIGTERM");
    expect(await waiting.ended).toMatchObject({ status: 14 });
    expect(await ending).toBe(0);
    expect(await keysBelow("ending/")).toHaveLength(1);
    for (const one of [here, there]) one!.close();
    cluster.startNode("n2");
  }, 60_000);

  test("who waits holds nobody up where nobody could be told that he leaves", async () => {
    const here = new GrpcClient(cluster.endpoint("n1"));
    await startLock(here, "alone").next();
    const waiting = startLock(here, "alone");
    await eventually(async () => (await keysBelow("alone/")).length === 2);
    await Promise.all(["n2", "n3"].map((name) => cluster.signal(name, "SIGKILL")));
    const startMs = performance.now();
    expect(await cluster.signal("n1", "SIGTERM")).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(8000);
    expect(await waiting.ended).toMatchObject({ status: 14 });
    here.close();
    for (const name of cluster.names) cluster.startNode(name);
    await eventually(() => client.put("ready", "again"), 30_000);
  }, 60_000);

  test("keep-alives at any node renew, many on their way at once", async () => {
    const { id } = await client.leases.grant(30);
    for (const name of cluster.names) {
      await eventually(async () => (await client.admin.health(cluster.endpoint(name))).healthy);
      const one = new GrpcClient(cluster.endpoint(name));
      const stream = one.stream("/etcdserverpb.Lease/LeaseKeepAlive", "LeaseKeepAlive");
      for (let at = 0; at < 100; at++) stream.send({ ID: at % 2 === 0 ? id : 1n });
      for (let at = 0; at < 100; at++) {
        const { ID, TTL } = must(await stream.next());
        expect([ID, TTL]).toEqual(at % 2 === 0 ? [id, 30n] : [1n, undefined]);
      }
      stream.end();
      expect(await stream.ended).toMatchObject({ status: 0 });
      one.close();
    }
    await client.leases.revoke(id);
  }, 60_000);
});

describe("flotctl", () => {
  async function holding(running: RunningCommand, name: string): Promise<string> {
    // It may come in parts.
    const line = (): boolean =>
      running.stdout.startsWith(`${name}/`) && running.stdout.includes("\n");
    await eventually(line);
    return running.stdout.split("\n")[0] ?? "";
  }

  test("lock holds until it is told to end, and then the next one goes ahead", async () => {
    const first = cluster.start(["lock", "cli"]);
    const key = await holding(first, "cli");
    expect(await keysBelow("cli/")).toEqual([key]);
    const second = cluster.start(["lock", "cli"]);
    const third = cluster.start(["lock", "cli"]);
    await eventually(async () => (await keysBelow("cli/")).length === 3);
    expect(await third.kill("SIGINT")).toBe(5);
    expect(await first.kill("SIGTERM")).toBe(0);
    await holding(second, "cli");
    expect(await second.kill("SIGINT")).toBe(0);
    expect([first.stdout, first.stderr]).toEqual([`${key}\n\n`, ""]);
    expect([third.stdout, await keysBelow("cli/")]).toEqual(["", []]);
  }, 60_000);

  test("lock runs a program, with the key in its environment, and ends as it ends", async () => {
    const script =
      'echo "$FLOTCTL_LOCK_KEY $FLOTCTL_LOCK_REV $ETCD_LOCK_KEY $ETCD_LOCK_REV"; exit 3';
    const running = cluster.start(["lock", "run", "--", "sh", "-c", script]);
    expect(await running.ended).toBe(3);
    expect(running.stdout).toMatch(/^(run\/[0-9a-f]+) (\d+) \1 \2\n$/);
    const missing = await cluster.run(["lock", "run", "no-such-program"]);
    expect(missing.code).toBe(6);
    expect(missing.stderr).toContain("cannot run no-such-program");
    expect(await keysBelow("run/")).toEqual([]);
  }, 60_000);

  test("lock ends its program when it is told to end, and gives the lock back", async () => {
    const running = cluster.start(["lock", "told", "--", "sh", "-c", "echo up; exec sleep 60"]);
    await eventually(() => running.stdout === "up\n");
    expect(await running.kill("SIGTERM")).toBe(1);
    expect(await keysBelow("told/")).toEqual([]);
  }, 60_000);

  test("lock says that it has lost the lock, and its program is ended", async () => {
    const script = "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    const running = cluster.start(["lock", "lost", "--", "sh", "-c", script]);
    await eventually(() => running.stdout === "up\n");
    await client.delete("lost/", { prefix: true });
    expect(await running.ended).toBe(1);
    expect([running.stdout, running.stderr]).toEqual([
      "up\ntold\n",
      expect.stringContaining("Error: the lock lost was lost: its key is gone"),
    ]);
    const held = cluster.start(["lock", "lost"]);
    const { kv } = await client.get(await holding(held, "lost"));
    await client.leases.revoke(must(kv).lease);
    expect(await held.ended).toBe(1);
    expect(held.stderr).toContain("was lost");
  }, 60_000);

  test("a lock whose holder is killed is free when its lease has ended", async () => {
    const first = cluster.start(["lock", "killed", "--ttl", "2"]);
    await holding(first, "killed");
    const second = cluster.start(["lock", "killed"]);
    await eventually(async () => (await keysBelow("killed/")).length === 2);
    await first.kill("SIGKILL");
    await holding(second, "killed");
    expect(await second.kill("SIGINT")).toBe(0);
  }, 60_000);

  test("elect leads with a proposal, and -l shows who leads", async () => {
    const listening = cluster.start(["elect", "-l", "cli-election"]);
    const first = cluster.start(["elect", "cli-election", "one"]);
    const key = await holding(first, "cli-election");
    await eventually(() => first.stdout === `${key}\none\n`);
    const second = cluster.start(["elect", "cli-election", "two"]);
    await eventually(async () => (await keysBelow("cli-election/")).length === 2);
    expect(await first.kill("SIGINT")).toBe(0);
    const other = await holding(second, "cli-election");
    await eventually(() => listening.stdout === `${key}\none\n${other}\ntwo\n`);
    expect(await listening.kill("SIGINT")).toBe(5);
    expect(await second.kill("SIGTERM")).toBe(0);
    expect(await keysBelow("cli-election/")).toEqual([]);
  }, 60_000);

  test("lease grants, shows, renews and revokes", async () => {
    const granted = await cluster.flotctl("lease", "grant", "60");
    const id = must(/^lease ([0-9a-f]{16}) granted with TTL\(60s\)\n$/.exec(granted)?.[1]);
    await cluster.flotctl("put", "leased", "x", "--lease", id);
    expect(await cluster.flotctl("lease", "timetolive", id, "--keys")).toMatch(
      /granted with TTL\(60s\), remaining\(5\ds\), attached keys\(\[leased\]\)\n$/,
    );
    expect(await cluster.flotctl("lease", "list")).toContain(`\n${id}\n`);
    expect(await cluster.flotctl("lease", "keep-alive", "--once", id)).toBe(
      `lease ${id} keepalived with TTL(60)\n`,
    );
    expect(await cluster.flotctl("lease", "revoke", id)).toBe(`lease ${id} revoked\n`);
    expect(await cluster.flotctl("get", "leased")).toBe("");
    const unknown = await cluster.run(["put", "leased", "x", "--lease", id]);
    expect(unknown.code).toBe(1);
  }, 60_000);
});

test.skipIf(!isInstalled("etcdctl", "version"))(
  "etcdctl and flotctl wait for each other",
  async () => {
    const endpoints = ["--endpoints", cluster.endpoints];
    const first = cluster.start(["lock", "mixed"]);
    await eventually(() => first.stdout !== "");
    const second = runProgram("etcdctl", [...endpoints, "lock", "mixed", "echo", "held"]);
    await eventually(async () => (await keysBelow("mixed/")).length === 2);
    expect(await first.kill("SIGINT")).toBe(0);
    expect(await second).toMatchObject({ code: 0, stdout: "held\n" });
    const elected = cluster.start(["elect", "mixed", "leader"]);
    await eventually(() => elected.stdout !== "");
    const { stdout } = await runProgram("etcdctl", [...endpoints, "get", "--prefix", "mixed/"]);
    expect(stdout).toBe(elected.stdout);
    expect(await elected.kill("SIGINT")).toBe(0);
  },
  60_000,
);
