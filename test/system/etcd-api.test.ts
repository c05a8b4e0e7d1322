/** etcd's API at three real processes: by gRPC, by JSON, and by etcdctl where it is installed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { GrpcOutcome } from "../../scripts/bench/grpc-client.js";
import { ProcessCluster } from "../support/processes.js";
import { isInstalled, runProgram } from "../support/programs.js";
import type { ProgramResult } from "../support/programs.js";
import { must } from "../../src/base/assert.js";
import type { Message } from "../../src/gateway/message-codec.js";

const PUT = "/etcdserverpb.KV/Put";
const RANGE = "/etcdserverpb.KV/Range";
const CLUSTER = "/etcdserverpb.Cluster/";

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start();
}, 60_000);

afterAll(() => cluster.close());

interface Header {
  readonly revision: bigint;
  readonly member_id: bigint;
  readonly raft_term: bigint;
}

function headerOf(response: Message | undefined): Header {
  return must(response?.["header"]) as unknown as Header;
}

async function memberUrls(client: GrpcClient): Promise<readonly string[]> {
  return urlsIn((await client.call(`${CLUSTER}MemberList`, "MemberList", {})).response);
}

function urlsIn(response: Message | undefined): readonly string[] {
  const members = must(response?.["members"]) as readonly { readonly peerURLs: string[] }[];
  return members.flatMap(({ peerURLs }) => peerURLs);
}

describe("by gRPC", () => {
  test("the first answer of a node that has just started tells the term too", async () => {
    const headers = [];
    for (const name of cluster.names) {
      const client = new GrpcClient(cluster.endpoint(name));
      const path = "/etcdserverpb.Cluster/MemberList";
      headers.push(headerOf((await client.call(path, "MemberList", {})).response));
      client.close();
    }
    expect(headers.map(({ raft_term: term }) => term > 0n)).toEqual([true, true, true]);
  }, 60_000);

  test("every node serves, also flotctl at the same port", async () => {
    const clients = cluster.names.map((name) => new GrpcClient(cluster.endpoint(name)));
    const request = { key: bytesOf("greeting"), value: bytesOf("hello") };
    const put = await clients[0]!.call(PUT, "Put", request);
    expect(put.status).toBe(0);
    const members = new Set<unknown>();
    for (const client of clients) {
      const { response } = await client.call(RANGE, "Range", { key: bytesOf("greeting") });
      expect(response).toMatchObject({ kvs: [{ mod_revision: headerOf(put.response).revision }] });
      members.add(headerOf(response).member_id);
      client.close();
    }
    expect(members.size).toBe(3);
    expect(await cluster.flotctl("get", "greeting")).toBe("greeting\nhello\n");
  }, 60_000);

  test("a member that was added is in the answer, and at once at every node", async () => {
    const clients = cluster.names.map((name) => new GrpcClient(cluster.endpoint(name)));
    for (let at = 0; at < 9; at++) {
      const client = clients[at % clients.length]!;
      const url = `http://127.0.0.1:${at + 1}`;
      const request = { peerURLs: [url], isLearner: true };
      const added = await client.call(`${CLUSTER}MemberAdd`, "MemberAdd", request);
      const lists = await Promise.all(clients.map(memberUrls));
      expect([urlsIn(added.response), ...lists]).toEqual(
        Array.from({ length: 4 }, () => expect.arrayContaining([url])),
      );
      const { ID } = must(added.response)["member"] as Message;
      const removed = await client.call(`${CLUSTER}MemberRemove`, "MemberRemove", { ID: ID! });
      expect(urlsIn(removed.response)).not.toContain(url);
    }
    for (const client of clients) client.close();
  }, 60_000);

  test("a put may be as large as etcd takes it, to the byte, by every node", async () => {
    for (const name of cluster.names) {
      const client = new GrpcClient(cluster.endpoint(name));
      const put = (bytes: number): Promise<GrpcOutcome> =>
        client.call(PUT, "Put", { key: bytesOf("k"), value: new Uint8Array(bytes) });
      expect((await put(1_572_840)).status).toBe(0);
      const tooLarge = { status: 3, message: "etcdserver: request is too large" };
      expect(await put(1_572_841)).toMatchObject(tooLarge);
      client.close();
    }
  }, 60_000);

  test("what a member was asked to write its serializable reads show from then on", async () => {
    for (const name of cluster.names) {
      const client = new GrpcClient(cluster.endpoint(name));
      for (let i = 0; i < 30; i++) {
        const key = bytesOf("written");
        const value = bytesOf(`${name} ${i}`);
        expect((await client.call(PUT, "Put", { key, value })).status).toBe(0);
        const { response } = await client.call(RANGE, "Range", { key, serializable: true });
        expect(response).toMatchObject({ kvs: [{ value }] });
      }
      client.close();
    }
  }, 60_000);

  test("a serializable read at a revision that another node told of finds it", async () => {
    const [writing, ...reading] = cluster.names.map((n) => new GrpcClient(cluster.endpoint(n)));
    for (let i = 0; i < 50; i++) {
      const request = { key: bytesOf("told"), value: bytesOf(`${i}`) };
      const { response } = await writing!.call(PUT, "Put", request);
      const { revision } = headerOf(response);
      const read = { key: bytesOf("told"), revision, serializable: true };
      for (const client of reading) {
        const answer = await client.call(RANGE, "Range", read);
        expect(answer.response).toMatchObject({ kvs: [{ mod_revision: revision }] });
      }
    }
    const future = { key: bytesOf("told"), revision: 1n << 40n, serializable: true };
    expect(await reading[0]!.call(RANGE, "Range", future)).toMatchObject({ status: 11 });
    for (const client of [writing!, ...reading]) client.close();
  }, 60_000);

  test("a watch at one node sees what others write, and is told when its node ends", async () => {
    const [watching, writing] = ["n2", "n3"].map((name) => new GrpcClient(cluster.endpoint(name)));
    const stream = watching!.stream("/etcdserverpb.Watch/Watch", "Watch");
    stream.send({ create_request: { key: bytesOf("w"), range_end: bytesOf("x"), prev_kv: true } });
    expect(await stream.next()).toMatchObject({ created: true });
    for (const value of ["1", "2"]) {
      await writing!.call(PUT, "Put", { key: bytesOf("w"), value: bytesOf(value) });
    }
    const values: string[] = [];
    while (values.length < 2) {
      const { events } = (await stream.next()) as { events?: { kv: { value: Uint8Array } }[] };
      for (const { kv } of events ?? []) values.push(String.fromCharCode(...kv.value));
    }
    expect(values).toEqual(["1", "2"]);
    stream.send({ progress_request: {} });
    expect(await stream.next()).toMatchObject({ watch_id: -1n });
    const ending = cluster.signal("n2", "SIGTERM");
    expect(await stream.next()).toBeUndefined();
    expect(await stream.ended).toMatchObject({ status: 14 });
    expect(await ending).toBe(0);
    for (const client of [watching, writing]) client!.close();
    cluster.startNode("n2");
  }, 60_000);
});

test("by JSON, pages included", async () => {
  const ask = async (path: string, body?: string): Promise<string> => {
    const method = body === undefined ? "GET" : "POST";
    const url = `http://${cluster.endpoint("n1")}${path}`;
    return (await fetch(url, { method, body: body ?? null })).text();
  };
  await ask("/v3/kv/put", '{"key":"anNvbg==","value":"eWVz"}');
  expect(await ask("/v3/kv/range", '{"key":"anNvbg=="}')).toContain('"value":"eWVz"');
  expect(await ask("/health")).toBe('{"health":"true","reason":""}');
  const metrics = await ask("/metrics");
  expect(metrics).toContain("etcd_server_has_leader 1\n");
  expect(metrics).toMatch(/^etcd_server_leader_changes_seen_total [1-9]\d*$/m);
  expect(metrics).toMatch(/^etcd_server_proposals_pending \d+$/m);
  expect(metrics).toMatch(/^etcd_server_proposals_failed_total \d+$/m);
  expect(metrics).toMatch(/^etcd_disk_backend_commit_duration_seconds_count [1-9]\d*$/m);
  expect(metrics).toMatch(/^etcd_disk_wal_fsync_duration_seconds_count [1-9]\d*$/m);
});

describe.skipIf(!isInstalled("etcdctl", "version"))("by etcdctl", () => {
  function etcdctl(args: readonly string[], input = ""): Promise<ProgramResult> {
    const endpoints = ["n1", "n3"].map((name) => cluster.endpoint(name)).join(",");
    return runProgram("etcdctl", ["--endpoints", endpoints, ...args], input);
  }

  test("keys, transactions and history", async () => {
    expect(await etcdctl(["put", "e1", "one"])).toEqual({ code: 0, stdout: "OK\n", stderr: "" });
    await etcdctl(["put", "e2", "two"]);
    const { stdout } = await etcdctl(["get", "--prefix", "e", "--order", "DESCEND"]);
    expect(stdout).toBe("e2\ntwo\ne1\none\n");
    const script = 'val("e1") = "one"\n\nput e1 uno\nget e1\n\nput e1 no\n\n';
    expect((await etcdctl(["txn"], script)).stdout).toBe("SUCCESS\n\nOK\n\ne1\nuno\n");
    expect((await etcdctl(["del", "--prefix", "e"])).stdout).toBe("2\n");
    const untilDeleted = 'test "$ETCD_WATCH_EVENT_TYPE" != \'"DELETE"\' || kill $PPID';
    const watched = etcdctl(["watch", "e1", "--rev", "1", "--", "sh", "-c", untilDeleted]);
    expect((await watched).stdout).toBe("PUT\ne1\none\nPUT\ne1\nuno\nDELETE\ne1\n\n");
  });

  test("errors in etcd's words", async () => {
    const future = await etcdctl(["get", "e1", "--rev", "1000000"]);
    expect([future.code, future.stdout]).toEqual([1, ""]);
    expect(future.stderr).toContain("etcdserver: mvcc: required revision is a future revision");
    const lost = await etcdctl(["lease", "revoke", "123"]);
    expect(lost.stderr).toContain("failed to revoke lease (etcdserver: requested lease not found)");
  });

  test("the cluster", async () => {
    const list = await etcdctl(["member", "list"]);
    expect(
      list.stdout.match(/^[0-9a-f]+, started, n\d, http:\S+, http:\S+, false$/gm),
    ).toHaveLength(3);
    const status = await etcdctl(["endpoint", "status", "-w", "json"]);
    const answers = JSON.parse(status.stdout) as readonly { Status: { leader: number } }[];
    expect(new Set(answers.map((one) => one.Status.leader)).size).toBe(1);
    expect((await etcdctl(["endpoint", "health"])).code).toBe(0);
  });
});

/** The last one here: of the cluster it leaves one node. */
test("a node that is cut off refuses members that have to be confirmed, and tells its own", async () => {
  await cluster.signal("n2", "SIGKILL");
  await cluster.signal("n3", "SIGKILL");
  const client = new GrpcClient(cluster.endpoint("n1"));
  const list = (linearizable: boolean): ReturnType<GrpcClient["call"]> =>
    client.call(`${CLUSTER}MemberList`, "MemberList", { linearizable });
  const [confirmed, own] = await Promise.all([list(true), list(false)]);
  expect(confirmed).toMatchObject({ status: 14, message: "etcdserver: request timed out" });
  expect(urlsIn(own.response)).toHaveLength(3);
  client.close();
}, 60_000);
