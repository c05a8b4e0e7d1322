/** One answer from many: merged ranges and watches, and transactions in stored keys. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { keyAfter } from "../../src/base/bytes.js";
import { KvError } from "../../src/protocol/errors.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type { RangeOperation, SortOrder, SortTarget } from "../../src/protocol/operations.js";
import { FirstRows } from "../../src/route/first-rows.js";
import { mergeRangeResults, sortRows } from "../../src/route/range-merge.js";
import { OPEN_END, storedKey } from "../../src/route/stored-key.js";
import { storedTransaction } from "../../src/route/stored-transaction.js";
import { WatchMerger } from "../../src/route/watch-merger.js";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { clusterMap } from "../support/cluster-maps.js";
import { rangeOf } from "../../src/protocol/operations.js";

const MAP = clusterMap([
  { name: "docs", kind: "range", cuts: ["g"] },
  { name: "files", kind: "hash", cuts: 2 },
]);
const [docs, files] = [MAP.keyspaces[0]!, MAP.keyspaces[1]!];

function row(key: string, modRevision: number): KeyValue {
  const value = bytesOf(String(modRevision % 7));
  return { key: bytesOf(key), value, createRevision: 2, modRevision, version: 1, lease: 0n };
}

const WHOLE_RANGE = rangeOf(bytesOf("c"), OPEN_END);

describe("merged ranges", () => {
  property.prop([
    fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { maxLength: 40 }),
    fc.integer({ min: 0, max: 12 }),
    fc.constantFrom<SortOrder>("none", "ascend", "descend"),
    fc.constantFrom<SortTarget>("key", "mod", "value"),
    fc.integer({ min: 1, max: 5 }),
  ])("equal the range over one shard", (keys, limit, sortOrder, sortTarget, parts) => {
    const rows = keys.toSorted().map((key, i) => row(key, (i * 37) % 101));
    const order = { sortOrder, sortTarget, limit };
    const answer = (all: readonly KeyValue[]) => {
      const kvs = [...all];
      sortRows(kvs, order);
      const cut = limit === 0 ? kvs : kvs.slice(0, limit);
      return { kind: "range" as const, kvs: cut, more: cut.length < kvs.length, count: all.length };
    };
    const size = Math.ceil(rows.length / parts);
    const pieces = Array.from({ length: parts }, (_, i) => rows.slice(i * size, (i + 1) * size));
    expect(mergeRangeResults(pieces.map(answer), order)).toEqual(answer(rows));
  });
});

describe("the first rows", () => {
  property.prop([
    fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { maxLength: 60 }),
    fc.integer({ min: 0, max: 12 }),
    fc.constantFrom<SortOrder>("none", "ascend", "descend"),
    fc.constantFrom<SortTarget>("key", "create", "mod", "version", "value"),
  ])("equal those of all rows, sorted and cut", (keys, limit, sortOrder, sortTarget) => {
    const rows = keys.toSorted().map((key, i) => row(key, (i * 37) % 11));
    const order = { sortOrder, sortTarget, limit };
    const first = new FirstRows(order);
    for (const kv of rows) first.add(kv);
    sortRows(rows, order);
    const more = limit > 0 && rows.length > limit;
    expect(first.take()).toEqual({ kvs: more ? rows.slice(0, limit) : rows, more });
  });
});

describe("a transaction in stored keys", () => {
  test("spans from its first key to behind its last, branches and nesting included", () => {
    const { txn, interval } = storedTransaction(docs, {
      compares: [
        {
          key: bytesOf("m"),
          rangeEnd: undefined,
          result: "equal",
          target: { kind: "mod", value: 1 },
        },
      ],
      success: [
        {
          kind: "txn",
          txn: {
            compares: [],
            success: [],
            failure: [{ kind: "delete", key: bytesOf("b"), rangeEnd: undefined, prevKv: false }],
          },
        },
      ],
      failure: [WHOLE_RANGE],
    });
    expect(interval.start).toEqual(storedKey(docs, bytesOf("b")));
    expect([...interval.end!]).toEqual([0, 0, 0, 11]);
    const range = txn.failure[0] as RangeOperation;
    expect([...range.rangeEnd!]).toEqual([0, 0, 0, 11]);
    expect(txn.compares[0]!.key).toEqual(storedKey(docs, bytesOf("m")));
  });

  test("of one key spans just that key", () => {
    const { interval } = storedTransaction(docs, {
      compares: [],
      success: [{ kind: "delete", key: bytesOf("b"), rangeEnd: undefined, prevKv: true }],
      failure: [],
    });
    expect(interval.end).toEqual(keyAfter(interval.start));
  });

  test("may not hold a range in a hash keyspace", () => {
    const attempt = (): unknown =>
      storedTransaction(files, { compares: [], success: [WHOLE_RANGE], failure: [] });
    expect(attempt).toThrow(KvError);
    expect(attempt).toThrow("fanOut");
  });
});

function event(key: string, modRevision: number): WatchEvent {
  return { type: "put", kv: row(key, modRevision), prevKv: undefined };
}

function drain(merger: WatchMerger): string[] {
  const out: string[] = [];
  for (let next = merger.next(); next !== undefined; next = merger.next()) {
    out.push(`${next.revision}:${next.events.map((one) => textOf(one.kv.key)).join(",")}`);
  }
  return out;
}

describe("a merged watch", () => {
  test("waits for the source that is behind, and names it", () => {
    const merger = new WatchMerger(2, 10);
    merger.events(0, 12, [event("a", 12)]);
    expect(drain(merger)).toEqual([]);
    expect(merger.laggards()).toEqual([1]);
    merger.closed(1, 11);
    expect(drain(merger)).toEqual([]);
    expect(merger.emittedRevision).toBe(11);
    merger.closed(1, 12);
    expect(drain(merger)).toEqual(["12:a"]);
    expect(merger.laggards()).toEqual([]);
  });

  test("joins the events of one revision in the order of the sources", () => {
    const merger = new WatchMerger(2, 0);
    merger.events(1, 5, [event("z", 5)]);
    merger.events(0, 5, [event("a", 5), event("b", 5)]);
    expect(drain(merger)).toEqual(["5:a,b,z"]);
  });

  test("of one source waits for nothing, and drops what was delivered before", () => {
    const merger = new WatchMerger(1, 3);
    merger.events(0, 4, [event("a", 4)]);
    merger.events(0, 4, [event("a", 4)]);
    merger.events(0, 2, [event("old", 2)]);
    expect(drain(merger)).toEqual(["4:a"]);
  });

  property.prop([
    fc.integer({ min: 1, max: 4 }),
    fc.array(
      fc.record({ source: fc.integer({ min: 0, max: 3 }), gap: fc.integer({ min: 1, max: 3 }) }),
      { maxLength: 60 },
    ),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 200, maxLength: 200 }),
  ])("emits every event once, in order, never early", (sources, writes, schedule) => {
    const queues: { revision: number; key: string }[][] = Array.from({ length: sources }, () => []);
    const expected: string[] = [];
    let revision = 0;
    for (const [i, write] of writes.entries()) {
      revision += write.gap;
      queues[write.source % sources]!.push({ revision, key: `k${i}` });
      expected.push(`${revision}:k${i}`);
    }
    const merger = new WatchMerger(sources, 0);
    const seen: string[] = [];
    for (const turn of schedule) {
      const source = turn % sources;
      const next = queues[source]!.shift();
      if (next === undefined) merger.closed(source, revision);
      else merger.events(source, next.revision, [event(next.key, next.revision)]);
      seen.push(...drain(merger));
      expect(seen).toEqual(expected.slice(0, seen.length));
    }
    for (let source = 0; source < sources; source++) {
      for (const { revision: at, key } of queues[source]!)
        merger.events(source, at, [event(key, at)]);
      merger.closed(source, revision);
    }
    expect([...seen, ...drain(merger)]).toEqual(expected);
  });
});
