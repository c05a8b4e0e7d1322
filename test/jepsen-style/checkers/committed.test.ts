/** Histories made by hand against orders of commits made by hand, right and wrong. */
import { describe, expect, test } from "vitest";
import { checkCommitted } from "../../../jepsen-style/checkers/committed.js";
import type { CommittedOrder, State } from "../../../jepsen-style/checkers/committed.js";
import type { Event, WriteOperation } from "../../../jepsen-style/checkers/writes.js";

function event(revision: number, key: string, value: string | undefined): Event {
  return { revision, key, value, createRevision: revision, version: 1 };
}

function order(events: readonly Event[], from = 1): CommittedOrder {
  const revisions = [...new Set(events.map(({ revision }) => revision))];
  const commits = revisions.map((revision) => ({
    revision,
    endsLease: false,
    events: events.filter((each) => each.revision === revision),
  }));
  return { from, to: revisions.at(-1) ?? 0, commits };
}

interface Told {
  readonly kind?: "ok" | "fail" | "info";
  readonly revision?: number;
  readonly at?: number;
  readonly deleted?: readonly (number | undefined)[];
  readonly changed?: boolean;
}

function write(changes: Readonly<Record<string, string | undefined>>, told: Told): WriteOperation {
  const { kind = "ok", revision = 0, at = revision * 10, changed = true } = told;
  const list = Object.entries(changes).map(([key, value]) => ({ key, value }));
  const call = { process: 1, request: { type: "write" as const, changes: list }, calledAt: at };
  if (kind !== "ok") return { ...call, kind, completedAt: at + 5 };
  const deleted = told.deleted ?? list.map(({ value }) => (value === undefined ? 1 : undefined));
  return { ...call, kind, completedAt: at + 5, answer: { revision, changed, deleted } };
}

function state(revision: number, rows: Readonly<Record<string, readonly [string, number]>>): State {
  const entries = Object.entries(rows).map(([key, [value, modRevision]]) => {
    return [key, { value, modRevision }] as const;
  });
  return { revision, rows: new Map(entries) };
}

function faults(
  committed: CommittedOrder,
  writes: readonly WriteOperation[],
  shown?: State,
): readonly string[] {
  return checkCommitted(committed, writes, shown).flatMap(({ lines }) => lines.slice(0, 1));
}

const A1 = event(2, "a", "1");
const A2 = event(3, "a", "2");

describe("right", () => {
  test("what was acknowledged, what was lost on the way, and what found nothing to delete", () => {
    const committed = order([A1, A2, event(4, "b", "3"), event(5, "a", undefined)]);
    const writes = [
      write({ a: "1" }, { revision: 2 }),
      write({ a: "2" }, { kind: "info", at: 25 }),
      write({ b: "3", c: undefined }, { revision: 4, deleted: [undefined, 0] }),
      write({ a: undefined }, { revision: 5 }),
      write({ x: "4" }, { kind: "fail", at: 60 }),
      write({ x: "5" }, { kind: "info", at: 70 }),
      write({ x: "6" }, { revision: 5, at: 80, changed: false }),
    ];
    expect(faults(committed, writes, state(5, { b: ["3", 4] }))).toEqual([]);
  });

  test("deletes of unknown outcome, whichever of them did it and whatever they found", () => {
    const gone = (revision: number, ...keys: readonly string[]): readonly Event[] =>
      keys.map((key) => event(revision, key, undefined));
    const unknown = (changes: Readonly<Record<string, string | undefined>>): WriteOperation =>
      write(changes, { kind: "info", at: 1 });
    const keys = Array.from({ length: 64 }, (_, at) => `k${at}`);
    const writes = [
      unknown({ a: undefined, b: undefined }),
      unknown({ a: undefined, c: undefined }),
      unknown({ p: "1", ...Object.fromEntries(keys.map((key) => [key, undefined])) }),
    ];
    const put = event(4, "p", "1");
    // The first commit could be either's, the second only the first write's.
    const committed = order([...gone(2, "a"), ...gone(3, "a", "b"), put, ...gone(4, "k7", "k63")]);
    expect(faults(committed, writes)).toEqual([]);
    const third = order([...gone(2, "a"), ...gone(3, "a", "b"), ...gone(4, "a")]);
    expect(faults(third, writes)[0]).toMatch(/^revision 4 is a deleted, and nobody/);
  });

  test("the end of a lease was asked for by nobody", () => {
    const { from, to, commits } = order([A1, event(3, "a", undefined)]);
    const ended = commits.map((each) => ({ ...each, endsLease: each.revision === 3 }));
    const writes = [write({ a: "1" }, { revision: 2 })];
    expect(faults({ from, to, commits: ended }, writes, state(3, {}))).toEqual([]);
  });

  test("what lies before the logs is not judged", () => {
    const writes = [write({ a: "1" }, { revision: 2 }), write({ a: "2" }, { revision: 3 })];
    expect(faults(order([A2], 3), writes, state(3, { a: ["2", 3], z: ["0", 1] }))).toEqual([]);
  });
});

describe("wrong", () => {
  test.each<
    readonly [string, CommittedOrder, readonly WriteOperation[], State | undefined, RegExp]
  >([
    [
      "a write is lost in the middle",
      order([A2]),
      [write({ a: "1" }, { revision: 2 }), write({ a: "2" }, { revision: 3 })],
      undefined,
      /^revision 2 is nothing in the logs, not a=1$/,
    ],
    [
      "a write is lost at the end",
      order([A1]),
      [write({ a: "1" }, { revision: 2 }), write({ a: "2" }, { revision: 3 })],
      undefined,
      /^revision 3 is lost: the logs end at 2$/,
    ],
    [
      "a retry was applied twice",
      order([A1, event(3, "a", "1")]),
      [write({ a: "1" }, { revision: 3 })],
      undefined,
      /^revision 2 is a=1, and nobody can have asked for it$/,
    ],
    [
      "one of unknown outcome was applied twice",
      order([A1, event(3, "a", "1")]),
      [write({ a: "1" }, { kind: "info" })],
      undefined,
      /^revision 3 is a=1, and nobody/,
    ],
    [
      "what was said to have failed is there",
      order([A1]),
      [write({ a: "1" }, { kind: "fail" })],
      undefined,
      /^revision 2 is a=1, and nobody/,
    ],
    [
      "half a transaction is there",
      order([A1]),
      [write({ a: "1", b: "1" }, { revision: 2 })],
      undefined,
      /^revision 2 is a=1 in the logs, not a=1, b=1$/,
    ],
    [
      "half a transaction of unknown outcome is there",
      order([A1]),
      [write({ a: "1", b: "1" }, { kind: "info" })],
      undefined,
      /^revision 2 is a=1, and nobody/,
    ],
    [
      "revisions go against time",
      order([A1, A2]),
      [write({ a: "1" }, { revision: 2, at: 50 }), write({ a: "2" }, { revision: 3, at: 10 })],
      undefined,
      /^revision 2 was asked for when 3 had been answered$/,
    ],
    [
      "the replicas have lost a key",
      order([A1]),
      [write({ a: "1" }, { revision: 2 })],
      state(2, {}),
      /^a is nothing at the replicas and 1 at 2 in the logs$/,
    ],
    [
      "the replicas kept what was deleted",
      order([A1, event(3, "a", undefined)]),
      [write({ a: "1" }, { revision: 2 }), write({ a: undefined }, { revision: 3 })],
      state(3, { a: ["1", 2] }),
      /^a is 1 of 2 at the replicas and deleted at 3 in the logs$/,
    ],
    [
      "the replicas hold what no log has",
      order([A1]),
      [write({ a: "1" }, { revision: 2 })],
      state(2, { a: ["1", 2], b: ["9", 1] }),
      /^1 b is not in the logs$/,
    ],
  ])("%s", (_, committed, writes, shown, text) => {
    expect(faults(committed, writes, shown)[0]).toMatch(text);
  });
});
