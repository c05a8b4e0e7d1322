/** Transactions near the limits: seen whole or not at all, and refused beyond, by name. */
import { describe, expect, test } from "vitest";
import { checkGroups } from "../../../jepsen-style/checkers/whole-groups.js";
import type {
  Beyond,
  GroupOperation,
  GroupPart,
  GroupWrite,
} from "../../../jepsen-style/checkers/whole-groups.js";

const KEYS = 128;
const BYTES = 4096;

function asked(number: number, more: Partial<GroupWrite> = {}): GroupWrite {
  const size = { operations: KEYS, bytes: BYTES };
  return {
    type: "write",
    group: 0,
    number,
    beyond: "none",
    ...size,
    onRevision: undefined,
    ...more,
  };
}

/** Each is called at the time of its revision, and answered one later. */
function wrote(
  number: number,
  revision: number,
  more: Partial<GroupWrite> & { readonly done?: boolean } = {},
): GroupOperation {
  const { done = true, ...rest } = more;
  const answer = { type: "write", done, revision } as const;
  const [calledAt, completedAt] = [revision, revision + 1];
  return { process: 1, request: asked(number, rest), calledAt, kind: "ok", completedAt, answer };
}

function failed(number: number, kind: "fail" | "info", error: string, beyond: Beyond = "none") {
  const request = asked(number, { beyond });
  return { process: 1, request, calledAt: 1, kind, completedAt: 2, error };
}

function part(number: number, modRevision: number, more: Partial<GroupPart> = {}): GroupPart {
  return { number, modRevision, keys: KEYS, bytes: BYTES, ...more };
}

function read(
  revision: number,
  parts: readonly GroupPart[],
  { at = 50, past = false, group = 0 } = {},
): GroupOperation {
  const asking = past ? revision : 0;
  const request = { type: "read", group, revision: asking, how: "range" } as const;
  const answer = { type: "read", revision, parts } as const;
  return { process: 2, request, calledAt: at, kind: "ok", completedAt: at + 1, answer };
}

/** The first line of each finding that is not valid. */
function said(...operations: readonly GroupOperation[]): string {
  return checkGroups(operations)
    .flatMap(({ lines }) => lines.slice(0, 1))
    .join("; ");
}

const OPEN = failed(3, "info", "timeout");

describe("what is right", () => {
  test.each<readonly [string, readonly GroupOperation[]]>([
    ["the newest, and the past", [wrote(1, 5), wrote(2, 9), read(9, [part(2, 9)])]],
    ["an older revision", [wrote(1, 5), wrote(2, 9), read(8, [part(1, 5)], { past: true })]],
    ["nothing before the first", [wrote(1, 5), read(4, [], { past: true })]],
    ["one that nobody knows of, there or not", [OPEN, read(4, [part(3, 4)]), read(3, [])]],
    ["a condition that held", [wrote(1, 5), wrote(2, 9, { onRevision: 5 })]],
    ["one that did not", [wrote(1, 5), wrote(2, 9, { done: false }), read(9, [part(1, 5)])]],
    ["other groups meanwhile", [wrote(1, 5), wrote(2, 9, { group: 1 }), read(9, [part(1, 5)])]],
    ["refused", [failed(1, "fail", "tooManyOperations", "tooManyOperations"), read(1, [])]],
    ["refused for another reason", [failed(1, "fail", "unavailable", "requestTooLarge")]],
    ["not heard of", [failed(1, "info", "timeout", "requestTooLarge")]],
  ])("%s", (_, operations) => {
    expect(said(...operations)).toBe("");
  });
});

describe("what is wrong", () => {
  const two = [wrote(1, 5), wrote(2, 9)];
  test.each<readonly [string, readonly GroupOperation[]]>([
    ["parts of 2 transactions were seen at once", [...two, read(9, [part(1, 5), part(2, 9)])]],
    ["a part of 2 was seen", [...two, read(9, [part(2, 9, { keys: KEYS - 1 })])]],
    ["a part of 2 was seen", [...two, read(9, [part(2, 9, { bytes: BYTES - 1 })])]],
    ["a part of 3 was seen", [OPEN, read(9, [part(3, 9, { keys: 1 })])]],
    ["revision 9 lacks what was written at 9", [...two, read(9, [part(1, 5)])]],
    ["revision 6 lacks what was written at 5", [...two, read(6, [], { past: true })]],
    ["revision 8 shows what came at 9", [wrote(1, 5), OPEN, read(8, [part(3, 9)], { past: true })]],
    ["revision 5 was shown after 9", [...two, read(5, [part(1, 5)])]],
    ["2 is of revision 10 and of 9", [...two, read(10, [part(2, 10)])]],
    ["3 is of revision 8 and of 7", [OPEN, read(7, [part(3, 7)]), read(8, [part(3, 8)])]],
    ["nobody wrote 7", [read(9, [part(7, 9)])]],
    ["2 was written to another group", [...two, read(9, [part(2, 9)], { group: 1 })]],
    ["1 was said not to be written", [failed(1, "fail", "noSpace"), read(9, [part(1, 9)])]],
    ["1 was said not to be written", [wrote(1, 5, { done: false }), read(9, [part(1, 5)])]],
    ["the group had changed at 9, after 5", [...two, wrote(4, 12, { onRevision: 5 })]],
    ["a transaction within the limits was refused", [failed(1, "fail", "requestTooLarge")]],
    ["a transaction beyond a limit was taken", [wrote(1, 5, { beyond: "tooManyOperations" })]],
    ["another limit was named", [failed(1, "fail", "requestTooLarge", "tooManyOperations")]],
    [
      "a refusal does not say that nothing was done",
      [failed(1, "info", "requestTooLarge", "requestTooLarge")],
    ],
  ])("%s", (text, operations) => {
    expect(said(...operations)).toBe(text);
  });
});
