/**
 * What a cluster answers to what it should not be asked: a clear error that names the limit, and
 * nothing lost. The SDK checks before it sends; the server checks whoever asks.
 */
import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { equalBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import {
  KEY_SIZE_BYTES_MAX,
  REQUEST_SIZE_BYTES_BOUND,
  REQUEST_SIZE_BYTES_MAX,
} from "../../src/base/limits.js";
import { KvError, connect } from "../../src/client/index.js";
import type { Client, ShardDescriptor } from "../../src/client/index.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { clientHello } from "../../src/protocol/hello-codec.js";
import { dialFrames } from "../../src/rpc/handshake.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import { startNode } from "../../src/node/node.js";
import { encodePut } from "../../src/protocol/put-codec.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { storedKey } from "../../src/route/stored-key.js";
import { eventually } from "../support/eventually.js";
import { FillableDisk } from "../support/fillable-disk.js";
import { put, txn } from "../support/operations.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";

const MEBIBYTE = 1024 * 1024;

let cluster: TestCluster;
let client: Client;
let raw: RawClient;
let keyspace: KeyspaceDescriptor;
let shard: ShardDescriptor;
const disks: FillableDisk[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start({
    disk: (_name, disk) => {
      const fillable = new FillableDisk(disk);
      disks.push(fillable);
      return fillable;
    },
  });
  client = await connect({ endpoints: cluster.endpoints });
  await eventually(() => client.put("ready", "yes"));
  keyspace = (await client.admin.keyspaces()).find((each) => each.name === "default")!;
  await client.admin.createKeyspace({ name: "two", kind: "range", splitPoints: ["m"] });
  shard = await client.admin.locate("a");
  const leader = (await client.put("a", "b")).header.nodeId;
  raw = await RawClient.dial(cluster.endpoint(cluster.nameOf(leader)));
});

afterAll(async () => {
  raw.close();
  await client.close();
  await cluster.close();
});

function rawPut(key: Uint8Array, value: Uint8Array, to: ShardDescriptor = shard): Promise<void> {
  return raw.request(MESSAGE_TYPES.put, (out) =>
    encodePut(out, to, { key, value, flags: 0, leaseLow: 0, leaseHigh: 0 }),
  );
}

const refusal = (code: string, bound?: number): object => ({
  code,
  outcome: "notApplied",
  ...(bound === undefined ? {} : { details: { bound } }),
});

describe("keys and sizes", () => {
  test("an empty key is refused, by the SDK and by the server", async () => {
    await expect(client.put("", "x")).rejects.toMatchObject(refusal("keyEmpty"));
    await expect(client.get("")).rejects.toMatchObject(refusal("keyEmpty"));
    const bare = storedKey(keyspace, new Uint8Array(0));
    await expect(rawPut(bare, utf8("x"))).rejects.toMatchObject(refusal("keyEmpty"));
  });

  test("a key of 64 KiB passes; one byte more is refused with the limit", async () => {
    const longest = new Uint8Array(KEY_SIZE_BYTES_MAX).fill(97);
    await client.put(longest, "x");
    expect(utf8Text((await client.get(longest)).kv!.value)).toBe("x");
    const tooLong = new Uint8Array(KEY_SIZE_BYTES_MAX + 1).fill(97);
    const wanted = refusal("keyTooLarge", KEY_SIZE_BYTES_MAX);
    await expect(client.put(tooLong, "x")).rejects.toMatchObject(wanted);
    await expect(rawPut(storedKey(keyspace, tooLong), utf8("x"))).rejects.toMatchObject(wanted);
  });

  test("a value of 1 MiB passes; a request over the limit is refused with the limit", async () => {
    const value = new Uint8Array(MEBIBYTE).fill(1);
    await client.put("large", value);
    expect(equalBytes((await client.get("large")).kv!.value, value)).toBe(true);
    const wanted = refusal("requestTooLarge", REQUEST_SIZE_BYTES_MAX);
    const tooLarge = new Uint8Array(REQUEST_SIZE_BYTES_MAX + 1);
    await expect(client.put("large", tooLarge)).rejects.toMatchObject(wanted);
    await expect(rawPut(storedKey(keyspace, utf8("large")), tooLarge)).rejects.toMatchObject(
      wanted,
    );
    expect(equalBytes((await client.get("large")).kv!.value, value)).toBe(true);
  });
});

test("a transaction's values do not go into the room that its framing has", async () => {
  // By itself this client refuses nothing that a server may be set to accept.
  const bold = await connect({
    endpoints: cluster.endpoints,
    requestSizeBytesMax: REQUEST_SIZE_BYTES_BOUND,
  });
  const putsOf = (bytes: number): Promise<unknown> => {
    const half = Math.floor(bytes / 2);
    const [a, b] = ["a".repeat(half), "b".repeat(bytes - half)];
    return bold.txn(txn([], [put("k", a), put("l", b)]));
  };
  const keys = 2;
  await putsOf(REQUEST_SIZE_BYTES_MAX - keys);
  await expect(putsOf(REQUEST_SIZE_BYTES_MAX - keys + 1)).rejects.toMatchObject(
    refusal("requestTooLarge", REQUEST_SIZE_BYTES_MAX),
  );
  await bold.close();
});

describe("the wrong place", () => {
  test("an unknown keyspace is named", async () => {
    await expect(client.keyspace("nowhere").put("a", "b")).rejects.toMatchObject({
      code: "keyspaceNotFound",
      message: expect.stringContaining("nowhere") as string,
    });
  });

  test("a keyspace cannot be made twice, nor with a wrong name or split points", async () => {
    const make = (name: string, splitPoints: string[]): Promise<unknown> =>
      client.admin.createKeyspace({ name, kind: "range", splitPoints });
    await expect(make("two", [])).rejects.toMatchObject(refusal("keyspaceExists"));
    await expect(make("no/slash", [])).rejects.toMatchObject(refusal("invalidArgument"));
    await expect(make("three", ["b", "a"])).rejects.toMatchObject(refusal("invalidArgument"));
  });

  test("a key of another shard, and a stale epoch, are refused with the descriptor", async () => {
    const { clusterMap } = await client.admin.map();
    const two = clusterMap.keyspaces.find((each) => each.name === "two")!;
    const [low] = clusterMap.shards.filter((each) => each.keyspaceId === two.keyspaceId);
    const leader = clusterMap.nodes.find((node) => node.nodeId === low!.preferredNodeId)!;
    const direct = await RawClient.dial(leader.clientAddress);
    const put = (key: string, to: ShardDescriptor): Promise<void> =>
      direct.request(MESSAGE_TYPES.put, (out) => {
        const stored = storedKey(two, utf8(key));
        encodePut(out, to, { key: stored, value: utf8("x"), flags: 0, leaseLow: 0, leaseHigh: 0 });
      });
    await expect(put("z", low!)).rejects.toMatchObject(refusal("staleEpoch"));
    const old = { ...low!, epoch: { configuration: 7, range: 9 } };
    await expect(put("a", old)).rejects.toMatchObject({
      code: "staleEpoch",
      details: { shards: [expect.objectContaining({ shardId: low!.shardId })] },
    });
    const absent = { ...low!, shardId: 4711 };
    await expect(put("a", absent)).rejects.toMatchObject(refusal("shardNotFound"));
    direct.close();
  });

  test("the system keyspace is not open to clients", async () => {
    const system = { ...shard, shardId: 1, keyspaceId: 0, epoch: { configuration: 1, range: 1 } };
    await expect(rawPut(new Uint8Array(8), utf8("x"), system)).rejects.toMatchObject(
      refusal("invalidArgument"),
    );
  });

  test("a client of another cluster is turned away", async () => {
    const address = cluster.endpoints[0]!;
    await expect(RawClient.dial(address, "0123456789abcdef")).rejects.toMatchObject(
      refusal("wrongCluster"),
    );
  });
});

describe("what is no message of ours", () => {
  /** Sends bytes and waits until the other side closes. */
  function sendGarbage(address: string, bytes: Uint8Array): Promise<void> {
    const [host, port] = address.split(":");
    return new Promise((resolve) => {
      const socket = connectSocket({ host: host!, port: Number(port) }, () => socket.write(bytes));
      socket.on("close", () => resolve());
      socket.on("error", () => undefined);
      socket.resume();
    });
  }

  const hello = utf8("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  const huge = Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0, 0, 0);
  const noise = Uint8Array.from({ length: 4096 }, (_, i) => (i * 131 + 7) % 251);

  test.each([
    ["another protocol", hello],
    ["a frame of two gigabytes", huge],
    ["noise", noise],
  ])("%s closes the connection and harms nothing", async (_what, bytes) => {
    for (const name of cluster.names) {
      await sendGarbage(cluster.endpoint(name), bytes);
      await sendGarbage(cluster.peerAddress(name), bytes);
    }
    await client.put("after", "garbage");
    expect(utf8Text((await client.get("after")).kv!.value)).toBe("garbage");
  });

  test("a message between nodes that cannot be read closes its connection only", async () => {
    const env = createNodeEnv();
    const { clusterId } = (await client.admin.map()).clusterMap;
    const stranger = { kind: "control", nodeId: 4711, incarnation: "x", run: 1 } as const;
    for (const name of cluster.names) {
      const closed = new Promise<void>((resolve, reject) => {
        dialFrames(env, cluster.peerAddress(name), {
          hello: { ...clientHello(clusterId), ...stranger },
          timeoutMs: 1000,
          established: (connection) => {
            const out = connection.begin(MESSAGE_TYPES.raft, 0, 0);
            out.u32(PLACEMENT_SHARD_ID);
            out.u32(0xffff_ffff);
            connection.end();
            return { frame: () => undefined, drain: () => undefined, closed: () => resolve() };
          },
        }).catch(reject);
      });
      await closed;
    }
    await client.put("after", "a broken message");
    expect(utf8Text((await client.get("after")).kv!.value)).toBe("a broken message");
  });

  test("a request that cannot be read is answered as such; the connection goes on", async () => {
    await expect(raw.request(MESSAGE_TYPES.put, (out) => out.u32(1))).rejects.toMatchObject(
      refusal("malformed"),
    );
    await expect(raw.request(99, () => undefined)).rejects.toMatchObject(refusal("unsupported"));
    await rawPut(storedKey(keyspace, utf8("still")), utf8("here"));
  });
});

describe("starting where one should not", () => {
  test("a second node on one data directory is refused", async () => {
    const config = {
      ...cluster.config("n1"),
      listenClient: "127.0.0.1:0",
      listenPeer: "127.0.0.1:0",
    };
    await expect(startNode(cluster.env("n1"), config)).rejects.toThrow(
      /another process|in use|held/i,
    );
    await client.put("after", "the intruder");
  });

  test("a data directory of another cluster or node is refused", async () => {
    const config = cluster.config("n1");
    await expect(
      startNode(cluster.env("n1"), { ...config, clusterToken: "another" }),
    ).rejects.toMatchObject({ code: "invalidArgument" });
    await expect(
      startNode(cluster.env("n1"), {
        ...config,
        initialCluster: config.initialCluster.slice(0, 1),
      }),
    ).rejects.toMatchObject({ code: "wrongCluster" });
  });

  test.each([
    ["electionTimeoutMinMs", { electionTimeoutMinMs: 100 }],
    ["leaderLeaseMs", { leaderLeaseMs: 1000 }],
    ["requestSizeBytesMax", { requestSizeBytesMax: 1024 * MEBIBYTE }],
    ["listenClient", { listenClient: "nowhere" }],
    ["initialCluster", { initialCluster: [{ name: "x", peerAddress: "127.0.0.1:1" }] }],
  ])("a wrong %s is named", async (field, wrong) => {
    const config = { ...DEFAULT_CONFIG, dataDirectory: "/nonexistent", ...wrong };
    await expect(startNode(cluster.env("n1"), config)).rejects.toMatchObject({
      code: "invalidArgument",
      message: expect.stringContaining(field) as string,
    });
  });
});

test("a full disk refuses writes, serves reads, and recovers by itself", async () => {
  const acknowledged = new Map<string, number>();
  const value = new Uint8Array(64 * 1024).fill(5);
  for (const disk of disks) disk.full = true;
  let refused: KvError | undefined;
  for (let i = 0; refused === undefined && i < 2000; i++) {
    try {
      const { header } = await client.put(`full/${i}`, value);
      acknowledged.set(`full/${i}`, header.revision);
    } catch (error) {
      const failure = KvError.from(error);
      // Where the followers' logs fill up before the leader notices its own disk, what the leader
      // had accepted waits for their room: its outcome is unknown. What comes later is refused.
      if (failure.outcome === "notApplied") refused = failure;
    }
  }
  expect(refused).toMatchObject(refusal("noSpace"));
  expect(refused?.message).toContain("full");
  expect(utf8Text((await client.get("ready")).kv!.value)).toBe("yes");
  for (const disk of disks) disk.full = false;
  await eventually(() => client.put("full/after", "room"));
  for (const [key, revision] of acknowledged) {
    expect((await client.get(key)).kv?.modRevision).toBe(revision);
  }
}, 60_000);
