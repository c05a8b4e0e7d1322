/** Elections, as histories made by hand: one that is right, and each way to be wrong. */
import { describe, expect, test } from "vitest";
import { checkElections } from "../../../jepsen-style/checkers/elections.js";
import type {
  ElectionAnswer,
  ElectionRequest,
  Seen,
} from "../../../jepsen-style/checkers/elections.js";
import type { Operation } from "../../../jepsen-style/history.js";

type ElectionOperation = Operation<ElectionRequest, ElectionAnswer>;

/** Called at its revision, answered right after. */
function ok(at: number, request: ElectionRequest, answer: ElectionAnswer): ElectionOperation {
  return { process: 1, request, calledAt: at, kind: "ok", completedAt: at + 0.5, answer };
}

const elected = (term: number, at: number): ElectionOperation =>
  ok(at, { type: "campaign", value: `c${term}` }, { type: "campaign", revision: at, term });
const deed =
  (type: "proclaim" | "write") =>
  (term: number, at: number, done = true): ElectionOperation =>
    ok(at, { type, term, value: `${type}${at}` }, { type, revision: at, done });
const proclaimed = deed("proclaim");
const wrote = deed("write");
const resigned = (term: number, at: number): ElectionOperation =>
  ok(at, { type: "resign", term }, { type: "resign", revision: at });

function seen(revision: number, term: number, value = `c${term}`, modRevision = term): Seen {
  return { revision, leader: { term, value, modRevision } };
}
const nobody = (revision: number): Seen => ({ revision, leader: undefined });

function look(one: Seen, at = one.revision): ElectionOperation {
  return ok(at, { type: "look" }, { type: "look", seen: [one] });
}
function observed(...all: readonly Seen[]): ElectionOperation {
  return ok(0, { type: "observe" }, { type: "observe", seen: all });
}
/** Nobody knows what became of it, or it certainly did not happen. */
function without(kind: "info" | "fail", request: ElectionRequest): ElectionOperation {
  return { process: 1, request, calledAt: 0, kind, completedAt: 1 };
}

/** The first line of each finding that is not valid. */
function said(...operations: readonly ElectionOperation[]): string {
  return checkElections(operations)
    .flatMap(({ lines }) => lines.slice(0, 1))
    .join("; ");
}

/** Two terms, 3 and 4, the second of whom came in line while the first led. */
const TWO = [
  elected(3, 3),
  proclaimed(3, 5),
  wrote(3, 6),
  resigned(3, 7),
  elected(4, 7),
  wrote(4, 9),
];

describe("what is right", () => {
  test.each<readonly [string, readonly ElectionOperation[]]>([
    ["two, one after the other", TWO],
    ["a write that was refused", [...TWO, wrote(3, 10, false)]],
    ["observed", [...TWO, observed(seen(4, 3), seen(5, 3, "proclaim5", 5), seen(8, 4))]],
    ["looked at", [...TWO, look(seen(6, 3, "proclaim5", 5)), look(seen(9, 4)), look(nobody(12))]],
    [
      "a candidate who gave up led for a while",
      [without("fail", { type: "campaign", value: "c4" }), look(seen(5, 4))],
    ],
    [
      "a proclamation that nobody knows of",
      [without("info", { type: "proclaim", term: 3, value: "p" }), look(seen(8, 3, "p", 8))],
    ],
  ])("%s", (_, operations) => {
    expect(said(...operations)).toBe("");
  });
});

describe("what is wrong", () => {
  const open = without("info", { type: "campaign", value: "c4" });
  test.each<readonly [string, readonly ElectionOperation[]]>([
    ["term 3 led at 10, and term 4 led at 9", [...TWO.slice(0, 3), ...TWO.slice(4), wrote(3, 10)]],
    ["term 3 led at 10, and term 4 led at 9", [elected(3, 3), elected(4, 9), proclaimed(3, 10)]],
    ["term 4 led at 6, and term 3 led at 6", [elected(3, 3), wrote(3, 6), elected(4, 6)]],
    ["term 3 led at 8, after it had ended at 7", [...TWO.slice(0, 4), wrote(3, 8)]],
    ["term 3 led at 6, and nobody led at 5", [elected(3, 3), look(nobody(5)), wrote(3, 6)]],
    ["nobody led at 6, and term 3 led at 6", [elected(3, 3), wrote(3, 6), look(nobody(6))]],
    ["term 4 led at 5, and nobody led at 5", [look(nobody(5)), open, look(seen(5, 4))]],
    [
      "c3 of term 3 at 6 was shown after proclaim5 of term 3 at 5",
      [...TWO, observed(seen(5, 3, "proclaim5", 5), seen(6, 3))],
    ],
    [
      "c4 of term 4 at 8 was shown after c4 of term 4 at 9",
      [...TWO, observed(seen(9, 4), seen(8, 4))],
    ],
    ["nobody proclaimed x", [...TWO, look(seen(9, 4, "x", 9))]],
    ["proclaim5 is of term 4, at 9", [...TWO, look(seen(9, 4, "proclaim5", 9))]],
    ["proclaim5 is of term 3, at 6", [...TWO, look(seen(6, 3, "proclaim5", 6))]],
    ["c4 is of term 5, at 5", [open, look(seen(4, 4)), look(seen(5, 5, "c4", 5))]],
    [
      "proclaim9 is of term 4, at 10",
      [proclaimed(4, 9, false), look(seen(10, 4, "proclaim9", 10))],
    ],
    [
      "p is of term 3, at 8",
      [without("fail", { type: "proclaim", term: 3, value: "p" }), look(seen(8, 3, "p", 8))],
    ],
    ["revision 6 was shown after 9", [...TWO, look(seen(6, 3, "proclaim5", 5), 20)]],
  ])("%s", (text, operations) => {
    expect(said(...operations)).toBe(text);
  });
});
