/** A replica whose files are damaged stops serving, is refilled by the others and serves again. */
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

test("a damaged replica says so, ends its watches and is refilled", async () => {
  const told: string[] = [];
  const cluster = await TestCluster.start({
    config: { memtablesBytesMax: 24 * MEBIBYTE, blockCacheBytes: 0 },
    tracer: (name) => ({ trace: (_level, text) => void told.push(`${name}: ${text}`) }),
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
  await eventually(async () => {
    await client.get("base/0");
    return told.includes(`${leader}: a replica is damaged and waits to be refilled`);
  });
  await eventually(() => client.put("probe", "after"));
  await eventually(() => seen.includes("after"));
  await eventually(() => told.includes(`${leader}: a replica is whole again`));
  const after = await eventually(async () => {
    const { healthy, reasons } = await client.admin.health(endpoint);
    expect(reasons).toEqual([]);
    return healthy;
  });
  expect(after).toBe(true);
  // What it serves as leader again is what was written.
  await client.admin.moveLeader(shardId, leader);
  await eventually(async () => {
    const { header: of, kv } = await client.get("base/1");
    return of.nodeId === header.nodeId && kv?.value.length === value.length;
  });
  watch.cancel();
  await watching;
}, 30_000);
