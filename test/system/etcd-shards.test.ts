/** etcd's API on a default keyspace of many shards: what works there, and what it refuses. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { GrpcClient, frameOf } from "../../scripts/bench/grpc-client.js";
import type { GrpcOutcome } from "../../scripts/bench/grpc-client.js";
import { must } from "../../src/base/assert.js";
import { concatBytes } from "../../src/base/bytes.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { ProcessCluster } from "../support/processes.js";
import { readSnapshot } from "../support/snapshots.js";

const OPEN = new Uint8Array([0]);
const ALL = { key: OPEN, range_end: OPEN };
/** Two keys of each shard of three. */
const KEYS = ["a", "b", "h", "k", "p", "z"];
const FAILED_PRECONDITION = 9;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;

interface Row {
  readonly key: Uint8Array;
  readonly mod_revision: bigint;
}

let cluster: ProcessCluster;
let clients: readonly GrpcClient[];

beforeAll(async () => {
  cluster = await ProcessCluster.start(["--initial-keyspace", "default:range:split=h,p"]);
  clients = cluster.names.map((name) => new GrpcClient(cluster.endpoint(name)));
  for (const [i, key] of KEYS.entries()) await put(key, String(9 - i));
  await kv("DeleteRange", { key: bytesOf("ready") });
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await cluster.close();
});

function ask(service: string, name: string, request: Message, at = 0): Promise<GrpcOutcome> {
  return clients[at]!.call(`/etcdserverpb.${service}`, name, request);
}

function kv(name: string, request: Message, at = 0): Promise<GrpcOutcome> {
  const messages: Readonly<Record<string, string>> = { Compact: "Compaction" };
  return ask(`KV/${name}`, messages[name] ?? name, request, at);
}

function put(key: string, value: string): Promise<GrpcOutcome> {
  return kv("Put", { key: bytesOf(key), value: bytesOf(value) });
}

function revisionOf({ response }: GrpcOutcome): bigint {
  return (must(response)["header"] as { revision: bigint }).revision;
}

function keysOf(response: Message | undefined): string {
  const rows = (response?.["kvs"] ?? []) as unknown as readonly Row[];
  return rows.map(({ key }) => String.fromCharCode(...key)).join("");
}

interface Status {
  readonly memberId: bigint;
  readonly leader: bigint;
  readonly revision: bigint;
}

async function status(at: number): Promise<Status> {
  const { response } = await ask("Maintenance/Status", "Status", {}, at);
  const { member_id: memberId, revision } = must(response)["header"] as unknown as {
    member_id: bigint;
    revision: bigint;
  };
  return { ...(response as object), memberId, revision, leader: response?.["leader"] as bigint };
}

test("by hash all that is not read in the order of keys works", async () => {
  const hashed = await ProcessCluster.start(["--initial-keyspace", "default:hash:shards=3"]);
  const client = new GrpcClient(hashed.endpoint("n2"));
  onTestFinished(async () => {
    client.close();
    await hashed.close();
  });
  const stream = client.stream("/etcdserverpb.Watch/Watch", "Watch");
  stream.send({ create_request: { ...ALL, start_revision: 0n } });
  await stream.next();
  for (const key of KEYS) {
    const request = { key: bytesOf(key) };
    expect((await client.call("/etcdserverpb.KV/Put", "Put", request)).message).toBe("");
    const { events } = (await stream.next()) as unknown as { events: { kv: Row }[] };
    expect(events.map((event) => event.kv.key)).toEqual([bytesOf(key)]);
  }
  const few = { key: bytesOf("b"), range_end: OPEN, limit: 4n };
  const { response } = await client.call("/etcdserverpb.KV/Range", "Range", few);
  expect([keysOf(response), response?.["count"]]).toEqual(["bhkp", 6n]);
  const streamed = client.stream("/etcdserverpb.KV/RangeStream", "RangeStream");
  streamed.write(frameOf("RangeRequest", ALL));
  streamed.end();
  expect(await streamed.next()).toBeUndefined();
  const refused = { status: FAILED_PRECONDITION, message: expect.stringContaining("by hash") };
  expect(await streamed.ended).toMatchObject(refused);
  stream.cancel();
}, 60_000);

describe("works", () => {
  test("is what was asked for", async () => {
    expect(await cluster.flotctl("keyspace", "list")).toBe("1, default, range, 3, 3\n");
  });

  test("ranges over shards, at every node, in every order, with limit, more and count", async () => {
    for (const at of [0, 1, 2]) {
      const { response } = await kv("Range", ALL, at);
      expect(keysOf(response)).toBe("abhkpz");
      expect(response).toMatchObject({ count: 6n });
      const few = await kv("Range", { ...ALL, limit: 3n }, at);
      expect(few.response).toMatchObject({ more: true, count: 6n });
      expect(keysOf(few.response)).toBe("abh");
      const sorted = await kv("Range", { ...ALL, limit: 4n, sort_order: 1, sort_target: 4 }, at);
      expect(keysOf(sorted.response)).toBe("zpkh");
      const backwards = await kv("Range", { ...ALL, limit: 5n, sort_order: 2 }, at);
      expect(keysOf(backwards.response)).toBe("zpkhb");
      const counted = await kv("Range", { ...ALL, count_only: true }, at);
      expect(counted.response).toMatchObject({ count: 6n });
      const some = await kv("Range", { key: bytesOf("b"), range_end: bytesOf("l") }, at);
      expect(keysOf(some.response)).toBe("bhk");
      expect((await kv("Range", { ...ALL, serializable: true }, at)).status).toBe(0);
    }
  });

  test("what one shard has: values, transactions, deletes, past revisions", async () => {
    const before = revisionOf(await put("t1", "one"));
    const compare = [{ result: 0, target: 3, key: bytesOf("t1"), value: bytesOf("one") }];
    const success = [
      { request_put: { key: bytesOf("t1"), value: bytesOf("two"), prev_kv: true } },
      { request_put: { key: bytesOf("t2"), value: bytesOf("new") } },
    ];
    const txn = await kv("Txn", { compare, success });
    expect(txn.response).toMatchObject({ succeeded: true });
    expect(revisionOf(txn)).toBeGreaterThan(before);
    const past = await kv("Range", { key: bytesOf("t1"), revision: before });
    expect(past.response).toMatchObject({ kvs: [{ value: bytesOf("one") }] });
    const gone = await kv("DeleteRange", { key: bytesOf("t"), range_end: bytesOf("u") });
    expect(gone.response).toMatchObject({ deleted: 2n });
    const all = await kv("Range", { ...ALL, revision: revisionOf(txn) });
    expect(keysOf(all.response)).toMatch(/^abhkpt1t2z$/);
    const future = await kv("Range", { ...ALL, revision: 1n << 40n });
    expect(future).toMatchObject({ status: OUT_OF_RANGE });
  });

  test("a watch over shards: every change once, in order, with its progress", async () => {
    const before = revisionOf(await kv("Range", ALL));
    const stream = clients[1]!.stream("/etcdserverpb.Watch/Watch", "Watch");
    stream.send({ create_request: { ...ALL, start_revision: before + 1n } });
    expect(await stream.next()).toMatchObject({ created: true });
    const written: bigint[] = [];
    for (const key of ["k", "a", "z", "h", "b", "p"]) written.push(revisionOf(await put(key, "w")));
    const seen: bigint[] = [];
    while (seen.length < written.length) {
      const { events = [] } = (await stream.next()) as { events?: { kv: Row }[] };
      for (const event of events) seen.push(event.kv.mod_revision);
    }
    expect(seen).toEqual(written);
    stream.send({ progress_request: {} });
    const progress = must(await stream.next());
    expect(progress).toMatchObject({ watch_id: -1n });
    expect((progress["header"] as { revision: bigint }).revision >= written.at(-1)!).toBe(true);
    stream.end();
  }, 30_000);

  test("streamed ranges and snapshots", async () => {
    for (const serializable of [false, true]) {
      const stream = clients[2]!.stream("/etcdserverpb.KV/RangeStream", "RangeStream");
      stream.write(frameOf("RangeRequest", { ...ALL, serializable }));
      stream.end();
      const parts = (await stream.rest()).map((next) => next["range_response"] as Message);
      expect(parts.map(keysOf).join("")).toBe("abhkpz");
    }
    const saving = clients[1]!.stream("/etcdserverpb.Maintenance/Snapshot", "Snapshot");
    saving.send({});
    saving.end();
    const blobs = (await saving.rest()).map((next) => next["blob"] as Uint8Array);
    expect((await saving.ended).message).toBe("");
    expect((await readSnapshot(concatBytes(...blobs))).kvs).toHaveLength(KEYS.length);
  });

  test("status, members, and the leader of the first shard, which can be moved", async () => {
    const newest = revisionOf(await kv("Range", ALL));
    const found = await Promise.all([0, 1, 2].map((at) => status(at)));
    for (const one of found) expect(one).toMatchObject({ version: "3.6.0" });
    await eventually(async () => (await status(1)).revision === newest);
    const at = found.findIndex(({ leader, memberId }) => leader === memberId);
    const other = (at + 1) % 3;
    const targetID = found[other]!.memberId;
    const moved = await ask("Maintenance/MoveLeader", "MoveLeader", { targetID }, at);
    expect(moved.message).toBe("");
    await eventually(async () => (await status(other)).leader === targetID);
    const { response } = await ask("Cluster/MemberList", "MemberList", {});
    expect(response?.["members"]).toHaveLength(3);
  }, 60_000);

  test("compaction of all shards", async () => {
    const newest = revisionOf(await kv("Range", ALL));
    expect((await kv("Compact", { revision: newest, physical: true })).message).toBe("");
    for (const key of KEYS) {
      const past = { key: bytesOf(key), revision: newest - 1n };
      expect((await kv("Range", past)).message).toContain("has been compacted");
    }
    expect(await kv("Compact", { revision: newest })).toMatchObject({ status: OUT_OF_RANGE });
    expect(await kv("Compact", { revision: newest + 1000n })).toMatchObject({ status: 11 });
    expect((await kv("Range", { ...ALL, revision: newest })).status).toBe(0);
    expect((await ask("Maintenance/Defragment", "Defragment", {})).status).toBe(0);
  }, 60_000);

  test("by JSON", async () => {
    const url = `http://${cluster.endpoint("n3")}/v3/kv/range`;
    const body = '{"key":"AA==","range_end":"AA==","limit":2,"keys_only":true}';
    const answer = await (await fetch(url, { method: "POST", body })).text();
    expect(answer).toContain('"count":"6"');
    expect(answer).toContain('"more":true');
  });
});

describe("refuses, and says so", () => {
  test("transactions and deletes over shards", async () => {
    const both = ["a", "z"].map((key) => ({ request_put: { key: bytesOf(key) } }));
    const refused = { status: FAILED_PRECONDITION, message: expect.stringContaining("shard") };
    expect(await kv("Txn", { success: both })).toMatchObject(refused);
    expect(await kv("DeleteRange", ALL)).toMatchObject(refused);
    expect(keysOf((await kv("Range", ALL)).response)).toBe("abhkpz");
  });

  test("leases, locks, elections, keys with leases", async () => {
    const refused = { status: UNIMPLEMENTED, message: expect.stringContaining("leases need") };
    const leased = { key: bytesOf("l"), lease: 7n };
    expect(await kv("Put", leased)).toMatchObject(refused);
    expect(await kv("Txn", { success: [{ request_put: leased }] })).toMatchObject(refused);
    expect(await ask("Lease/LeaseGrant", "LeaseGrant", { TTL: 5n })).toMatchObject(refused);
    expect(await ask("Lease/LeaseLeases", "LeaseLeases", {})).toMatchObject(refused);
    const stream = clients[0]!.stream("/etcdserverpb.Lease/LeaseKeepAlive", "LeaseKeepAlive");
    stream.send({ ID: 7n });
    expect(await stream.next()).toBeUndefined();
    expect(await stream.ended).toMatchObject(refused);
    for (const lease of [0n, 7n]) {
      const locked = await clients[0]!.call("/v3lockpb.Lock/Lock", "v3lockpb.Lock", {
        name: bytesOf("l"),
        lease,
      });
      expect(locked).toMatchObject(refused);
    }
  });

  test("hashes", async () => {
    const refused = { status: UNIMPLEMENTED, message: expect.stringContaining("one shard") };
    expect(await ask("Maintenance/HashKV", "HashKV", {})).toMatchObject(refused);
    expect(await ask("Maintenance/Hash", "Hash", {})).toMatchObject(refused);
  });
});
