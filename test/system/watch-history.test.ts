/**
 * Watches of much history on a shard where nothing else happens, over real sockets and over a
 * process's way to itself. The watching side's time stands still, so that no question of a client
 * who has waited too long helps the server on.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8Text } from "../../src/base/bytes.js";
import { connectBy } from "../../src/client/client.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import type { ClientEnv } from "../../src/client/node-link.js";
import type { Watch } from "../../src/client/watch.js";
import { SdkBackend } from "../../src/cli/etcd-backend.js";
import { withLocalPath } from "../../src/env/local-path.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import type { Timers } from "../../src/env/timers.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { encodeRoutedHeader } from "../../src/protocol/routed-header.js";
import { encodeWatchCreate } from "../../src/protocol/watch-codec.js";
import { storedKey } from "../../src/route/stored-key.js";
import { bytesOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { GatewayServer } from "../support/gateway-server.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";

const STILL_TIMERS: Timers = {
  after: () => ({ cancel: () => {} }),
  endOfTurn: (run) => nodeTimers.endOfTurn(run),
};
const EVENTS = 200;
const BURST = 40;
const VALUE = new Uint8Array(100_000);

let cluster: TestCluster;
let writer: Client;
/** Of the process itself: its node is reached in memory by this. */
let local: ClientEnv;
const remote: ClientEnv = { ...createNodeEnv(), timers: STILL_TIMERS };

beforeAll(async () => {
  const network = { current: nodeNetwork };
  cluster = await TestCluster.start({
    nodeCount: 1,
    config: { memtablesBytesMax: 128 * 1024 * 1024, segmentSizeBytes: 64 * 1024 * 1024 },
    beforeStart: async (starting) => {
      network.current = withLocalPath(nodeNetwork, starting.endpoint("n1"), () => []);
    },
    network: () => network.current,
  });
  local = { ...remote, network: network.current };
  writer = await connect({ endpoints: cluster.endpoints });
  await eventually(() => writer.put("ready", "yes"));
  for (let i = 0; i < EVENTS; i++) await writer.put(`history/${i}`, VALUE);
});

afterAll(async () => {
  await writer.close();
  await cluster.close();
});

async function eventsOf(watch: Watch, count: number): Promise<readonly number[]> {
  const revisions: number[] = [];
  while (revisions.length < count) {
    const item = must((await watch.next()).value);
    if ("events" in item) for (const { kv } of item.events) revisions.push(kv.modRevision);
  }
  watch.cancel();
  return revisions;
}

/** etcd's API as the node has it, over a way to the node of our choice. */
async function gatewayBy(env: ClientEnv): Promise<Served> {
  const { nodeId } = cluster.node("n1");
  const requestSizeBytesMax = 1536 * 1024;
  const known = { nodeId, clusterId: 1n, requestSizeBytesMax, isLearner: () => false };
  const node = { address: cluster.endpoint("n1"), ...known };
  const backend = new SdkBackend(env, node);
  const server = await GatewayServer.start(backend);
  const close = async (): Promise<void> => {
    await server.close();
    await backend.close();
  };
  return { server, close };
}

interface Served {
  readonly server: GatewayServer;
  close(): Promise<void>;
}

function ascending(revisions: readonly number[]): boolean {
  return revisions.every((revision, i) => i === 0 || revision > revisions[i - 1]!);
}

describe("a watch of history is not held up on a shard at rest", () => {
  for (const [name, env] of [
    ["a socket", () => remote],
    ["memory", () => local],
  ] as const) {
    test(`by the SDK over ${name}`, async () => {
      const client = await connectBy(env(), { endpoints: cluster.endpoints });
      const watch = client.watch({ key: "history/", prefix: true, startRevision: 1 });
      expect(ascending(await eventsOf(watch, EVENTS))).toBe(true);
      await client.close();
    });

    test(`by etcd's API, whose node is reached over ${name}`, async () => {
      const served = await gatewayBy(env());
      const stream = served.server.client().stream("/etcdserverpb.Watch/Watch", "Watch");
      const span = { key: bytesOf("history/"), range_end: bytesOf("history0") };
      stream.send({ create_request: { ...span, start_revision: 1n } });
      const revisions: number[] = [];
      while (revisions.length < EVENTS) {
        const { events = [] } = must(await stream.next()) as Told;
        for (const { kv } of events) revisions.push(Number(kv.mod_revision));
      }
      expect(ascending(revisions)).toBe(true);
      await served.close();
    });

    test(`nor one that is outrun by a burst, over ${name}`, async () => {
      const client = await connectBy(env(), { endpoints: cluster.endpoints });
      const key = `burst ${name}/`;
      const watch = client.watch({ key, prefix: true });
      await watch.started;
      const puts = Array.from({ length: BURST }, (_, i) => writer.put(`${key}${i}`, VALUE));
      expect(ascending(await eventsOf(watch, BURST))).toBe(true);
      await Promise.all(puts);
      await client.close();
    });
  }
});

describe("one revision with more events than a frame takes", () => {
  const keys = Array.from({ length: 15 }, (_, i) => `large/${String(i).padStart(2, "0")}`);
  const large = new Uint8Array(1_400_000);
  const span = { key: bytesOf("large/"), range_end: bytesOf("large0"), prev_kv: true };
  let deleted = 0;

  beforeAll(async () => {
    for (const key of keys) await writer.put(key, large);
    deleted = (await writer.delete("large/", { prefix: true })).header.revision;
  });

  test("comes as one by the SDK", async () => {
    const options = { key: "large/", prefix: true, prevKv: true, startRevision: deleted };
    const watch = writer.watch(options);
    const { value } = await watch.next();
    watch.cancel();
    const item = must(value);
    if (!("events" in item)) throw new Error("no events");
    expect(item.events.map(({ kv }) => utf8Text(kv.key))).toEqual(keys);
    expect(item.events.every(({ prevKv }) => prevKv?.value.length === large.length)).toBe(true);
  });

  test("ends the watch of a client from before there were parts, which can say why", async () => {
    const keyspace = await writer.admin.keyspace();
    const shard = await writer.admin.locate("large/");
    const watch = (client: RawClient): Promise<void> =>
      client.request(MESSAGE_TYPES.watch, (out) => {
        encodeRoutedHeader(out, shard);
        const key = storedKey(keyspace, span.key);
        const rangeEnd = storedKey(keyspace, span.range_end);
        const wanted = { prevKv: true, noPut: false, noDelete: false, progress: false };
        encodeWatchCreate(out, { key, rangeEnd, startRevision: deleted, ...wanted });
      });
    const old = await RawClient.dial(cluster.endpoint("n1"), "", { features: 0 });
    const error = await errorOf(watch(old));
    expect(error).toMatchObject({ code: "unsupported", outcome: "notApplied" });
    expect(error.message).toContain(`the events of revision ${deleted} need several frames`);
    // The node goes on, and so does the connection.
    expect(await errorOf(watch(old))).toMatchObject({ code: "unsupported" });
    old.close();
  });

  test("comes by etcd's API as one response, or in fragments to who asked for them", async () => {
    const served = await gatewayBy(remote);
    for (const fragment of [false, true]) {
      const stream = served.server.client().stream("/etcdserverpb.Watch/Watch", "Watch");
      stream.send({ create_request: { ...span, start_revision: BigInt(deleted), fragment } });
      expect(await stream.next()).toMatchObject({ created: true });
      const found: string[] = [];
      let responses = 0;
      let isMore = true;
      while (isMore) {
        const response = must(await stream.next()) as Told;
        for (const { kv, prev_kv } of response.events ?? []) {
          expect(prev_kv?.value.length).toBe(large.length);
          found.push(utf8Text(kv.key));
        }
        isMore = response.fragment === true;
        responses++;
      }
      expect([found, responses]).toEqual([keys, fragment ? keys.length : 1]);
      stream.cancel();
    }
    await served.close();
  });
});

interface Told {
  readonly events?: readonly {
    readonly kv: { readonly key: Uint8Array; readonly mod_revision: bigint };
    readonly prev_kv?: { readonly value: Uint8Array };
  }[];
  readonly fragment?: boolean;
}
