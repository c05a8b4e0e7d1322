/** The small checkers, on histories made by hand: one that is right, and each way to be wrong. */
import { describe, expect, test } from "vitest";
import type { CommittedOrder } from "../../../jepsen-style/checkers/committed.js";
import { checkReads, unprovenReads } from "../../../jepsen-style/checkers/exact-reads.js";
import type { ReadOperation, ReadRequest } from "../../../jepsen-style/checkers/exact-reads.js";
import { checkForks } from "../../../jepsen-style/checkers/forks.js";
import { checkPast } from "../../../jepsen-style/checkers/past.js";
import type { PastOperation } from "../../../jepsen-style/checkers/past.js";
import { checkQueue } from "../../../jepsen-style/checkers/queues.js";
import type { QueueOperation } from "../../../jepsen-style/checkers/queues.js";
import { checkSequences } from "../../../jepsen-style/checkers/sequences.js";
import { checkIds } from "../../../jepsen-style/checkers/unique-ids.js";
import type { WriteOperation } from "../../../jepsen-style/checkers/writes.js";

function done<Request, Answer>(
  request: Request,
  answer: Answer,
  calledAt = 0,
): {
  process: number;
  request: Request;
  calledAt: number;
  kind: "ok";
  completedAt: number;
  answer: Answer;
} {
  return { process: 1, request, calledAt, kind: "ok", completedAt: calledAt + 1, answer };
}

describe("forks", () => {
  const read = (group: number, ...keys: readonly string[]): ReturnType<typeof forkRead> =>
    forkRead(group, keys);
  function forkRead(
    group: number,
    keys: readonly string[],
  ): Parameters<typeof checkForks>[0][number] {
    return done({ type: "read" as const, group, level: "stale" as const }, { keys });
  }

  test("readers of one group see one order", () => {
    const right = [read(1), read(1, "a"), read(1, "a", "b"), read(2, "c"), read(2, "c", "d")];
    expect(checkForks(right).verdict).toBe("valid");
    expect(checkForks([...right, read(1, "b")]).lines[0]).toBe(
      "two orders of the writes of group 1",
    );
  });
});

describe("sequences", () => {
  const read = (...seen: readonly boolean[]): Parameters<typeof checkSequences>[0][number] =>
    done({ type: "read" as const, number: 1, level: "lease" as const }, { seen });

  test("an earlier key is there where a later one was", () => {
    const right = [read(false, false, false), read(false, true, true), read(true, true, true)];
    expect(checkSequences(right).verdict).toBe("valid");
    expect(checkSequences([read(false, true, false)]).verdict).toBe("invalid");
    expect(checkSequences([read(true, false, true)]).verdict).toBe("invalid");
  });
});

describe("ids", () => {
  const id = (
    type: "revision" | "lease",
    given: string,
    at: number,
  ): Parameters<typeof checkIds>[0][number] => done({ type }, { id: given }, at);
  const verdicts = (operations: Parameters<typeof checkIds>[0]): readonly string[] =>
    checkIds(operations).map(({ verdict }) => verdict);

  test("they are unique, and revisions rise in time", () => {
    const right = [id("revision", "2", 0), id("lease", "2", 0), id("revision", "9", 5)];
    expect(verdicts(right)).toEqual(["valid", "valid"]);
    expect(verdicts([...right, id("lease", "2", 9)])).toEqual(["invalid", "valid"]);
    expect(verdicts([...right, id("revision", "3", 9)])).toEqual(["valid", "invalid"]);
  });
});

describe("queues", () => {
  const put = (element: string, kind?: "fail" | "info"): QueueOperation => {
    const request = { type: "enqueue" as const, element };
    if (kind === undefined) return done(request, { elements: [] });
    return { process: 1, request, calledAt: 0, kind, completedAt: 1 };
  };
  const take = (...elements: readonly string[]): QueueOperation =>
    done({ type: "dequeue" as const }, { elements }, 5);
  const open: QueueOperation = {
    process: 1,
    request: { type: "dequeue" },
    calledAt: 5,
    kind: "info",
  };
  const rest = (...elements: readonly string[]): QueueOperation =>
    done({ type: "rest" as const }, { elements }, 9);

  test.each<readonly [string, readonly QueueOperation[], RegExp | undefined]>([
    ["all of it", [put("a"), put("b"), take("a"), take(), rest("b")], undefined],
    ["a put that was lost on the way", [put("a", "info"), rest()], undefined],
    ["a put that was not", [put("a", "info"), take("a"), rest()], undefined],
    ["a take that nobody heard of", [put("a"), open, rest()], undefined],
    ["lost", [put("a"), rest()], /^1 are lost, and only 0 takes/],
    ["lost beside a take that nobody heard of", [put("a"), put("b"), open, rest()], /^2 are lost/],
    ["taken twice", [put("a"), take("a"), take("a")], /^a was taken twice$/],
    ["taken and still there", [put("a"), take("a"), rest("a")], /^a was taken and is still there$/],
    ["from nowhere", [take("a")], /^nobody put a in$/],
    ["of a put that failed", [put("a", "fail"), take("a")], /^the put of a had failed$/],
  ])("%s", (_, operations, text) => {
    const [line] = checkQueue(operations).lines;
    expect(line ?? "right").toMatch(text ?? /^right$/);
  });
});

describe("the past", () => {
  const asked = (
    type: "compact" | "range",
    revision: number,
    at: number,
    compacted?: number,
  ): PastOperation => done({ type, revision }, { compacted, rows: 0 }, at);

  test.each<readonly [string, readonly PastOperation[], RegExp | undefined]>([
    [
      "shown, forgotten, refused",
      [asked("range", 5, 0), asked("compact", 7, 2), asked("range", 5, 4, 7), asked("range", 7, 6)],
      undefined,
    ],
    ["refused while it is forgotten", [asked("compact", 7, 2), asked("range", 5, 2, 7)], undefined],
    [
      "shown although it was forgotten",
      [asked("compact", 7, 2), asked("range", 6, 4)],
      /^6 was shown after all below 7 had been forgotten$/,
    ],
    ["refused although it is kept", [asked("range", 7, 4, 7)], /^7 was refused, and 7 is said/],
    [
      "compacted back",
      [asked("compact", 7, 2), asked("compact", 5, 4)],
      /^history was compacted back to 5$/,
    ],
  ])("%s", (_, operations, text) => {
    const [line] = checkPast(operations).lines;
    expect(line ?? "right").toMatch(text ?? /^right$/);
  });
});

describe("reads against the committed order", () => {
  const event = (revision: number, key: string, value: string | undefined) => {
    return { revision, key, value, createRevision: 1, version: 1 };
  };
  const commits = [
    event(2, "a", "1"),
    event(3, "b", "2"),
    event(4, "a", undefined),
    event(5, "c", "3"),
  ].map((each) => ({ revision: each.revision, endsLease: false, events: [each] }));
  const order: CommittedOrder = { from: 1, to: 5, commits };
  const write: WriteOperation = done(
    { type: "write", changes: [{ key: "c", value: "3" }] },
    { revision: 5, changed: true, deleted: [undefined] },
    10,
  );
  const read = (
    revision: number,
    rows: Readonly<Record<string, readonly [string, number]>>,
    asked: Partial<ReadRequest> = {},
    at = 0,
  ): ReadOperation => {
    const list = Object.entries(rows).map(([key, [value, modRevision]]) => {
      return { key, value, modRevision };
    });
    const request = { type: "read", key: "", span: "prefix", limit: 0, isNewest: false } as const;
    return done({ ...request, ...asked }, { revision, rows: list }, at);
  };

  test.each<readonly [string, ReadOperation]>([
    ["all at a revision", read(3, { a: ["1", 2], b: ["2", 3] })],
    ["one that was deleted", read(4, {}, { key: "a", span: "key" })],
    [
      "one of another revision than the newest",
      read(5, { b: ["2", 3] }, { key: "b", span: "key" }),
    ],
    ["a page", read(5, { b: ["2", 3] }, { limit: 1 })],
    ["up to an end", read(5, { b: ["2", 3] }, { key: "a", span: { end: "c" } })],
    ["from a key on", read(5, { c: ["3", 5] }, { key: "bb", span: "fromKey" })],
  ])("right: %s", (_, one) => {
    expect(checkReads(order, [one], [write]).map(({ lines }) => lines)).toEqual([[], []]);
  });

  test("unknown: most are older than the logs", () => {
    const known = { ...order, from: 5, commits: order.commits.slice(-1) };
    const reads = [read(3, {}), read(4, {}), read(5, { c: ["3", 5] })];
    const unproven = unprovenReads(known, reads);
    expect(unproven).toMatchObject({ verdict: "unknown" });
    expect(unproven!.lines).toEqual(["the logs, from revision 5 on, prove 1 of 3"]);
    expect(unprovenReads(order, reads)).toBeUndefined();
  });

  test.each<readonly [string, ReadOperation, RegExp]>([
    ["a row is missing", read(3, { a: ["1", 2] }), /^a read at revision 3 lacks b=2 of 3$/],
    ["a row is too old", read(4, { a: ["1", 2], b: ["2", 3] }), /shows a=1 of 2$/],
    ["a row is too new", read(4, { b: ["2", 3], c: ["3", 5] }), /shows c=3 of 5$/],
    ["a page skips one", read(5, { c: ["3", 5] }, { limit: 1 }), /lacks|shows/],
    [
      "an older state than was answered",
      read(4, { b: ["2", 3] }, { isNewest: true }, 20),
      /^a read shows revision 4 after 5 had been answered$/,
    ],
  ])("wrong: %s", (_, one, text) => {
    const lines = checkReads(order, [one], [write]).flatMap((each) => each.lines.slice(0, 1));
    expect(lines).toEqual([expect.stringMatching(text)]);
  });
});
