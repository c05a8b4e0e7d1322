/** Transactions over lists: each anomaly by hand, named as it must be, and sound ones that pass. */
import { expect, test } from "vitest";
import { checkListAppend } from "../../../jepsen-style/checkers/list-append.js";
import type {
  AppendOperation,
  MicroOperation,
} from "../../../jepsen-style/checkers/list-append.js";

/** "ax1" appends 1 to x; "rx" with [1] reads it. */
function txn(
  process: number,
  times: readonly [number, number],
  words: readonly string[],
  reads: readonly (readonly number[])[] = [],
): AppendOperation {
  const [calledAt, completedAt] = times;
  const request = { type: "txn", steps: words.map(stepOf) } as const;
  return { process, request, calledAt, completedAt, kind: "ok", answer: { reads } };
}

function stepOf(word: string): MicroOperation {
  const key = word[1]!;
  if (word.startsWith("r")) return { type: "read", key };
  return { type: "append", key, element: Number(word.slice(2)) };
}

function as(
  kind: "fail" | "info",
  { process, request, calledAt }: AppendOperation,
): AppendOperation {
  return { process, request, calledAt, kind, completedAt: calledAt + 1 };
}

function faultOf(operations: readonly AppendOperation[]): string {
  const [finding] = checkListAppend(operations);
  expect(finding!.verdict === "valid").toBe(finding!.lines.length === 0);
  return finding!.lines[0] ?? "valid";
}

test("what is one after the other is sound, own appends included", () => {
  expect(
    faultOf([
      txn(1, [0, 1], ["ax1", "rx", "ay2"], [[1]]),
      txn(1, [2, 3], ["rx", "ax3", "rx", "ry"], [[1], [1, 3], [2]]),
      txn(2, [4, 5], ["rx", "ry", "rz"], [[1, 3], [2], []]),
    ]),
  ).toBe("valid");
});

test("what is under way together may come in any one order", () => {
  expect(
    faultOf([
      txn(1, [0, 10], ["ax1", "ry"], [[2]]),
      txn(2, [0, 10], ["ay2", "rx"], [[]]),
      txn(3, [0, 10], ["rx", "ry"], [[], [2]]),
    ]),
  ).toBe("valid");
});

test("an append of unknown outcome may be seen, one that failed may not", () => {
  const write = txn(1, [0, 1], ["ax1"]);
  const read = txn(2, [5, 6], ["rx"], [[1]]);
  expect(faultOf([as("info", write), read])).toBe("valid");
  expect(faultOf([as("fail", write), read])).toMatch(/^aborted read \(G1a\)/);
});

test("in between: the first of two appends of one transaction alone is seen", () => {
  const write = txn(1, [0, 9], ["ax1", "ax2"]);
  expect(faultOf([write, txn(2, [0, 9], ["rx"], [[1]])])).toMatch(/^intermediate read \(G1b\)/);
});

test("two orders, an element twice, one that nobody appended", () => {
  const writes = [txn(1, [0, 1], ["ax1"]), txn(2, [0, 1], ["ax2"])];
  const reads = (...lists: number[][]): AppendOperation[] =>
    lists.map((list, at) => txn(3 + at, [2, 3], ["rx"], [list]));
  expect(faultOf([...writes, ...reads([1, 2], [2, 1])])).toMatch(/^two orders of x/);
  expect(faultOf([...writes, ...reads([1, 2, 1])])).toMatch(/is there twice/);
  expect(faultOf([...writes, ...reads([7])])).toMatch(/^nobody appended 7/);
});

test("G0: writes of two transactions in two orders", () => {
  expect(
    faultOf([
      txn(1, [0, 9], ["ax1", "ay11"]),
      txn(2, [0, 9], ["ax2", "ay12"]),
      txn(
        3,
        [10, 11],
        ["rx", "ry"],
        [
          [1, 2],
          [12, 11],
        ],
      ),
    ]),
  ).toMatch(/^G0:/);
});

test("G1c: each sees what the other wrote", () => {
  expect(
    faultOf([txn(1, [0, 9], ["ax1", "ry"], [[2]]), txn(2, [0, 9], ["ay2", "rx"], [[1]])]),
  ).toMatch(/^G1c:/);
});

test("G-single: one write of another transaction is seen, the other is missed", () => {
  expect(
    faultOf([
      txn(1, [0, 9], ["ax1", "ay2"]),
      txn(2, [0, 9], ["rx", "ry"], [[1], []]),
      txn(3, [10, 11], ["ry"], [[2]]),
    ]),
  ).toMatch(/^G-single:/);
});

test("G2: each misses what the other wrote", () => {
  expect(
    faultOf([
      txn(1, [0, 9], ["ax1", "ry"], [[]]),
      txn(2, [0, 9], ["ay2", "rx"], [[]]),
      txn(3, [10, 11], ["rx", "ry"], [[1], [2]]),
    ]),
  ).toMatch(/^G2:/);
});

test("a read that is stale by the clock alone is a cycle with real time", () => {
  const history = [
    txn(1, [0, 1], ["ax1"]),
    txn(2, [5, 6], ["rx"], [[]]),
    txn(3, [7, 8], ["rx"], [[1]]),
  ];
  expect(faultOf(history)).toMatch(/^G-single-realtime:/);
  const [first, second, third] = history as [AppendOperation, AppendOperation, AppendOperation];
  expect(faultOf([{ ...first, completedAt: 5.5 } as AppendOperation, second, third])).toBe("valid");
});

test("a long history of one after the other is sound, and one stale read in it is found", () => {
  const length = 600;
  const upTo = (end: number): number[] => Array.from({ length: end }, (_, at) => at);
  const history = upTo(length).map((at) =>
    txn(at % 5, [2 * at, 2 * at + 1], ["rx", `ax${at}`], [upTo(at)]),
  );
  expect(faultOf(history)).toBe("valid");
  const stale = txn(7, [2 * length, 2 * length + 1], ["rx"], [upTo(length - 2)]);
  expect(faultOf([...history, stale])).toMatch(/^G-single-realtime:/);
});
