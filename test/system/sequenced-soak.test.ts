/**
 * A keyspace of four shards that share one sequence of revisions, written and watched while nodes
 * crash, stop and come back, all of them at once among it. Afterwards every acknowledged write is
 * there, was shown to the watcher in order, and got a revision above all that were acknowledged
 * before it began: no later write has a smaller one.
 */
import { afterEach, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { KvError, connect } from "../../src/client/index.js";
import type { Client, Watch } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const WRITERS = 24;
/** Writes that must succeed between one fault and the next. */
const WRITES_BETWEEN = 1000;

interface Acknowledged {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  readonly startMs: number;
  readonly endMs: number;
}

interface Shown {
  readonly key: string;
  readonly revision: number;
}

const errors = uncaughtErrors();
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

/** Writers with a key each, and what they were told. */
class Writers {
  readonly acknowledged: Acknowledged[] = [];
  /** The last write of each key; undefined where its outcome is not known. */
  readonly last: Map<string, string | undefined> = new Map();
  readonly #keyspace: Client;
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(keyspace: Client) {
    this.#keyspace = keyspace;
    this.#loops = Array.from({ length: WRITERS }, (_, i) => this.#loop(`k${i}`));
  }

  async more(count: number): Promise<void> {
    const before = this.acknowledged.length;
    await eventually(() => this.acknowledged.length >= before + count);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(key: string): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const value = `${i}`;
      const startMs = performance.now();
      try {
        const { revision } = (await this.#keyspace.put(key, value)).header;
        this.acknowledged.push({ key, value, revision, startMs, endMs: performance.now() });
        this.last.set(key, value);
      } catch (error) {
        if (KvError.from(error).outcome === "unknown") this.last.set(key, undefined);
      }
    }
  }
}

async function follow(watch: Watch, shown: Shown[]): Promise<void> {
  for await (const item of watch) {
    if (!("events" in item)) continue;
    for (const { kv } of item.events) {
      shown.push({ key: utf8Text(kv.key), revision: item.revision });
    }
  }
}

/** Writes that got a revision not above one that was acknowledged before they began. */
function outOfOrder(writes: readonly Acknowledged[]): Acknowledged[] {
  const byEnd = [...writes].sort((a, b) => a.endMs - b.endMs);
  const byStart = [...writes].sort((a, b) => a.startMs - b.startMs);
  let newest = 0;
  let ended = 0;
  return byStart.filter((write) => {
    while (ended < byEnd.length && byEnd[ended]!.endMs < write.startMs) {
      newest = Math.max(newest, byEnd[ended++]!.revision);
    }
    return write.revision <= newest;
  });
}

const nameOf = ({ key, revision }: Shown): string => `${key}@${revision}`;

test("revisions rise over all shards through crashes; nothing acknowledged is lost", async () => {
  const cluster = await TestCluster.start();
  cleanups.push(() => cluster.close());
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 4000 });
  cleanups.push(() => client.close());
  await eventually(() => client.put("ready", "yes"));
  await eventually(async () => (await client.admin.members()).length === 3);
  await client.admin.createKeyspace({ name: "hashed", kind: "hash", shards: 4 });
  const hashed = client.keyspace("hashed");
  const shown: Shown[] = [];
  const watch = hashed.watch({ key: "", prefix: true, fanOut: true });
  const following = follow(watch, shown);
  await eventually(async () => {
    for (let i = 0; i < WRITERS; i++) await hashed.put(`k${i}`, "first");
    return new Set(shown.map((each) => each.key)).size === WRITERS;
  });

  const writers = new Writers(hashed);
  await writers.more(WRITES_BETWEEN);
  for (const name of cluster.names.slice(0, 2)) {
    await cluster.crashNode(name);
    await writers.more(WRITES_BETWEEN);
    await cluster.startNode(name);
    await writers.more(WRITES_BETWEEN);
  }
  await Promise.all(cluster.names.map((name) => cluster.crashNode(name)));
  await Promise.all(cluster.names.map((name) => cluster.startNode(name)));
  await writers.more(WRITES_BETWEEN);
  await cluster.stopNode("n3");
  await cluster.startNode("n3");
  await writers.more(WRITES_BETWEEN);
  await writers.stop();

  const { acknowledged, last } = writers;
  expect(new Set(acknowledged.map((each) => each.revision)).size).toBe(acknowledged.length);
  expect(outOfOrder(acknowledged)).toEqual([]);
  for (const [key, value] of last) {
    if (value === undefined) continue;
    expect([key, utf8Text((await hashed.get(key)).kv!.value)]).toEqual([key, value]);
  }
  await eventually(() => {
    const seen = new Set(shown.map(nameOf));
    expect(acknowledged.filter((each) => !seen.has(nameOf(each)))).toEqual([]);
  });
  watch.cancel();
  await following;
  expect(shown.filter((each, i) => i > 0 && each.revision < shown[i - 1]!.revision)).toEqual([]);
  expect(new Set(shown.map(nameOf)).size).toBe(shown.length);
  expect(errors).toEqual([]);
}, 60_000);
