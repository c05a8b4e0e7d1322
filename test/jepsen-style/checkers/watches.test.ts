/**
 * Watches and stale reads against a history: each property is broken once by hand, and
 * is missed.
 */
import { describe, expect, test } from "vitest";
import { checkStaleReads } from "../../../jepsen-style/checkers/stale-reads.js";
import { checkWatches } from "../../../jepsen-style/checkers/watches.js";
import type { Watched, WatchedItem } from "../../../jepsen-style/checkers/watches.js";
import { checkReplay } from "../../../jepsen-style/checkers/writes.js";
import type { Event, Replay, WriteOperation } from "../../../jepsen-style/checkers/writes.js";
import type { Finding } from "../../../jepsen-style/checkers/finding.js";

const put = (revision: number, key: string, value: string, more: Partial<Event> = {}): Event => ({
  revision,
  key,
  value,
  createRevision: revision,
  version: 1,
  ...more,
});
const deleted = (revision: number, key: string, previous: string): Event => ({
  revision,
  key,
  value: undefined,
  createRevision: 0,
  version: 0,
  previous,
});

const A = put(2, "a", "1");
const AB = [put(3, "a", "2", { createRevision: 2, version: 2, previous: "1" }), put(3, "b", "3")];
const GONE = deleted(4, "b", "3");
const HISTORY: Replay = { from: 2, to: 5, events: [A, ...AB, GONE, put(5, "c", "4")] };

const item = (...events: Event[]): WatchedItem => ({
  atMs: 0,
  revision: events[0]!.revision,
  events,
});
const progress = (revision: number): WatchedItem => ({ atMs: 0, progress: revision });

function faults(items: readonly WatchedItem[], more: Partial<Watched> = {}): readonly string[] {
  const watch: Watched = {
    process: 1,
    prefix: "",
    isPrefix: true,
    startRevision: 2,
    prevKv: true,
    noPut: false,
    noDelete: false,
    begunAt: 0,
    coversFrom: undefined,
    items: [...items],
    ...more,
  };
  const bad = checkWatches([watch], HISTORY).filter(({ verdict }) => verdict !== "valid");
  return bad.map(({ checker, lines }) => `${checker}: ${lines[0]}`);
}

describe("a watch", () => {
  test("that shows all of it is sound, and one that was broken off as well", () => {
    expect(faults([item(A), progress(2), item(...AB), item(GONE), progress(4)])).toEqual([]);
    expect(faults([item(A)])).toEqual([]);
    expect(faults([])).toEqual([]);
    expect(faults([item(GONE)], { noPut: true })).toEqual([]);
    expect(faults([item(A), item(AB[0]!)], { prefix: "a", isPrefix: false })).toEqual([]);
    expect(faults([item(GONE)], { startRevision: 0, coversFrom: 4 })).toEqual([]);
  });

  test("shows only what was asked for", () => {
    expect(faults([item(A)], { startRevision: 3 })[0]).toMatch(/filter: shows 2/);
    expect(faults([item(A), item(...AB)], { prefix: "a" })[0]).toMatch(/filter: shows 3 b/);
    expect(faults([item(A)], { noPut: true })[0]).toMatch(/filter: shows 2 a/);
  });

  test("shows nothing twice, split or out of order", () => {
    const at = "ordered, unique, atomic";
    expect(faults([item(A), item(A)])[0]).toContain(`${at}: revision 2 came after 2`);
    expect(faults([item(A), item(AB[0]!), item(AB[1]!)])[0]).toContain("revision 3 came after 3");
    expect(faults([item(...AB), item(A)])[0]).toContain("revision 2 came after 3");
    expect(faults([item(A, A)])[0]).toContain("shows a key twice");
  });

  test("shows nothing behind a progress, which never goes back", () => {
    const goneOnly = { noPut: true };
    expect(faults([progress(3), item(GONE), progress(4)], goneOnly)).toEqual([]);
    expect(faults([progress(3), item(GONE), progress(3)], goneOnly)[0]).toMatch(
      /bookmarkable: progress went back from 4 to 3/,
    );
    expect(faults([progress(2), item(A)])[0]).toMatch(/bookmarkable: revision 2 came after/);
  });

  test("leaves nothing out: at its beginning, in the middle, before a progress", () => {
    const at = /resumable, reliable/;
    expect(faults([item(...AB)])[0]).toMatch(at);
    expect(faults([item(A), item(GONE)])[0]).toMatch(at);
    expect(faults([item(A), item(AB[0]!), item(GONE)])[0]).toMatch(at);
    expect(faults([item(A), progress(3)])[0]).toMatch(at);
    expect(faults([item(GONE)], { startRevision: 0, coversFrom: 3 })[0]).toMatch(at);
  });

  test("shows what was written, with its numbers and what was before", () => {
    const at = /as the history says/;
    expect(faults([item(put(2, "a", "other"))])[0]).toMatch(at);
    expect(faults([item({ ...A, version: 2 })])[0]).toMatch(at);
    expect(faults([item(A), item({ ...AB[0]!, previous: "other" }, AB[1]!)])[0]).toMatch(at);
    expect(faults([item(A), item(...AB), item(put(4, "b", "5"))])[0]).toMatch(at);
  });
});

function write(
  [calledAt, completedAt]: readonly [number, number],
  changes: WriteOperation["request"]["changes"],
  revision: number,
): WriteOperation {
  const request = { type: "write", changes } as const;
  const answer = { revision, changed: true, deleted: changes.map(() => undefined) };
  return { process: 1, request, calledAt, completedAt, kind: "ok", answer };
}

const WRITES: readonly WriteOperation[] = [
  write([0, 1], [{ key: "a", value: "1" }], 2),
  write(
    [2, 3],
    [
      { key: "a", value: "2" },
      { key: "b", value: "3" },
    ],
    3,
  ),
  write([4, 5], [{ key: "b", value: undefined }], 4),
  write([6, 7], [{ key: "c", value: "4" }], 5),
];

const saidOf = ({ verdict, lines }: Finding): string => lines[0] ?? verdict;

test("a history holds every acknowledged write once, and none that failed", () => {
  expect(saidOf(checkReplay(HISTORY, WRITES))).toBe("valid");
  const lacks = { ...HISTORY, events: HISTORY.events.slice(1) };
  expect(saidOf(checkReplay(lacks, WRITES))).toMatch(/a at revision 2 is not in the history/);
  const [first, ...others] = WRITES;
  const failed = { ...first!, kind: "fail" } as WriteOperation;
  expect(saidOf(checkReplay(HISTORY, [failed, ...others]))).toMatch(/was said to have failed/);
  expect(saidOf(checkReplay(HISTORY, others))).toMatch(/nobody wrote 1 of a/);
  const twice = { ...HISTORY, events: [...HISTORY.events, put(5, "d", "1")] };
  expect(saidOf(checkReplay(twice, WRITES))).toMatch(/written twice/);
});

describe("a stale read", () => {
  const read = (revision: number, rows: readonly Event[], more = {}) =>
    ({
      process: 2,
      request: { type: "stale", key: undefined, maxStalenessMs: 0, minRevision: 0, ...more },
      calledAt: 1000,
      completedAt: 1001,
      kind: "ok",
      answer: {
        revision,
        ageMs: 999,
        rows: rows.map(({ key, value, revision: modRevision }) => ({
          key,
          value: value ?? "",
          modRevision,
        })),
      },
    }) as const;
  const faultOf = (one: ReturnType<typeof read>): string =>
    checkStaleReads([one], WRITES, HISTORY)
      .map(saidOf)
      .find((each) => each !== "valid") ?? "valid";

  test("is exact at its revision", () => {
    expect(faultOf(read(3, AB))).toBe("valid");
    expect(faultOf(read(4, [AB[0]!]))).toBe("valid");
    expect(faultOf(read(4, AB))).toMatch(/b is 3 of 3 at revision 4, not nothing/);
    expect(faultOf(read(3, [A, AB[1]!]))).toMatch(/a is 1 of 2 at revision 3, not 2 of 3/);
    expect(faultOf(read(3, [AB[0]!]))).toMatch(/b is nothing at revision 3, not 3 of 3/);
  });

  test("is not below what its session asked for", () => {
    expect(faultOf(read(3, AB, { minRevision: 3 }))).toBe("valid");
    expect(faultOf(read(3, AB, { minRevision: 4 }))).toBe("it went back");
  });

  test("misses nothing that was answered before its bound, or its age", () => {
    expect(faultOf(read(3, AB, { maxStalenessMs: 900 }))).toMatch(/^it misses a write/);
    expect(faultOf(read(2, [A]))).toBe("valid");
  });
});
