/** Why a node is slow, and why its disk is full: the page of a real process, and a full disk. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
import type { StorageStatus } from "../../src/protocol/storage-status.js";
import { must } from "../../src/base/assert.js";
import { eventually } from "../support/eventually.js";
import { FillableDisk } from "../support/fillable-disk.js";
import { ProcessCluster } from "../support/processes.js";
import { TestCluster } from "../support/test-cluster.js";

const MEBIBYTE = 1024 * 1024;
const KEYS = 20;
const VALUE = "v".repeat(100_000);

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start(["--log-segment-bytes", "16MiB", "--reserved-disk", "2MiB"]);
}, 60_000);

afterAll(() => cluster.close());

type Numbers = ReadonlyMap<string, number>;

/** All of our own at the node, by name and labels. */
async function numbers(): Promise<Numbers> {
  const page = await fetch(`http://${cluster.endpoint("n1")}/metrics`);
  const lines = (await page.text()).matchAll(/^(flotilla_\S+) (\S+)$/gm);
  return new Map([...lines].map(([, name, value]) => [must(name), Number(value)]));
}

async function ask(path: string, body: object): Promise<string> {
  const url = `http://${cluster.endpoint("n1")}/v3/${path}`;
  return (await fetch(url, { method: "POST", body: JSON.stringify(body) })).text();
}

/** Gives the revision of the last. */
async function putAll(round: number): Promise<string> {
  let answer = "";
  for (let i = 0; i < KEYS; i++) {
    answer = await ask("kv/put", { key: btoa(`k${i}`), value: btoa(`${round}${VALUE}`) });
  }
  return must(/"revision":"(\d+)"/.exec(answer)?.[1], answer);
}

/** What is read lies in tables, and in no cache yet. */
async function readAll(): Promise<void> {
  for (let i = 0; i < KEYS; i++) {
    expect(await ask("kv/range", { key: btoa(`k${i}`), serializable: true })).toContain("kvs");
  }
}

function of(numbersThen: Numbers, name: string): number {
  return must(numbersThen.get(`flotilla_${name}`), name);
}

test("the numbers of a node move with what is done to it", async () => {
  const before = await numbers();
  const obstacles = [...before].filter(([name]) => name.startsWith("flotilla_writes_held_up"));
  expect(obstacles.map(([, holds]) => holds)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect(of(before, "disk_reserved_bytes")).toBe(2 * MEBIBYTE);
  expect(of(before, "disk_free_bytes")).toBeGreaterThan(2 * MEBIBYTE);
  expect(of(before, "memtable_budget_bytes")).toBe(128 * MEBIBYTE);

  await putAll(1);
  const written = await numbers();
  const bytes = KEYS * VALUE.length;
  for (const name of ["memtable_bytes", "log_written_bytes_total", "log_entries_cached_bytes"]) {
    expect([name, of(written, name) - of(before, name) > bytes / 2]).toEqual([name, true]);
  }
  const busy = "event_loop_busy_seconds_total";
  expect(of(written, busy)).toBeGreaterThan(of(before, busy));

  await cluster.flotctl("defrag", "--cluster");
  const flushed = await numbers();
  expect(of(flushed, "flushes_total")).toBeGreaterThan(of(written, "flushes_total"));
  expect(of(flushed, "memtable_bytes")).toBeLessThan(of(written, "memtable_bytes"));
  const grown = ["flush_written_bytes_total", "table_bytes", "table_used_bytes"];
  for (const name of grown) expect([name, of(flushed, name) > bytes / 2]).toEqual([name, true]);
  expect(of(flushed, "tables")).toBeGreaterThan(0);
  expect(of(flushed, "manifest_bytes")).toBeGreaterThan(of(before, "manifest_bytes"));

  await readAll();
  const read = await numbers();
  const blocks = "table_blocks_read_total";
  expect(of(read, blocks)).toBeGreaterThanOrEqual(of(flushed, blocks) + KEYS);
  expect(of(read, "block_cache_bytes")).toBeGreaterThan(of(flushed, "block_cache_bytes"));

  const revision = await putAll(2);
  await cluster.flotctl("defrag", "--cluster");
  const doubled = await numbers();
  expect(of(doubled, "table_used_bytes")).toBeGreaterThan(1.5 * bytes);
  await ask("kv/compaction", { revision });
  // A follower hears of the compaction with the next entry or heartbeat.
  const merged = await eventually(async () => {
    await cluster.flotctl("defrag", "--cluster");
    const now = await numbers();
    return of(now, "merges_total") > of(before, "merges_total") && now;
  });
  expect(of(merged, "merge_written_bytes_total")).toBeGreaterThan(bytes / 2);
  expect(of(merged, "table_used_bytes")).toBeLessThan(1.5 * bytes);
  expect(of(merged, "log_segments")).toBeGreaterThan(1);
  expect(of(merged, "log_bytes")).toBeGreaterThanOrEqual(16 * MEBIBYTE);
}, 60_000);

test("a full disk, and a shard that keeps the log, say so", async () => {
  const disks: FillableDisk[] = [];
  const one = await TestCluster.start({
    nodeCount: 1,
    disk: (_name, disk) => {
      disks.push(new FillableDisk(disk));
      return disks[0]!;
    },
  });
  const client = await connect({ endpoints: one.endpoints, requestTimeoutMs: 8000 });
  const storage = async (): Promise<StorageStatus> =>
    must((await client.admin.status(one.endpoint("n1"))).storage);
  await eventually(() => client.put("ready", "yes"));
  expect((await storage()).logKept).toBeUndefined();
  // More than a segment: what was written at the founding is in the one before.
  for (let i = 0; i < 20; i++) await client.put(`k${i}`, new Uint8Array(MEBIBYTE).fill(i));
  const { logKept, logSegments, logBytes } = await storage();
  expect(logKept).toEqual({ shardId: PLACEMENT_SHARD_ID, reason: "unflushed" });
  expect(logSegments).toBeGreaterThan(1);
  expect(logBytes).toBeGreaterThan(20 * MEBIBYTE);
  disks[0]!.full = true;
  await eventually(async () => (await storage()).obstacles.diskFull);
  expect((await storage()).diskFreeBytes).toBe(0);
  disks[0]!.full = false;
  await eventually(async () => !(await storage()).obstacles.diskFull);
  await client.close();
  await one.close();
}, 60_000);
