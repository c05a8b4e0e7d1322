/** A replica whose files are damaged stops serving and stays closed; the others go on. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const MEBIBYTE = 1024 * 1024;

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

/** Overwrites the middle of every table of a node. */
function damageTables(directory: string): number {
  const tables = join(directory, "store", "tables");
  const names = readdirSync(tables);
  for (const name of names) {
    const bytes = readFileSync(join(tables, name));
    bytes.fill(0xa5, 0, Math.floor(bytes.length * 0.8));
    writeFileSync(join(tables, name), bytes);
  }
  return names.length;
}

test("a damaged replica says so, ends its watches and is not opened again", async () => {
  const cluster = await TestCluster.start({
    config: { memtablesBytesMax: 24 * MEBIBYTE, blockCacheBytes: 0 },
  });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 8000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  const value = new Uint8Array(128 * 1024).fill(7);
  for (let i = 0; i < 240; i++) await eventually(() => client.put(`base/${i}`, value));
  const { header } = await client.put("probe", "before");
  const { shardId } = header;
  const leader = cluster.nameOf(header.nodeId);
  const watch = client.watch({ key: "probe" });
  const seen: string[] = [];
  const watching = (async () => {
    for await (const item of watch) {
      if (!("events" in item)) continue;
      for (const event of item.events) seen.push(utf8Text(event.kv.value));
    }
  })();
  await client.put("probe", "watched");
  await eventually(() => seen.includes("watched"));
  await eventually(() => damageTables(join(cluster.directory, leader)) > 0);
  const endpoint = cluster.endpoint(leader);
  const isOpen = async (): Promise<boolean> => {
    const { replicas } = await client.admin.status(endpoint);
    return replicas.some((each) => each.shardId === shardId);
  };
  await eventually(async () => {
    await client.get("base/0");
    return !(await isOpen());
  });
  const { healthy, reasons } = await client.admin.health(endpoint);
  expect(healthy).toBe(false);
  expect(reasons.join()).toContain(`shard ${shardId} is damaged`);
  // A new map opens what is missing, but not this.
  await client.admin.createKeyspace({ name: "more", kind: "range", splitPoints: [] });
  await eventually(() => client.put("probe", "after"));
  await eventually(() => seen.includes("after"));
  expect(await isOpen()).toBe(false);
  watch.cancel();
  await watching;
}, 30_000);
