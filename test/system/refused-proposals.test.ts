/**
 * A leader whose log stands still refuses writes once too much waits to be replicated. What it
 * refused was never there, and what it had accepted stays, in the log and for whoever reads.
 */
import { afterEach, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { WRITE_TXN_CALL } from "../../src/client/call-kinds.js";
import { connect } from "../../src/client/index.js";
import type { Client, ShardDescriptor } from "../../src/client/index.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { KvError } from "../../src/protocol/errors.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import type { Transaction } from "../../src/protocol/operations.js";
import { encodePut } from "../../src/protocol/put-codec.js";
import { storedKey } from "../../src/route/stored-key.js";
import { eventually } from "../support/eventually.js";
import { GatedDisk } from "../support/gated-disk.js";
import { rangeOf } from "../../src/protocol/operations.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const MEBIBYTE = 1024 * 1024;
const LARGE = new Uint8Array(MEBIBYTE).fill(7);
/** More than may wait to be replicated, in large values. */
const FILLS = 20;
const OPTIONS = { level: 0, flags: 0, revision: 0, maxStalenessMs: 0, minRevision: 0 };

const errors = uncaughtErrors();
const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

/** One node whose log can be stopped, and a client that repeats nothing. */
class Bench {
  readonly cluster: TestCluster;
  readonly client: Client;
  readonly gate: GatedDisk;
  readonly #raw: RawClient;
  readonly #keyspace: KeyspaceDescriptor;
  readonly #shard: ShardDescriptor;

  private constructor(
    parts: { readonly cluster: TestCluster; readonly client: Client; readonly gate: GatedDisk },
    raw: RawClient,
    keyspace: KeyspaceDescriptor,
    shard: ShardDescriptor,
  ) {
    this.cluster = parts.cluster;
    this.client = parts.client;
    this.gate = parts.gate;
    this.#raw = raw;
    this.#keyspace = keyspace;
    this.#shard = shard;
  }

  static async start(): Promise<Bench> {
    let gate: GatedDisk | undefined;
    const cluster = await TestCluster.start({
      nodeCount: 1,
      disk: (_name, disk) => (gate = new GatedDisk(disk)),
      // The log and the memtables have room for more than may wait to be replicated.
      config: {
        flow: { ...DEFAULT_CONFIG.flow, uncommittedBytesMax: 16 * MEBIBYTE },
        memtablesBytesMax: 128 * MEBIBYTE,
        segmentSizeBytes: 64 * MEBIBYTE,
      },
    });
    cleanups.push(() => cluster.close());
    const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 8000 });
    cleanups.push(() => client.close());
    await eventually(() => client.put("ready", "yes"));
    const keyspace = (await client.admin.keyspaces()).find((each) => each.name === "default")!;
    const shard = await client.admin.locate("a");
    const raw = await RawClient.dial(cluster.endpoint("n1"));
    cleanups.push(() => raw.close());
    return new Bench({ cluster, client, gate: gate! }, raw, keyspace, shard);
  }

  key(text: string): Uint8Array {
    return storedKey(this.#keyspace, utf8(text));
  }

  /** Resolves to "ok", or to outcome and code of the error. */
  put(key: string, value: Uint8Array): Promise<string> {
    const put = { key: this.key(key), value, flags: 0, leaseLow: 0, leaseHigh: 0 };
    return outcomeOf(
      this.#raw.request(MESSAGE_TYPES.put, (out) => encodePut(out, this.#shard, put)),
    );
  }

  /** Resolves to how many keys the transaction's first range shows, or to its error. */
  async transact(transaction: Transaction): Promise<number | string> {
    let shown = 0;
    const outcome = await outcomeOf(
      this.#raw.request(
        MESSAGE_TYPES.txn,
        (out) => WRITE_TXN_CALL.encode(out, this.#shard, { options: OPTIONS, txn: transaction }),
        (reader) => {
          const first = WRITE_TXN_CALL.decode(reader).results[0];
          if (first?.kind === "range") shown = first.kvs.length;
        },
      ),
    );
    return outcome === "ok" ? shown : outcome;
  }

  /** Stops the log and writes until it takes no large value any more. */
  async fill(): Promise<Promise<string>[]> {
    this.gate.shut();
    const fills = Array.from({ length: FILLS }, (_, i) => this.put(`big/${i}`, LARGE));
    expect(await Promise.race(fills)).toBe("notApplied overloaded");
    await this.answered();
    return fills;
  }

  /** Resolves when the node has taken in all that was sent before. */
  async answered(): Promise<void> {
    await this.#raw.request(MESSAGE_TYPES.health, () => undefined);
  }
}

function outcomeOf(request: Promise<void>): Promise<string> {
  return request.then(
    () => "ok",
    (error: unknown) => {
      const { outcome, code } = KvError.from(error);
      return `${outcome} ${code}`;
    },
  );
}

// A write must not build on one that never happened.
test("what was accepted before a refusal, and after it, is applied and found again", async () => {
  const bench = await Bench.start();
  const fills = await bench.fill();
  const small = bench.put("small", utf8("1"));
  await bench.answered();
  bench.gate.reopen();
  const outcomes = await Promise.all(fills);
  expect(new Set(outcomes)).toEqual(new Set(["ok", "notApplied overloaded"]));
  expect(await small).toBe("ok");
  expect(errors).toEqual([]);

  await bench.cluster.crashNode("n1");
  await bench.cluster.startNode("n1");
  expect((await eventually(() => bench.client.get("small"))).kv).toBeDefined();
  for (const [i, outcome] of outcomes.entries()) {
    const { kv } = await bench.client.get(`big/${i}`, { keysOnly: true });
    expect([i, kv !== undefined]).toEqual([i, outcome === "ok"]);
  }
  await bench.client.put("again", "1");
  expect(errors).toEqual([]);
});

// An answer must not show a write which is then lost.
test("a transaction without effects never shows a write that is refused", async () => {
  const bench = await Bench.start();
  const fills = await bench.fill();
  const range = rangeOf(bench.key("x"), undefined, { keysOnly: true });
  const none = {
    kind: "delete",
    key: bench.key("none"),
    rangeEnd: undefined,
    prevKv: false,
  } as const;
  const put = bench.put("x", LARGE);
  const seen = bench.transact({ compares: [], success: [range, none], failure: [] });
  expect(await put).toBe("notApplied overloaded");
  bench.gate.reopen();
  // Refused with the write that it saw; or evaluated after the refusal, and then it saw nothing.
  expect(["notApplied overloaded", 0]).toContain(await seen);
  await Promise.all(fills);
  expect((await bench.client.get("x")).kv).toBeUndefined();
  expect(errors).toEqual([]);
});
