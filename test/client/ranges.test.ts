/** Ranges, scans, transactions and compaction over one shard, several, and a hash keyspace. */
import { describe, expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { RangeOptions } from "../../src/client/client-types.js";
import type { Client } from "../../src/client/client.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { storedKey } from "../../src/route/stored-key.js";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { FakeCluster, preload } from "../support/fake-cluster.js";
import { testEnv } from "../support/test-env.js";

const PLANS = [
  { name: "default", kind: "range", cuts: [] },
  { name: "docs", kind: "range", cuts: ["g", "p"] },
  { name: "files", kind: "hash", cuts: 4 },
] as const;

const KEYS: readonly string[] = Array.from({ length: 26 }, (_, i) => {
  return [0, 1, 2].map((n) => `${String.fromCharCode(97 + i)}${n}`);
}).flat();

interface Setting {
  readonly cluster: FakeCluster;
  readonly client: Client;
}

async function setting(pageRows = 1000): Promise<Setting> {
  const cluster = await FakeCluster.start(PLANS);
  cluster.pageRows = pageRows;
  for (const name of ["default", "docs", "files"]) preload(cluster, name, KEYS);
  const env = testEnv({ time: "real", network: cluster.network });
  return { cluster, client: await connectBy(env, { endpoints: cluster.endpoints }) };
}

function keysOf(kvs: readonly KeyValue[]): readonly string[] {
  return kvs.map((kv) => textOf(kv.key));
}

describe("ranges", () => {
  for (const name of ["default", "docs", "files"]) {
    for (const pageRows of [1000, 7, 1]) {
      test(`over ${name} in pages of ${pageRows} equal the list of keys`, async () => {
        const { client } = await setting(pageRows);
        const view = client.keyspace(name);
        const fanOut = true;
        const all = await view.range({ key: "", prefix: true, fanOut });
        expect(keysOf(all.kvs)).toEqual(KEYS);
        expect([all.count, all.more]).toEqual([78, false]);
        const part = await view.range({ key: "f1", rangeEnd: "q1", fanOut });
        expect(keysOf(part.kvs)).toEqual(KEYS.filter((key) => key >= "f1" && key < "q1"));
        const few = await view.range({ key: "e", fromKey: true, limit: 20, fanOut });
        expect(keysOf(few.kvs)).toEqual(KEYS.filter((key) => key >= "e").slice(0, 20));
        expect([few.count, few.more]).toEqual([66, true]);
        const prefix = await view.range({ key: "h", prefix: true, limit: 3, fanOut });
        expect([keysOf(prefix.kvs), prefix.more]).toEqual([["h0", "h1", "h2"], false]);
        const counted = await view.range({ key: "f", rangeEnd: "r", countOnly: true, fanOut });
        expect([counted.kvs.length, counted.count]).toEqual([0, 36]);
      });

      test(`over ${name} in pages of ${pageRows} come in other orders`, async () => {
        const { client } = await setting(pageRows);
        const view = client.keyspace(name);
        const order = { sortOrder: "descend", sortTarget: "mod", limit: 9, fanOut: true } as const;
        const newest = await view.range({ key: "", prefix: true, ...order });
        expect(keysOf(newest.kvs)).toEqual(KEYS.toReversed().slice(0, 9));
        expect([newest.count, newest.more]).toEqual([78, true]);
        const back = { sortOrder: "descend", fanOut: true } as const;
        const down = await view.range({ key: "f", rangeEnd: "i", ...back });
        expect(keysOf(down.kvs)).toEqual(
          KEYS.filter((key) => key >= "f" && key < "i").toReversed(),
        );
      });
    }
  }

  const ORDERS = (["key", "create", "mod", "version", "value"] as const).flatMap((sortTarget) => {
    return (["ascend", "descend"] as const).map((sortOrder) => ({ sortTarget, sortOrder }));
  });
  const WISHES: readonly Partial<RangeOptions>[] = [
    {},
    { limit: 9 },
    { limit: 9, keysOnly: true },
    { limit: 1, level: "stale" },
    { limit: 5, minModRevision: 40 },
    { limit: 77, maxModRevision: 85, minCreateRevision: 10 },
    { keysOnly: true, maxCreateRevision: 30 },
    { limit: 8, revision: 60 },
    { limit: 3, countOnly: true },
  ];

  for (const name of ["default", "docs", "files"]) {
    test.each(ORDERS)(`of ${name} that no shard sorts are as if one did: %o`, async (order) => {
      const { cluster, client } = await setting();
      const history = cluster.history(name);
      for (const [i, key] of KEYS.entries()) {
        if (i % 3 === 0) history.writeUser(bytesOf(key), bytesOf(`v${(i * 7) % 10}`));
      }
      const read = async (wish: Partial<RangeOptions>): Promise<object> => {
        const options = { key: "", prefix: true, fanOut: true, ...order, ...wish };
        const { header, kvs, more, count } = await client.keyspace(name).range(options);
        return { revision: header.revision, kvs, more, count };
      };
      for (const wish of WISHES) {
        Object.assign(cluster, { pageRows: 1000, sortedRows: 1000 });
        const expected = await read(wish);
        Object.assign(cluster, { pageRows: 7, sortedRows: 2 });
        expect(await read(wish)).toEqual(expected);
      }
    });
  }

  test("that no shard sorts show the revision of their first page", async () => {
    const { cluster, client } = await setting(5);
    cluster.sortedRows = 2;
    let asked = 0;
    cluster.interfere = ({ type }) => {
      const later = type === MESSAGE_TYPES.txn && asked++ > 1;
      if (later) cluster.history("default").writeUser(bytesOf("a0"), bytesOf("later"));
      return undefined;
    };
    const order = { sortTarget: "mod", sortOrder: "descend", limit: 2 } as const;
    const { kvs, header } = await client.range({ key: "", prefix: true, ...order });
    expect(keysOf(kvs)).toEqual(["z2", "z1"]);
    expect([header.revision, asked]).toEqual([79, 17]);
  });

  test("that no shard sorts are refused when their revision is compacted meanwhile", async () => {
    const { cluster, client } = await setting(5);
    cluster.sortedRows = 2;
    let asked = 0;
    cluster.interfere = ({ type }) => {
      if (type !== MESSAGE_TYPES.txn || ++asked !== 4) return undefined;
      cluster.history("default").writeUser(bytesOf("a0"), bytesOf("later"));
      cluster.history("default").compact(80);
      return undefined;
    };
    const range = client.range({ key: "", prefix: true, sortOrder: "descend", limit: 2 });
    expect(await errorOf(range)).toMatchObject({ code: "compacted", details: { bound: 80 } });
  });

  test("over several shards show one revision, whatever is written meanwhile", async () => {
    const { cluster, client } = await setting(5);
    const docs = client.keyspace("docs");
    const before = cluster.history("docs").revision;
    cluster.interfere = ({ type }) => {
      const { txn } = MESSAGE_TYPES;
      if (type === txn) cluster.history("docs").writeUser(bytesOf("z9"), bytesOf("later"));
      return undefined;
    };
    const all = await docs.range({ key: "", prefix: true });
    expect(all.header.revision).toBe(before);
    expect(keysOf(all.kvs)).toEqual(KEYS);
  });

  test("in pages of one shard show the revision of the first page", async () => {
    const { cluster, client } = await setting(5);
    let pages = 0;
    cluster.interfere = ({ type }) => {
      const later = type === MESSAGE_TYPES.txn && pages++ > 0;
      if (later) cluster.history("default").writeUser(bytesOf("z9"), bytesOf("later"));
      return undefined;
    };
    expect(keysOf((await client.range({ key: "", prefix: true })).kvs)).toEqual(KEYS);
    expect(pages).toBe(16);
  });

  test("go on over a split in the middle", async () => {
    const { cluster, client } = await setting(5);
    let pages = 0;
    cluster.interfere = ({ type, shardId }) => {
      if (type !== MESSAGE_TYPES.txn || shardId !== 102 || ++pages !== 3) return undefined;
      cluster.split(102, storedKey(cluster.keyspace("docs"), bytesOf("m0")), 300, 2);
      return undefined;
    };
    const all = await client.keyspace("docs").range({ key: "", prefix: true });
    expect(keysOf(all.kvs)).toEqual(KEYS);
    expect(all.count).toBe(78);
  });

  test("of a past revision over several shards show it, of a future one are refused", async () => {
    const { client } = await setting();
    const docs = client.keyspace("docs");
    const past = await docs.range({ key: "", prefix: true, revision: 40 });
    expect(keysOf(past.kvs)).toEqual(KEYS.slice(0, 39));
    const error = await errorOf(docs.range({ key: "", prefix: true, revision: 4000 }));
    expect([error.code, error.details.bound]).toEqual(["futureRevision", 79]);
  });

  test("over several shards may be stale, and then ask no sequencer", async () => {
    const { cluster, client } = await setting();
    cluster.seen.length = 0;
    const docs = client.keyspace("docs");
    const all = await docs.range({ key: "", prefix: true, level: "stale" });
    expect(keysOf(all.kvs)).toEqual(KEYS);
    expect(cluster.seen.some((one) => one.type === MESSAGE_TYPES.sequence)).toBe(false);
  });

  test("in a hash keyspace must be asked for by name", async () => {
    const { client } = await setting();
    const files = client.keyspace("files");
    const error = await errorOf(files.range({ key: "a", prefix: true }));
    expect(error.code).toBe("orderedScanRefused");
    expect(error.message).toContain("fanOut");
    expect(keysOf((await files.range({ key: "a1" })).kvs)).toEqual(["a1"]);
  });

  test("of nothing are empty", async () => {
    const { client } = await setting();
    for (const name of ["default", "docs"]) {
      const nothing = await client.keyspace(name).range({ key: "q", rangeEnd: "b" });
      expect([nothing.kvs.length, nothing.count, nothing.more]).toEqual([0, 0, false]);
    }
  });

  test("may not be meant in two ways", async () => {
    const { client } = await setting();
    const error = await errorOf(client.range({ key: "a", rangeEnd: "b", prefix: true }));
    expect(error.code).toBe("invalidArgument");
  });
});

describe("scans", () => {
  for (const name of ["default", "docs", "files"]) {
    test(`over ${name} bring every key once, at one revision`, async () => {
      const { cluster, client } = await setting(5);
      const seen: string[] = [];
      for await (const kv of client.keyspace(name).scan({ key: "", prefix: true, fanOut: true })) {
        if (seen.length === 0) cluster.history(name).writeUser(bytesOf("z9"), bytesOf("later"));
        seen.push(textOf(kv.key));
      }
      const ordered = name === "files" ? seen.toSorted() : seen;
      expect(ordered).toEqual(KEYS);
    });
  }

  test("stop at their limit", async () => {
    const { client } = await setting(5);
    const seen: string[] = [];
    for await (const kv of client.keyspace("docs").scan({ key: "f", fromKey: true, limit: 12 })) {
      seen.push(textOf(kv.key));
    }
    expect(seen).toEqual(KEYS.filter((key) => key >= "f").slice(0, 12));
  });
});

describe("transactions and deletes", () => {
  test("of one shard are done by it", async () => {
    const { client } = await setting();
    const docs = client.keyspace("docs");
    const deleted = await docs.delete("h", { prefix: true, prevKv: true });
    expect(deleted.deleted).toBe(3);
    expect(keysOf(deleted.prevKvs)).toEqual(["h0", "h1", "h2"]);
    expect((await docs.get("h1")).kv).toBe(undefined);
    expect((await docs.delete("h1")).deleted).toBe(0);
  });

  test("over several shards are refused as such, and not applied", async () => {
    const { cluster, client } = await setting();
    const before = cluster.history("docs").revision;
    const error = await errorOf(client.keyspace("docs").delete("", { prefix: true }));
    expect([error.code, error.outcome]).toEqual(["crossShard", "notApplied"]);
    expect(cluster.history("docs").revision).toBe(before);
  });

  test("count their operations and keys before anything is sent", async () => {
    const { client } = await setting();
    const one = { kind: "delete", key: bytesOf("a"), rangeEnd: undefined, prevKv: false } as const;
    const many = Array.from({ length: 129 }, () => one);
    const tooMany = await errorOf(client.txn({ compares: [], success: many, failure: [] }));
    expect([tooMany.code, tooMany.details.bound]).toEqual(["tooManyOperations", 128]);
    const empty = { ...one, key: new Uint8Array(0) };
    const error = await errorOf(client.txn({ compares: [], success: [empty], failure: [] }));
    expect(error.code).toBe("keyEmpty");
  });
});

describe("compact", () => {
  test("reaches every shard, and says when it was done before", async () => {
    const { cluster, client } = await setting();
    const docs = client.keyspace("docs");
    cluster.seen.length = 0;
    // The fake has one history for all shards: the first shard compacts, the others did before.
    await docs.compact(20);
    expect(new Set(cluster.seen.map((one) => one.shardId))).toEqual(new Set([101, 102, 103]));
    expect((await errorOf(docs.compact(20))).code).toBe("compacted");
  });
});
