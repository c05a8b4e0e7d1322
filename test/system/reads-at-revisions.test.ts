/**
 * Reads that name a revision, or are given one: a range over several shards shows each of them at
 * one revision, the newest of any, while writes go on without a pause.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { connect } from "../../src/client/index.js";
import type { Client, RangeResponse } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const READ_TIMEOUT_MS = 3000;
const WATCHED_MS = 1500;
const STREAM_OPEN_MAX = 3000;

const errors = uncaughtErrors();
let cluster: TestCluster;
let writers: Client;
let readers: Client;

beforeAll(async () => {
  cluster = await TestCluster.start();
  writers = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 5000 });
  readers = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: READ_TIMEOUT_MS });
  await eventually(() => writers.put("ready", "yes"));
  await eventually(async () => (await writers.admin.members()).length === 3);
});

afterAll(async () => {
  await readers.close();
  await writers.close();
  await cluster.close();
});

/** A keyspace cut at "m", with "a" in its first shard and "z" in its second, for both clients. */
async function twoShards(name: string): Promise<{ written: Client; read: Client }> {
  await writers.admin.createKeyspace({ name, kind: "range", splitPoints: ["m"] });
  const written = writers.keyspace(name);
  for (const key of ["a", "z"]) await eventually(() => written.put(key, "0"));
  const read = readers.keyspace(name);
  await eventually(() => read.get("a"));
  return { written, read };
}

/** Writes on both shards from `count` loops until it is stopped. */
class Load {
  writes = 0;
  readonly #keyspace: Client;
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(keyspace: Client, count: number, keys: number) {
    this.#keyspace = keyspace;
    this.#loops = Array.from({ length: count }, (_, i) =>
      this.#loop(`${i % 2 === 0 ? "a" : "z"}${i % keys}`),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(key: string): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      await this.#keyspace.put(key, `${i}`).catch(() => undefined);
      this.writes++;
    }
  }
}

/** A few writes in every turn, whatever becomes of the ones before: there always are some. */
class Stream {
  writes = 0;
  readonly #keyspace: Client;
  readonly #running: Promise<void>;
  #open = 0;
  #stopped = false;

  constructor(keyspace: Client) {
    this.#keyspace = keyspace;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await eventually(() => this.#open === 0);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      for (let i = 0; i < 6 && this.#open < STREAM_OPEN_MAX; i++) this.#write(i % 2 ? "a" : "z");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #write(prefix: string): void {
    const closed = (): void => {
      this.#open--;
      this.writes++;
    };
    this.#open++;
    this.#keyspace.put(`${prefix}${this.writes % 20}`, "v").then(closed, closed);
  }
}

function shown(range: RangeResponse): string {
  return range.kvs
    .map((kv) => `${utf8Text(kv.key)}=${utf8Text(kv.value)}@${kv.modRevision}`)
    .join(" ");
}

test("a key is read at the revision of a write to another shard", async () => {
  const { written } = await twoShards("apart");
  let revision = 0;
  for (let i = 0; i < 5; i++) ({ revision } = (await written.put("z", `${i}`)).header);
  expect((await written.get("a", { revision })).kv).toBeDefined();
  expect((await written.range({ key: "a", revision })).kvs).toHaveLength(1);
  expect(errors).toEqual([]);
});

test("a stale read finds the revision of a write to another shard, at every node", async () => {
  await twoShards("rests");
  for (const endpoint of cluster.endpoints) {
    const client = await connect({ endpoints: [endpoint], requestTimeoutMs: READ_TIMEOUT_MS });
    const rests = client.keyspace("rests");
    for (let i = 0; i < 20; i++) {
      const { revision } = (await rests.put("z", `${i}`)).header;
      expect((await rests.range({ key: "a", revision, level: "stale" })).kvs).toHaveLength(1);
      expect((await rests.get("a", { revision, level: "stale" })).kv).toBeDefined();
    }
    await client.close();
  }
  expect(errors).toEqual([]);
});

describe("what a range at a revision showed", () => {
  test.each(["linearizable", "lease", "follower"] as const)(
    "it shows again (%s)",
    async (level) => {
      const { written, read } = await twoShards(`again-${level}`);
      const load = new Load(written, 12, 12);
      const seen: RangeResponse[] = [];
      const until = performance.now() + WATCHED_MS;
      const reading = async (): Promise<void> => {
        while (performance.now() < until) {
          // A follower may lag too far behind for the revision; that it says so is enough.
          const range = await read.range({ key: "", prefix: true, level }).catch(() => undefined);
          if (range !== undefined) seen.push(range);
        }
      };
      await Promise.all(Array.from({ length: 6 }, reading));
      await load.stop();
      expect(seen.length).toBeGreaterThan(10);
      const sample = seen.filter((_, i) => i % Math.ceil(seen.length / 300) === 0);
      for (const range of sample) {
        const { revision } = range.header;
        const again = await read.range({ key: "", prefix: true, revision });
        expect(`${revision}: ${shown(again)}`).toBe(`${revision}: ${shown(range)}`);
      }
      expect(errors).toEqual([]);
    },
  );
});

test.each([
  ["writers that wait for their answers", (to: Client) => new Load(to, 64, 20)],
  ["a stream of writes that waits for none", (to: Client) => new Stream(to)],
])("ranges over shards are served under %s", async (_what, start) => {
  const { written, read } = await twoShards(`under-${_what.slice(0, 1)}`);
  const load = start(written);
  await eventually(() => load.writes > 2000);
  for (let i = 0; i < 4; i++) {
    const before = load.writes;
    const range = await read.range({ key: "", prefix: true });
    expect(range.kvs.length).toBeGreaterThan(2);
    await eventually(() => load.writes > before);
  }
  await load.stop();
  expect(errors).toEqual([]);
});

test("many ranges of one client at once, each as large as an answer may be", async () => {
  const value = new Uint8Array(1024 * 1024).fill(1);
  await writers.put("large", value);
  const ranges = await Promise.all(
    Array.from({ length: 40 }, () => writers.range({ key: "large" })),
  );
  for (const range of ranges) expect(range.kvs[0]?.value.length).toBe(value.length);
  expect(errors).toEqual([]);
});
