/** Directed tests of watches: live, behind, compacted, across a snapshot. */
import { describe, expect, test, vi } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { WatchHub } from "../../src/mvcc/watch-hub.js";
import type { WatchSource } from "../../src/mvcc/watch-hub.js";
import type { Watcher, WatchSink, WatchSpec } from "../../src/mvcc/watcher.js";
import type { KvError } from "../../src/protocol/errors.js";
import type { Operation } from "../../src/protocol/operations.js";
import { decodeWatchEvent } from "../../src/protocol/watch-codec.js";
import { put, remove, txn } from "../support/operations.js";
import { Replica, TERM } from "./replica.js";
import { stored } from "./test-tree.js";

/** What a sink was told, one line each: "2 put a=1", "closed 2", "failed compacted". */
class Lines implements WatchSink {
  readonly lines: string[] = [];
  open = true;
  onEvents: () => void = () => {};

  events(revision: number, count: number, encodedEvents: Uint8Array): void {
    const reader = new ByteReader(encodedEvents);
    const texts: string[] = [];
    for (let i = 0; i < count; i++) {
      const { type, kv, prevKv } = decodeWatchEvent(reader);
      const value = type === "put" ? `=${utf8Text(kv.value)}` : "";
      const before = prevKv === undefined ? "" : ` was ${utf8Text(prevKv.value)}`;
      texts.push(`${type} ${utf8Text(kv.key)}${value}${before}`);
    }
    this.lines.push(`${revision} ${texts.join(", ")}`);
    this.onEvents();
  }

  closed(revision: number): void {
    this.lines.push(`closed ${revision}`);
  }

  failed(error: KvError): void {
    this.lines.push(`failed ${error.code} ${error.details.bound}`);
  }

  writable(): boolean {
    return this.open;
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

function watch(
  replica: Replica,
  key: string,
  end?: string,
  more: Partial<WatchSpec> = {},
): Lines & { watcher: Watcher } {
  const sink = new Lines();
  const flags = { startRevision: 0, prevKv: false, noPut: false, noDelete: false };
  const rangeEnd = end === undefined ? undefined : stored(end);
  const spec = { start: stored(key), end: rangeEnd, ...flags, ...more };
  return Object.assign(sink, { watcher: replica.machine.hub.watch(spec, sink) });
}

function run(replica: Replica, ...operations: Operation[]): void {
  const evaluation = replica.transaction(txn([], operations));
  if (evaluation.error !== undefined) throw evaluation.error;
  replica.applyPending();
}

function pumpAll({ machine }: Replica): void {
  for (let turns = 0; machine.hub.hasWork; turns++) {
    if (turns > 1000) throw new Error("the pump never ends");
    machine.hub.pump();
  }
}

describe("a live watch", () => {
  test("says where it starts and gives what is applied from then on", () => {
    const replica = new Replica();
    run(replica, put("a", "0"));
    const one = watch(replica, "a");
    pumpAll(replica);
    expect(one.take()).toEqual(["closed 2"]);
    run(replica, put("a", "1"), put("b", "1"));
    run(replica, put("b", "2"));
    run(replica, remove("a"));
    expect(one.take()).toEqual(["3 put a=1", "5 delete a"]);
    expect(replica.machine.hub.hasWork).toBe(false);
  });

  test("gives all events of a revision together, those it wants", () => {
    const replica = new Replica();
    run(replica, put("a", "0"), put("c", "0"));
    const all = watch(replica, "a", "z", { prevKv: true });
    const puts = watch(replica, "a", "z", { noDelete: true });
    const deletes = watch(replica, "b", "z", { noPut: true });
    run(replica, put("b", "1"), remove("c"), put("a", "1"));
    expect(all.take()).toEqual(["3 put b=1, delete c was 0, put a=1 was 0"]);
    expect(puts.take()).toEqual(["3 put b=1, put a=1"]);
    expect(deletes.take()).toEqual(["3 delete c"]);
  });

  test("reads later what cannot be read while an entry is applied", () => {
    const replica = new Replica();
    run(replica, put("a", "0"));
    const plain = watch(replica, "a");
    const sinks = [0, 1].map(() => watch(replica, "a", undefined, { prevKv: true }));
    pumpAll(replica);
    for (const sink of [plain, ...sinks]) sink.take();
    replica.transaction(txn([], [put("a", "1")]));
    const reads = vi.spyOn(replica.files.tree, "get").mockImplementation(() => {
      throw new CorruptionError("a table", 0, "a bad checksum");
    });
    replica.applyPending();
    expect(plain.take()).toEqual(["3 put a=1"]);
    const { hub } = replica.machine;
    for (let i = 0; i < 2; i++) expect(() => hub.pump()).toThrow(CorruptionError);
    reads.mockRestore();
    run(replica, put("a", "2"));
    pumpAll(replica);
    for (const sink of sinks) {
      expect(sink.take()).toEqual(["3 put a=1 was 0", "4 put a=2 was 1", "closed 4"]);
    }
  });

  test("waits for a revision that is yet to come", () => {
    const replica = new Replica();
    const later = watch(replica, "a", undefined, { startRevision: 4 });
    for (const value of ["1", "2", "3", "4"]) run(replica, put("a", value));
    pumpAll(replica);
    expect(later.take()).toEqual(["4 put a=3", "5 put a=4", "closed 5"]);
  });

  test("is told of progress only if it asks", () => {
    const replica = new Replica();
    const quiet = watch(replica, "a");
    const keen = watch(replica, "a", undefined, { progress: true });
    pumpAll(replica);
    quiet.take();
    keen.take();
    run(replica, put("b", "1"));
    expect(replica.machine.hub.hasWork).toBe(true);
    keen.open = false;
    replica.machine.hub.pump();
    expect(keen.take()).toEqual([]);
    keen.open = true;
    pumpAll(replica);
    expect(keen.take()).toEqual(["closed 2"]);
    expect(quiet.take()).toEqual([]);
  });

  test("may be cancelled, also by another while events are given", () => {
    const replica = new Replica();
    const first = watch(replica, "a");
    const second = watch(replica, "a", "b");
    first.onEvents = () => second.watcher.cancel();
    second.onEvents = () => first.watcher.cancel();
    run(replica, put("a", "1"));
    run(replica, put("a", "2"));
    expect(first.lines.length + second.lines.length).toBe(2);
    expect(replica.machine.hub.size).toBe(1);
    first.watcher.cancel();
    second.watcher.cancel();
    run(replica, put("a", "3"));
    pumpAll(replica);
    expect(first.lines.length + second.lines.length).toBe(2);
  });
});

describe("a watch of history", () => {
  test("catches up in slices and goes live without a gap or a repeat", () => {
    const replica = new Replica();
    for (let i = 0; i < 1500; i++) replica.put(utf8(`k${i % 7}`), utf8(String(i)));
    replica.applyPending();
    const sink = watch(replica, "k3", undefined, { startRevision: 2, prevKv: true });
    replica.machine.hub.pump();
    expect(sink.lines.length).toBeLessThan(120);
    run(replica, put("k3", "x"));
    pumpAll(replica);
    run(replica, put("k3", "y"));
    const revisions = sink.lines.filter((one) => one.includes("put")).map((one) => parseInt(one));
    const expected = Array.from({ length: 1500 }, (_, i) => i + 2).filter((r) => (r - 2) % 7 === 3);
    expect(revisions).toEqual([...expected, 1502, 1503]);
    expect(sink.lines.at(-1)).toBe("1503 put k3=y was x");
  });

  test("reads up what its sink had no room for, while others go on", () => {
    const replica = new Replica();
    const slow = watch(replica, "a");
    const fast = watch(replica, "a");
    pumpAll(replica);
    slow.open = false;
    run(replica, put("a", "1"));
    run(replica, put("a", "2"));
    expect(replica.machine.hub.hasWork).toBe(false);
    expect(fast.take()).toEqual(["closed 0", "2 put a=1", "3 put a=2"]);
    slow.open = true;
    expect(replica.machine.hub.hasWork).toBe(true);
    slow.onEvents = () => (slow.open = false);
    replica.machine.hub.pump();
    expect(slow.take()).toEqual(["closed 0", "2 put a=1"]);
    slow.open = true;
    slow.onEvents = () => {};
    pumpAll(replica);
    expect(slow.take()).toEqual(["3 put a=2", "closed 3"]);
  });

  test("starts at the compacted revision, a delete there included, but not below", () => {
    const replica = new Replica();
    run(replica, put("a", "1"));
    run(replica, remove("a"));
    run(replica, put("b", "1"));
    replica.compact(3);
    replica.applyPending();
    replica.flush();
    replica.files.compact();
    const below = watch(replica, "a", "z", { startRevision: 2 });
    const at = watch(replica, "a", "z", { startRevision: 3, prevKv: true });
    pumpAll(replica);
    expect(below.take()).toEqual(["failed compacted 3"]);
    expect(at.take()).toEqual(["3 delete a", "4 put b=1", "closed 4"]);
    expect(replica.machine.hub.size).toBe(1);
  });

  test("leaves out what was before where that is compacted, removed or not yet", () => {
    const replica = new Replica();
    for (const value of ["1", "2", "3"]) run(replica, put("a", value));
    replica.compact(3);
    replica.applyPending();
    const sink = watch(replica, "a", undefined, { startRevision: 3, prevKv: true });
    pumpAll(replica);
    expect(sink.take()).toEqual(["3 put a=2", "4 put a=3 was 2", "closed 4"]);
  });

  test("fails when what it has not read yet is compacted", () => {
    const replica = new Replica();
    const slow = watch(replica, "a");
    slow.open = false;
    run(replica, put("a", "1"));
    run(replica, put("a", "2"));
    replica.compact(3);
    replica.applyPending();
    slow.open = true;
    pumpAll(replica);
    expect(slow.take()).toEqual(["failed compacted 3"]);
  });

  test("goes on after an installed snapshot from where it was", () => {
    const leader = new Replica();
    const follower = new Replica();
    run(leader, put("a", "1"));
    const both = watch(follower, "a");
    leader.put(utf8("a"), utf8("2"));
    for (const entry of leader.applyPending()) void entry;
    const state = leader.machine.flushedState(leader.index, TERM, new Uint8Array(0));
    const ahead = watch(follower, "a", undefined, { startRevision: 4 });
    follower.machine.reset(leader.files.tree, state);
    pumpAll(follower);
    expect(both.take()).toEqual(["2 put a=1", "3 put a=2", "closed 3"]);
    follower.index = leader.index;
    leader.put(utf8("a"), utf8("3"));
    for (const entry of leader.pending) follower.apply(entry);
    expect(both.take()).toEqual(["4 put a=3"]);
    pumpAll(follower);
    expect(ahead.take()).toEqual(["closed 3", "4 put a=3"]);
  });
});

test("a quiet live watch outlives a snapshot that is compacted beyond its last event", () => {
  const leader = new Replica();
  const follower = new Replica();
  const sink = watch(follower, "a");
  for (const key of ["a", "b", "b", "b"]) leader.put(utf8(key), utf8("1"));
  for (const entry of leader.applyPending()) follower.apply(entry);
  leader.compact(5);
  run(leader, put("a", "2"));
  const state = leader.machine.flushedState(leader.index, TERM, new Uint8Array(0));
  follower.machine.reset(leader.files.tree, state);
  pumpAll(follower);
  expect(sink.take()).toEqual(["2 put a=1", "6 put a=2", "closed 6"]);
});

test("an event is encoded once however many watch it", () => {
  const replica = new Replica();
  const parts: Uint8Array[] = [];
  for (let i = 0; i < 50; i++) {
    const sink = watch(replica, "a", i % 2 === 0 ? undefined : "b");
    sink.events = (_revision, _count, encoded) => void parts.push(encoded);
  }
  run(replica, put("a", "1"));
  expect(parts.length).toBe(50);
  expect(new Set(parts.map((one) => `${one.byteOffset} ${one.length}`)).size).toBe(1);
  expect(parts.every((one) => one.buffer === parts[0]?.buffer)).toBe(true);
});

test("a watch refuses events that no frame can carry instead of losing them", () => {
  const replica = new Replica();
  const size = 1_000_000;
  for (let i = 0; i < 17; i++) replica.put(utf8(`k${i}`), new Uint8Array(size));
  replica.applyPending();
  const without = watch(replica, "a", "z");
  const sink = watch(replica, "a", "z", { prevKv: true });
  pumpAll(replica);
  without.take();
  sink.take();
  run(replica, remove("a", "z"));
  expect(without.take()[0]?.split(",").length).toBe(17);
  expect(sink.take()[0]).toMatch(/^failed limitExceeded/);
});

test("a watch from now on starts after what other shards have closed", () => {
  const replica = new Replica();
  const out = new ByteWriter();
  replica.machine.encodeClose({ ...replica.context(), closedRevision: 10 }, out);
  replica.apply(out.copy());
  const { machine } = replica;
  const source: WatchSource = machine;
  expect(new WatchHub(source, 4).describe()).toContain("0 live");
  const sink = watch(replica, "a");
  expect(sink.watcher.nextRevision).toBe(11);
  pumpAll(replica);
  expect(sink.take()).toEqual(["closed 10"]);
});
