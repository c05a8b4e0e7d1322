/** Transactions over registers, made by hand: each kind of circle, and what contradicts itself. */
import { expect, test } from "vitest";
import { checkReadWrite } from "../../../jepsen-style/checkers/read-write.js";
import type { ReadWriteOperation } from "../../../jepsen-style/checkers/read-write.js";

type Seen = readonly [value: string, modRevision: number] | undefined;

interface Txn {
  readonly reads?: Readonly<Record<string, Seen>>;
  readonly writes?: Readonly<Record<string, string>>;
  readonly revision?: number;
  /** Called at, and completed a moment later; all at once by default. */
  readonly at?: number;
  readonly kind?: "fail" | "info";
}

function txn({ reads = {}, writes = {}, revision = 0, at, kind }: Txn): ReadWriteOperation {
  const request = {
    type: "txn" as const,
    reads: Object.keys(reads),
    writes: Object.entries(writes).map(([key, value]) => ({ key, value })),
  };
  const call = { process: 1, request, calledAt: at ?? 0 };
  if (kind !== undefined) return { ...call, kind, completedAt: 1000 };
  const seen = Object.values(reads).map((one) => {
    return one === undefined ? undefined : { value: one[0], modRevision: one[1] };
  });
  const completedAt = at === undefined ? 1000 : at + 1;
  return { ...call, kind: "ok", completedAt, answer: { revision, seen } };
}

function fault(...txns: readonly Txn[]): string | undefined {
  return checkReadWrite(txns.map(txn)).lines[0];
}

test("what is right has no fault", () => {
  expect(
    fault(
      { writes: { x: "1", y: "2" }, revision: 2, at: 1 },
      { reads: { x: ["1", 2], y: ["2", 2] }, writes: { x: "3" }, revision: 3, at: 10 },
      { writes: { x: "4" }, kind: "info" },
      { reads: { x: ["4", 5], z: undefined }, at: 20 },
      { writes: { x: "5" }, kind: "fail" },
    ),
  ).toBeUndefined();
});

test.each<readonly [string, readonly Txn[], RegExp]>([
  [
    "aborted read",
    [{ writes: { x: "1" }, kind: "fail" }, { reads: { x: ["1", 2] } }],
    /^aborted read \(G1a\): 1 of x/,
  ],
  ["from nowhere", [{ reads: { x: ["9", 2] } }], /^nobody wrote 9 of x$/],
  [
    "of another key",
    [{ writes: { y: "1" }, revision: 2 }, { reads: { x: ["1", 2] } }],
    /^1 was written to another key than x$/,
  ],
  [
    "at another revision",
    [{ writes: { x: "1" }, revision: 2 }, { reads: { x: ["1", 3] } }],
    /^1 of x is of revision 3, not 2$/,
  ],
  [
    "each reads what the other wrote (G1c)",
    [
      { writes: { x: "1" }, reads: { y: ["2", 3] }, revision: 2 },
      { writes: { y: "2" }, reads: { x: ["1", 2] }, revision: 3 },
    ],
    /^G1c: /,
  ],
  [
    "a lost update (G-single)",
    [
      { writes: { x: "1" }, revision: 2 },
      { reads: { x: ["1", 2] }, writes: { x: "2" }, revision: 3 },
      { reads: { x: ["1", 2] }, writes: { x: "3" }, revision: 4 },
    ],
    /^G-single: /,
  ],
  [
    "write skew (G2)",
    [
      { reads: { x: undefined, y: undefined }, writes: { x: "1" }, revision: 2 },
      { reads: { x: undefined, y: undefined }, writes: { y: "2" }, revision: 3 },
    ],
    /^G2: /,
  ],
  [
    "a stale read (real time)",
    [
      { writes: { x: "1" }, revision: 2, at: 1 },
      { writes: { x: "2" }, revision: 3, at: 10 },
      { reads: { x: ["1", 2] }, at: 20 },
    ],
    /^G-single-realtime: /,
  ],
])("%s", (_, txns, text) => {
  expect(fault(...txns)).toMatch(text);
});
