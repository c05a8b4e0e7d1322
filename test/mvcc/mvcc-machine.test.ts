/** Directed tests of the state machine: etcd's rules, refusals, the entry's bytes, the overlay. */
import { describe, expect, test } from "vitest";
import { hex, utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteWriter, DecodeError } from "../../src/base/coding.js";
import {
  ENTRY_SIZE_BYTES_MAX,
  KEY_SIZE_BYTES_MAX,
  RANGE_RESPONSE_SIZE_BYTES,
} from "../../src/base/limits.js";
import { UnknownEntryError } from "../../src/mvcc/effects-format.js";
import { isReadOnly } from "../../src/mvcc/transaction-check.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Operation, RangeResult, Transaction } from "../../src/protocol/operations.js";
import { compare, nested, put, range, remove, txn } from "../support/operations.js";
import type { LogicalHash } from "../../src/mvcc/logical-hash.js";
import { Replica, TERM, resultOf } from "./replica.js";
import { stored } from "./test-tree.js";

function run(replica: Replica, ...operations: Operation[]): void {
  const evaluation = replica.transaction(txn([], operations));
  if (evaluation.error !== undefined) throw evaluation.error;
  replica.applyPending();
}

function refusalOf(replica: Replica, request: Transaction): string | undefined {
  return replica.transaction(request).error?.code;
}

function ranged(replica: Replica, one: Operation, revision = 0): RangeResult {
  const result = replica.read(txn([], [one]), revision);
  if (result instanceof KvError) throw result;
  return result.results[0] as RangeResult;
}

function keysOf(result: RangeResult): string {
  return result.kvs.map((kv) => utf8Text(kv.key)).join(" ");
}

describe("revisions", () => {
  test("an empty keyspace is at 1, its first write takes 2", () => {
    const replica = new Replica();
    expect(replica.machine.revision).toBe(1);
    expect(replica.put(utf8("a"), utf8("1")).revision).toBe(2);
    expect(replica.machine.revision).toBe(1);
    expect(replica.machine.lastEvaluatedRevision).toBe(2);
    replica.applyPending();
    expect(replica.machine.revision).toBe(2);
    expect(replica.machine.closedRevision).toBe(2);
  });

  test("versions restart at 1 after a delete, in the overlay and when applied", () => {
    const replica = new Replica();
    for (const eager of [true, false]) {
      for (const step of [put("k"), put("k"), remove("k"), put("k")]) {
        replica.transaction(txn([], [step]));
        if (eager) replica.applyPending();
      }
      const { results } = resultOf(replica.transaction(txn([], [range("k")])));
      expect((results[0] as RangeResult).kvs[0]?.version).toBe(1);
      replica.applyPending();
    }
  });

  test("what changes nothing takes no revision and leaves no bytes", () => {
    const replica = new Replica();
    expect(replica.transaction(txn([], [remove("a")])).outcome).toBe("noEffects");
    expect(replica.transaction(txn([], [range("a")])).revision).toBe(1);
    const failed = txn([compare("a", { kind: "version", value: 1 })], [put("a")]);
    expect(resultOf(replica.transaction(failed))).toEqual({ succeeded: false, results: [] });
    expect(replica.pending).toEqual([]);
  });

  test("a plain put has no response; with prevKv only where there was something", () => {
    const replica = new Replica();
    expect(replica.put(utf8("a"), utf8("1"), 1).response).toBeUndefined();
    expect(replica.put(utf8("a"), utf8("2")).response).toBeUndefined();
    expect(replica.put(utf8("a"), utf8("3"), 1).response).toBeDefined();
  });

  test("operations see earlier ones, compares see none", () => {
    const replica = new Replica();
    const inner = txn([compare("a", { kind: "version", value: 0 })], [put("b", "missing")]);
    const request = txn([], [put("a", "1"), range("a"), nested(inner), remove("c", "d")]);
    const { results } = resultOf(replica.transaction(request));
    expect((results[1] as RangeResult).kvs[0]?.modRevision).toBe(2);
    expect(results[2]).toMatchObject({ kind: "txn", result: { succeeded: true } });
  });
});

describe("refusals", () => {
  test("keep nothing of what was evaluated before them", () => {
    const replica = new Replica();
    const request = txn([], [put("a", "1"), put("b", "2", { ignoreLease: true })]);
    expect(refusalOf(replica, request)).toBe("keyNotFound");
    expect(replica.machine.overlaySize).toBe(0);
    expect(resultOf(replica.transaction(txn([], [range("a")]))).results[0]).toMatchObject({
      count: 0,
    });
  });

  test("a key written twice", () => {
    const replica = new Replica();
    const exclusive = txn([], [put("a")], [put("a")]);
    const doubled: Transaction[] = [
      txn([], [put("a"), put("a")]),
      txn([], [remove("a"), put("a")]),
      txn([], [put("b"), remove("a", "c")]),
      txn([], [put("a"), nested(exclusive)]),
      txn([], [nested(exclusive), nested(exclusive)]),
      txn([], [], [nested(txn([], [nested(txn([], [], [put("b")]))])), remove("a", "c")]),
    ];
    for (const request of doubled) expect(refusalOf(replica, request)).toBe("duplicateKey");
    const fine: Transaction[] = [
      txn([], [nested(exclusive)]),
      txn([], [remove("a", "c"), remove("b"), put("c")]),
      txn([], [put("a")], [remove("a", "b")]),
    ];
    for (const request of fine) expect(refusalOf(replica, request)).toBeUndefined();
  });

  test("too many operations; a nested transaction has what is left", () => {
    const replica = new Replica();
    const many = (count: number): Operation[] =>
      Array.from({ length: count }, (_, i) => put(`k${i}`));
    expect(refusalOf(replica, txn([], many(128)))).toBeUndefined();
    expect(refusalOf(replica, txn([], many(129)))).toBe("tooManyOperations");
    const inner = (count: number): Operation => nested(txn([], many(count)));
    expect(refusalOf(replica, txn([], [range("a"), inner(126)]))).toBeUndefined();
    expect(refusalOf(replica, txn([], [range("a"), inner(127)]))).toBe("tooManyOperations");
  });

  test("the same key in thousands of branches, of which one can run, is no key written twice", () => {
    const replica = new Replica();
    const tree = (depth: number, last: Operation): Transaction =>
      depth === 0
        ? txn([], [put("k")], [last])
        : txn([], [nested(tree(depth - 1, put("k")))], [nested(tree(depth - 1, last))]);
    expect(refusalOf(replica, tree(11, put("k")))).toBeUndefined();
    const twice = nested(txn([], [nested(txn([], [put("k")])), put("j"), put("k")]));
    expect(refusalOf(replica, tree(11, twice))).toBe("duplicateKey");
  }, 3000);

  test("more deletes and puts than can be compared soon", () => {
    const replica = new Replica();
    const spread = (count: number, one: (at: string) => Operation): Operation[] =>
      Array.from({ length: count }, (_, i) =>
        nested(
          txn(
            [],
            Array.from({ length: count }, (_, j) => one(`k${i}-${j}`)),
          ),
        ),
      );
    const refusalFor = (count: number): string | undefined => {
      const all = (): Operation => remove("k", "l");
      return refusalOf(replica, txn([], spread(count, put), spread(count, all)));
    };
    expect(refusalFor(30)).toBeUndefined();
    expect(refusalFor(64)).toBe("limitExceeded");
  }, 3000);

  test("keys that are empty, too large, or not of this shard", () => {
    const replica = new Replica();
    expect(replica.put(utf8(""), utf8("v")).error?.code).toBe("keyEmpty");
    expect(replica.put(new Uint8Array(KEY_SIZE_BYTES_MAX), utf8("v")).error).toBeUndefined();
    const large = replica.put(new Uint8Array(KEY_SIZE_BYTES_MAX + 1), utf8("v")).error;
    expect(large).toMatchObject({ code: "keyTooLarge", details: { bound: KEY_SIZE_BYTES_MAX } });
    const foreign = { ...put("a"), key: Uint8Array.of(0, 0, 0, 8, 1) };
    const context = replica.context();
    const out = new ByteWriter();
    const evaluation = replica.machine.evaluateTransaction(txn([], [foreign]), context, out);
    expect(evaluation.error?.code).toBe("crossShard");
    const beyond = { ...range("a"), key: stored(""), rangeEnd: Uint8Array.of(0, 0, 0, 8, 1) };
    expect(replica.machine.evaluateTransaction(txn([], [beyond]), context, out).error?.code).toBe(
      "crossShard",
    );
    const whole = { ...beyond, rangeEnd: Uint8Array.of(0, 0, 0, 8) };
    expect(replica.machine.evaluateTransaction(txn([], [whole]), context, out).error).toBe(
      undefined,
    );
  });

  test("leases do not exist yet", () => {
    const replica = new Replica();
    expect(refusalOf(replica, txn([], [put("a", "", { lease: 1n << 40n })]))).toBe("leaseNotFound");
  });

  test("an entry beyond its bound is refused as a whole", () => {
    const replica = new Replica();
    const value = "x".repeat(ENTRY_SIZE_BYTES_MAX / 4);
    const puts = Array.from({ length: 4 }, (_, i) => put(`k${i}`, value));
    expect(refusalOf(replica, txn([], puts))).toBe("limitExceeded");
    expect(refusalOf(replica, txn([], puts.slice(0, 3)))).toBeUndefined();
  });

  test("an answer that no frame carries", () => {
    const replica = new Replica();
    const value = "x".repeat(1024 * 1024);
    for (let i = 0; i < 9; i++) run(replica, put(`k${i}`, value));
    const twice = txn([], [range("a", "z"), range("a", "z")]);
    expect(replica.read(twice)).toMatchObject({ code: "limitExceeded", outcome: "notApplied" });
  });
});

describe("reads", () => {
  test("at revisions: compacted is readable, below it and the future are not", () => {
    const replica = new Replica();
    for (const value of ["1", "2", "3", "4"]) run(replica, put("a", value));
    expect(replica.compact(3).outcome).toBe("effects");
    expect(replica.compact(3).error?.code).toBe("compacted");
    replica.applyPending();
    expect(replica.get(utf8("a"), 3)).toMatchObject({ value: utf8("2") });
    expect(replica.get(utf8("a"), 2)).toMatchObject({ code: "compacted", details: { bound: 3 } });
    expect(replica.get(utf8("a"), 6)).toMatchObject({ code: "futureRevision" });
    expect(replica.compact(6).error).toMatchObject({ code: "futureRevision" });
    expect(refusalOf(replica, txn([], [put("b"), range("a", "b", { revision: 2 })]))).toBe(
      "compacted",
    );
    expect(refusalOf(replica, txn([], [put("b"), range("a", "b", { revision: 6 })]))).toBe(
      "futureRevision",
    );
  });

  test("a whole transaction as of an earlier revision", () => {
    const replica = new Replica();
    run(replica, put("a", "1"));
    run(replica, put("a", "2"), put("b"));
    const request = txn(
      [compare("a", { kind: "value", value: utf8("1") })],
      [range("a", "z")],
      [range("b")],
    );
    expect(replica.read(request, 2)).toMatchObject({ succeeded: true, results: [{ count: 1 }] });
    expect(replica.read(request, 3)).toMatchObject({ succeeded: false, results: [{ count: 1 }] });
  });

  test("sort, limit, more and count", () => {
    const replica = new Replica();
    run(replica, put("a", "3"), put("b", "1"), put("c", "2"));
    run(replica, put("b", "1"));
    const by = (more: object): RangeResult => ranged(replica, range("a", "z", more));
    expect(keysOf(by({ limit: 2 }))).toBe("a b");
    expect(by({ limit: 2 })).toMatchObject({ more: true, count: 3 });
    expect(by({ limit: 3 })).toMatchObject({ more: false, count: 3 });
    expect(keysOf(by({ sortTarget: "value" }))).toBe("b c a");
    expect(keysOf(by({ sortTarget: "value", sortOrder: "descend" }))).toBe("a c b");
    expect(keysOf(by({ sortOrder: "descend", limit: 1 }))).toBe("c");
    expect(keysOf(by({ sortTarget: "version", sortOrder: "descend" }))).toBe("b a c");
    expect(by({ minModRevision: 3 })).toMatchObject({ more: false, count: 3 });
    expect(keysOf(by({ minModRevision: 3 }))).toBe("b");
    expect(keysOf(by({ maxModRevision: 2, limit: 1 }))).toBe("a");
    expect(by({ keysOnly: true, sortTarget: "value" }).kvs[0]?.value.length).toBe(0);
    expect(by({ countOnly: true })).toEqual({ kind: "range", kvs: [], more: false, count: 3 });
    expect(by({ limit: 1, skipCount: true })).toMatchObject({ more: true, count: 2 });
  });

  test("a range alone is cut into pages, with others it is not", () => {
    const replica = new Replica();
    const value = "x".repeat(200_000);
    for (let i = 0; i < 9; i++) run(replica, put(`k${i}`, value));
    const page = ranged(replica, range("a", "z"));
    expect(page.more).toBe(true);
    expect(page.count).toBe(9);
    const bytes = page.kvs.length * 200_000;
    expect(bytes).toBeGreaterThanOrEqual(RANGE_RESPONSE_SIZE_BYTES);
    expect(bytes).toBeLessThan(RANGE_RESPONSE_SIZE_BYTES + 300_000);
    const both = replica.read(txn([], [range("a", "z"), range("a")]));
    if (both instanceof KvError) throw both;
    expect((both.results[0] as RangeResult).kvs.length).toBe(9);
    const within = replica.read(txn([], [nested(txn([], [range("a", "z")]))]));
    if (within instanceof KvError) throw within;
    const [inner] = within.results;
    expect(inner).toMatchObject({ result: { results: [{ more: false, count: 9 }] } });
  });

  test("only keys may be sorted of values that no answer carries", () => {
    const replica = new Replica();
    const value = "x".repeat(1024 * 1024);
    for (let i = 0; i < 17; i++) run(replica, put(`k${i}`, value));
    const order = { sortTarget: "mod", sortOrder: "descend", keysOnly: true } as const;
    expect(keysOf(ranged(replica, { ...range("a", "z"), ...order, limit: 2 }))).toBe("k16 k15");
    const whole = replica.read(txn([], [{ ...range("a", "z"), ...order, keysOnly: false }]));
    expect(whole).toMatchObject({ code: "limitExceeded", outcome: "notApplied" });
  });

  test("which transactions only read", () => {
    expect(isReadOnly(txn([], [range("a"), nested(txn([], [range("b")]))]))).toBe(true);
    expect(isReadOnly(txn([], [range("a")], [nested(txn([], [], [remove("b")]))]))).toBe(false);
  });
});

describe("entries", () => {
  test("keep their bytes: the layout is format", () => {
    const replica = new Replica();
    replica.clockMs = 258;
    replica.put(utf8("k"), utf8("v"));
    const header =
      "010100" + "07000000" + "01000000" + "01000000" + "0500000000000000" + "0100000000000000";
    const rest = "0200000000000000" + "0200000000000000" + "0201000000000000" + "01000000";
    const effect = "00" + "05000000" + "12000000" + "00" + "00000007" + "6b";
    const value = "0200000000000000" + "0000000000000000" + "01" + "76";
    const payload = header + rest + effect + value;
    expect(hex(replica.pending[0]!)).toBe("5c000000" + payload);
    expect(payload.length / 2).toBe(0x5c);
  });

  test("unknown versions, kinds and flags stop the replica", () => {
    for (const at of [0, 1, 2]) {
      const replica = new Replica();
      replica.put(utf8("k"), utf8("v"));
      const entry = replica.pending[0]!.slice();
      entry[4 + at] = 9;
      expect(() => replica.apply(entry)).toThrow(UnknownEntryError);
    }
  });

  test("a cut entry, a wrong term, keyspace, predecessor or order is a broken invariant", () => {
    const replica = new Replica();
    replica.put(utf8("k"), utf8("v"));
    replica.put(utf8("l"), utf8("v"));
    const [first, second] = replica.pending as [Uint8Array, Uint8Array];
    const follower = new Replica();
    const { machine } = follower;
    expect(() => machine.apply(1, TERM, first, 4, first.length - 5)).toThrow(DecodeError);
    expect(() => machine.apply(1, TERM + 1, first, 4, first.length - 4)).toThrow(/another term/);
    expect(() => follower.apply(second)).toThrow(/does not follow/);
    const fresh = new Replica();
    fresh.apply(first);
    expect(() => fresh.machine.apply(1, TERM, second, 4, second.length - 4)).toThrow(/twice/);
    const foreign = first.slice();
    foreign[4 + 3] = 8;
    expect(() => new Replica().apply(foreign)).toThrow(/another keyspace/);
  });

  test("a closed revision admits no event at or below it", () => {
    const leader = new Replica();
    const out = new ByteWriter();
    leader.machine.encodeClose({ ...leader.context(), closedRevision: 10 }, out);
    leader.apply(out.copy());
    expect(leader.machine).toMatchObject({ revision: 1, closedRevision: 10 });
    expect(() => leader.put(utf8("a"), utf8("1"))).toThrow(/not new/);
    const other = new Replica();
    other.put(utf8("a"), utf8("1"));
    expect(() => leader.apply(other.pending[0]!)).toThrow(/closed revision/);
  });

  test("the logical clock never goes back, and skipped entries count", () => {
    const replica = new Replica();
    for (const clockMs of [50, 20]) {
      replica.clockMs = clockMs;
      replica.close();
      replica.applyPending();
      expect(replica.machine.logicalClock).toBe(50);
    }
    replica.machine.skip(3);
    expect(replica.machine.appliedIndex).toBe(3);
    expect(replica.machine.flushedState(3, TERM, Uint8Array.of(1))).toEqual({
      index: 3,
      term: TERM,
      revision: 1,
      compactedRevision: 0,
      closedRevision: 1,
      logicalClock: 50,
      configuration: Uint8Array.of(1),
    });
  });
});

test("replicas agree by hash whatever each of them still stores", () => {
  const leader = new Replica();
  const follower = new Replica();
  for (const key of ["a", "b", "c"]) leader.put(utf8(key), utf8("1"));
  leader.transaction(txn([], [remove("a"), put("b", "2")]));
  leader.transaction(txn([], [remove("c")]));
  leader.compact(6);
  for (const entry of leader.applyPending()) follower.apply(entry);
  leader.flush();
  leader.files.compact();
  expect(leader.files.tree.stats().entryCount).toBeLessThan(follower.files.tree.stats().entryCount);
  expect(leader.hashAt(6)).toBe(follower.hashAt(6));
  expect(leader.machine.describe()).toBe(follower.machine.describe());
});

test("a hash is of the state as it was when it began, and of revisions that can be read", () => {
  const replica = new Replica();
  for (let i = 0; i < 10_000; i++) replica.put(utf8(`k${i}`), utf8("v"));
  replica.applyPending();
  const { machine } = replica;
  const newest = machine.revision;
  const before = replica.hashAt(newest);
  const hash = machine.hash(0) as LogicalHash;
  expect([hash.revision, hash.compactedRevision]).toEqual([newest, 0]);
  let steps = 0;
  for (let done = false; !done; steps++) {
    replica.put(utf8(`k${9999 - steps}`), utf8("later"));
    replica.compact(newest + steps);
    replica.applyPending();
    done = hash.step();
  }
  expect(steps).toBeGreaterThan(1);
  expect(hash.value).toBe(before);
  expect(machine.hash(newest - 1)).toMatchObject({ code: "compacted" });
  expect(machine.hash(newest + steps + 1)).toMatchObject({ code: "futureRevision" });
});

describe("the overlay of a leader", () => {
  test("leaves as a whole, its compaction with it", () => {
    const replica = new Replica();
    run(replica, put("a", "1"));
    replica.put(utf8("a"), utf8("2"));
    replica.compact(2);
    expect(replica.machine.lastEvaluatedRevision).toBe(3);
    replica.drop();
    expect(replica.machine).toMatchObject({ lastEvaluatedRevision: 2, overlaySize: 0 });
    expect(replica.compact(2).outcome).toBe("effects");
    expect(replica.put(utf8("a"), utf8("3"), 1).revision).toBe(3);
  });

  test("is of one term, and starts with what is applied next", () => {
    const replica = new Replica();
    replica.put(utf8("a"), utf8("1"));
    const later = { ...replica.context(), term: TERM + 1 };
    const out = new ByteWriter();
    expect(() => replica.machine.evaluateTransaction(txn([], []), later, out)).toThrow(/term/);
    replica.put(utf8("a"), utf8("2"));
    const stranger = new Replica();
    stranger.transaction(txn([], [put("x"), put("y")]));
    stranger.applyPending();
    stranger.put(utf8("z"), utf8("1"));
    replica.applyPending(1);
    expect(replica.machine.overlaySize).toBe(1);
  });

  test("is not seen by readers, watchers and hashes", () => {
    const replica = new Replica();
    const before = replica.hashAt(1);
    replica.put(utf8("a"), utf8("1"));
    expect(replica.get(utf8("a"))).toBeUndefined();
    expect(replica.hashAt(1)).toBe(before);
    replica.applyPending();
    expect(replica.hashAt(2)).not.toBe(before);
    expect(replica.hashAt(1)).toBe(before);
  });
});
