/** Every rule for what reads at revisions and watches show can be broken, and that is told. */
import { expect, test } from "vitest";
import type { History, Operation } from "../../../jepsen-style/sim/load.js";
import { checkObservations } from "../../../jepsen-style/sim/observations.js";

const at = { client: 1, keyspace: "d", key: "a", callMs: 0, returnMs: 1, outcome: "ok" } as const;

function put(revision: number, more: Partial<Operation> = {}): Operation {
  return { ...at, kind: "put", value: `v${revision}`, revision, ...more } as Operation;
}

function get(value: string | undefined, modRevision: number, revision: number): Operation {
  return { ...at, kind: "get", level: "stale", value, modRevision, version: 1, revision };
}

const WRITES: readonly Operation[] = [
  put(2),
  put(4),
  { ...at, kind: "delete", deleted: 1, revision: 6 },
];

function verdict(history: Partial<History>): string | undefined {
  return checkObservations({
    operations: [...WRITES],
    ranges: [],
    watches: [],
    leases: [],
    ...history,
  });
}

function reading(read: Operation): string | undefined {
  return verdict({ operations: [...WRITES, read] });
}

test("what a holder of leases saw is judged as it says", () => {
  expect(verdict({ leases: [{ fault: undefined, completed: 3 }] })).toBeUndefined();
  const fault = "lease/c1/1 is gone before its time";
  expect(
    verdict({
      leases: [
        { fault: undefined, completed: 3 },
        { fault, completed: 0 },
      ],
    }),
  ).toBe(fault);
});

test("a read shows the newest write at its revision", () => {
  expect(reading(get("v2", 2, 3))).toBeUndefined();
  expect(reading(get("v4", 4, 5))).toBeUndefined();
  expect(reading(get(undefined, 0, 7))).toBeUndefined();
});

test.each([
  ["an older write", get("v2", 2, 5), "4 changed it"],
  ["a deleted key", get("v4", 4, 7), "6 changed it"],
  ["nothing where something is", get(undefined, 0, 3), "lacks"],
  ["a write of the future", get("v4", 4, 3), "shows"],
  ["a value that nobody wrote", get("x", 5, 5), "nobody wrote"],
  ["a wrong revision", get("v4", 5, 5), "was written at 4"],
])("a read that shows %s is told", (_what, read, text) => {
  expect(reading(read)).toContain(text);
});

test("a write that was said not to have happened must not be seen", () => {
  const failed = put(0, { outcome: "fail", value: "no" } as Partial<Operation>);
  const operations = [...WRITES, failed, get("no", 8, 9)];
  expect(verdict({ operations })).toContain("not to have happened");
});

test("a range that begins after an answer shows at least that revision", () => {
  const rows = [{ key: "a", value: "v2", mod: 2 }];
  const range = { keyspace: "d", level: "linearizable", callMs: 5, revision: 3, rows } as const;
  expect(verdict({ ranges: [range] })).toContain("had been answered");
  expect(verdict({ ranges: [{ ...range, level: "stale" }] })).toBeUndefined();
});

test("a watch shows every change once", () => {
  const events = [
    { revision: 2, key: "a", value: "v2" },
    { revision: 4, key: "a", value: "v4" },
    { revision: 6, key: "a", value: undefined },
  ];
  const watch = { keyspace: "d", startRevision: 1, events, shownTo: 6, fault: undefined };
  expect(verdict({ watches: [watch] })).toBeUndefined();
  const missing = { ...watch, events: events.slice(1) };
  expect(verdict({ watches: [missing] })).toContain("d/a@2 is missing");
  const twice = { ...watch, events: [...events, events[0]!] };
  expect(verdict({ watches: [twice] })).toContain("came twice");
  const other = { ...watch, events: [{ ...events[0]!, value: "v4" }, ...events.slice(1)] };
  expect(verdict({ watches: [other] })).toContain("another value");
  expect(verdict({ watches: [{ ...watch, fault: "revision 1 came after 2" }] })).toContain("after");
});
