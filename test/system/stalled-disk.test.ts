/** A disk that finishes no write ends no node, and costs its shards no more than another leader. */
import { afterEach, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { GatedDisk } from "../support/gated-disk.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

/** The stall is noticed, the lead handed over, writes under way given up; and something over. */
const SERVED_WITHIN_MS = 6000;

const errors = uncaughtErrors();
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

/** Three nodes on disks with gates, and seven shards that all have been written to. */
async function start(): Promise<{
  readonly cluster: TestCluster;
  readonly gates: ReadonlyMap<string, GatedDisk>;
  readonly keyspace: Client;
  readonly keys: readonly string[];
  readonly putAll: (value: string) => Promise<unknown>;
}> {
  const gates = new Map<string, GatedDisk>();
  const cluster = await TestCluster.start({
    disk: (name, disk) => {
      const gate = new GatedDisk(disk);
      gates.set(name, gate);
      return gate;
    },
  });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 2000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  await client.admin.createKeyspace({ name: "more", kind: "hash", shards: 6 });
  const keyspace = client.keyspace("more");
  const keys = Array.from({ length: 24 }, (_, i) => `key/${i}`);
  const putAll = (value: string): Promise<unknown> =>
    Promise.all(keys.map((key) => eventually(() => keyspace.put(key, value), SERVED_WITHIN_MS)));
  await putAll("1");
  return { cluster, gates, keyspace, keys, putAll };
}

test("all that a node leads is served by others while its disk stalls", async () => {
  const { cluster, gates, keyspace, keys, putAll } = await start();
  const name = cluster.nameOf((await keyspace.put(keys[0]!, "1")).header.nodeId);
  const stalled = cluster.node(name);
  const led = (): unknown[] =>
    [...stalled.core.host.replicas].filter((replica) => replica.raft.role === "leader");
  expect(led().length).toBeGreaterThan(0);
  gates.get(name)!.shut();
  const stalledMs = performance.now();
  await putAll("2");
  expect(performance.now() - stalledMs).toBeLessThan(SERVED_WITHIN_MS);
  expect(led()).toEqual([]);
  // Nothing is moved back meanwhile, though the map prefers that node.
  for (let round = 0; round < 20; round++) {
    await putAll(`${round}`);
    const found = await Promise.all(keys.map((key) => keyspace.get(key)));
    for (const { kv } of found) expect(utf8Text(kv!.value)).toBe(`${round}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(led()).toEqual([]);

  gates.get(name)!.reopen();
  await eventually(() => led().length > 0, 15_000);
  await putAll("3");
  await eventually(() => {
    for (const replica of stalled.core.host.replicas) {
      const others = cluster.names.map((each) =>
        cluster.node(each).core.host.replica(replica.shardId),
      );
      if (others.some((each) => each?.raft.appliedIndex !== replica.raft.appliedIndex))
        return false;
    }
    return true;
  });
  expect(errors).toEqual([]);
}, 60_000);

test("a shard that nobody writes to does not keep a leader whose disk stalls", async () => {
  const { cluster, gates, keyspace, keys } = await start();
  const name = cluster.nameOf((await keyspace.put(keys[0]!, "1")).header.nodeId);
  const stalled = cluster.node(name);
  const leads = (): boolean =>
    [...stalled.core.host.replicas].some((replica) => replica.raft.role === "leader");
  expect(leads()).toBe(true);
  gates.get(name)!.shut();
  // It hears of writes of shards that others lead, and so notices.
  for (const key of keys) {
    const { header } = await keyspace.get(key);
    if (cluster.nameOf(header.nodeId) !== name) await keyspace.put(key, "2");
  }
  await eventually(() => !leads(), SERVED_WITHIN_MS);
  gates.get(name)!.reopen();
  expect(errors).toEqual([]);
}, 60_000);
