/**
 * A damaged block of a table is met by a read: whoever asked gets an error that says so, the node
 * lives on, and what lies in undamaged files is served as before.
 */
import { closeSync, openSync, readdirSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import type { ByteWriter } from "../../src/base/coding.js";
import { KvError, connect } from "../../src/client/index.js";
import { encodeGet } from "../../src/protocol/get-codec.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { storedKey } from "../../src/route/stored-key.js";
import { eventually } from "../support/eventually.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const KEYS = 256;
const VALUE = new Uint8Array(64 * 1024).fill(5);
/** Tables of this size hold nothing but the large values; the others stay whole. */
const TABLE_SIZE_BYTES_MIN = 500_000;

const OPTIONS = { level: 0, flags: 0, revision: 0, maxStalenessMs: 0, minRevision: 0 };

const errors = uncaughtErrors();
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

function largeTables(cluster: TestCluster): string[] {
  const directory = join(cluster.directory, "n1", "store", "tables");
  const paths = readdirSync(directory).map((name) => join(directory, name));
  return paths.filter((path) => statSync(path).size >= TABLE_SIZE_BYTES_MIN);
}

/** Changes a few bytes in every data block, and none at the end, where the index is. */
function damage(path: string): void {
  const file = openSync(path, "r+");
  const end = statSync(path).size - 200_000;
  for (let at = 100_000; at < end; at += 50_000) writeSync(file, Uint8Array.of(1, 2, 3), 0, 3, at);
  closeSync(file);
}

test("a read of a damaged block is answered with an error, and the node goes on", async () => {
  const cluster = await TestCluster.start({
    nodeCount: 1,
    config: { memtablesBytesMax: 8 * 1024 * 1024 },
  });
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 5000 });
  cleanups.push(() => client.close());
  await eventually(() => client.admin.createKeyspace({ name: "other", kind: "range" }));
  const other = client.keyspace("other");
  await eventually(() => other.put("whole", "yes"));
  for (let i = 0; i < KEYS; i += 8) {
    const keys = Array.from({ length: 8 }, (_, j) => `k${i + j}`);
    await Promise.all(keys.map((key) => eventually(() => client.put(key, VALUE))));
  }
  await eventually(() => largeTables(cluster).length > 0);
  await cluster.crashNode("n1");
  for (const path of largeTables(cluster)) damage(path);
  await cluster.startNode("n1");
  await eventually(() => other.get("whole"));

  // A client that repeats nothing: the first answer is what counts.
  const keyspace = (await client.admin.keyspaces()).find((each) => each.name === "default")!;
  const shard = await client.admin.locate("k0");
  const raw = await RawClient.dial(cluster.endpoint("n1"));
  cleanups.push(async () => raw.close());
  let failure: KvError | undefined;
  for (let i = 0; i < KEYS && failure === undefined; i++) {
    const key = storedKey(keyspace, utf8(`k${i}`));
    const encode = (out: ByteWriter): void => encodeGet(out, shard, OPTIONS, key);
    await raw.request(MESSAGE_TYPES.get, encode).catch((error: unknown) => {
      failure = KvError.from(error);
    });
  }
  expect(failure).toMatchObject({ code: "unavailable", outcome: "notApplied" });
  expect(failure?.message).toContain("damaged");
  expect(errors).toEqual([]);
  expect(utf8Text((await other.get("whole")).kv!.value)).toBe("yes");
  await other.put("whole", "still");
  expect(utf8Text((await other.get("whole")).kv!.value)).toBe("still");
  expect(errors).toEqual([]);
}, 30_000);
