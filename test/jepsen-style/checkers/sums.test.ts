/** Sets, banks, counters and revisions: what each must refuse, beside what it must not. */
import { describe, expect, test } from "vitest";
import { checkBank } from "../../../jepsen-style/checkers/bank.js";
import type { BankAnswer, BankRequest } from "../../../jepsen-style/checkers/bank.js";
import { checkCounter } from "../../../jepsen-style/checkers/counter.js";
import type { CounterAnswer, CounterRequest } from "../../../jepsen-style/checkers/counter.js";
import { checkFencing } from "../../../jepsen-style/checkers/fencing.js";
import type { LockAnswer, LockRequest } from "../../../jepsen-style/checkers/fencing.js";
import type { Finding } from "../../../jepsen-style/checkers/finding.js";
import { checkRevisions } from "../../../jepsen-style/checkers/registers-by-revision.js";
import { checkSets } from "../../../jepsen-style/checkers/sets.js";
import type { SetAnswer, SetRequest } from "../../../jepsen-style/checkers/sets.js";
import type { Operation } from "../../../jepsen-style/history.js";

type Times = readonly [number, number];

function ok<Request, Answer>(
  [calledAt, completedAt]: Times,
  request: Request,
  answer: Answer,
): Operation<Request, Answer> {
  return { process: calledAt, request, calledAt, completedAt, kind: "ok", answer };
}

function without<Request, Answer>(
  kind: "fail" | "info",
  [calledAt, completedAt]: Times,
  request: Request,
): Operation<Request, Answer> {
  return { process: calledAt, request, calledAt, completedAt, kind };
}

function said({ verdict, lines }: Finding): string {
  return lines[0] ?? verdict;
}

describe("sets", () => {
  const add = (element: number): SetRequest => ({ type: "add", set: 0, element });
  const added = (times: Times, element: number): Operation<SetRequest, SetAnswer> =>
    ok(times, add(element), { type: "add" });
  const read = (times: Times, ...elements: number[]): Operation<SetRequest, SetAnswer> =>
    ok(times, { type: "read", set: 0, level: "linearizable" }, { type: "read", elements });

  test("hold what was added before, and may hold what is being added", () => {
    const open = without<SetRequest, SetAnswer>("info", [0, 9], add(2));
    expect(said(checkSets([added([0, 1], 1), open, read([2, 3], 1), read([4, 5], 1, 2)]))).toBe(
      "valid",
    );
  });

  test("must not lose, invent, or bring back from a failure", () => {
    expect(said(checkSets([added([0, 1], 1), read([2, 3])]))).toMatch(/^1 was there.*: lost$/);
    expect(said(checkSets([added([0, 1], 1), read([2, 3]), read([4, 5], 1)]))).toMatch(/stale$/);
    expect(said(checkSets([read([2, 3], 7)]))).toBe("nobody added 7");
    const failed = without<SetRequest, SetAnswer>("fail", [0, 1], add(1));
    expect(said(checkSets([failed, read([2, 3], 1)]))).toBe("the add of 1 failed");
    expect(said(checkSets([read([2, 3], 1), added([5, 6], 1)]))).toMatch(/before it was added/);
  });

  test("must not lose what a read has shown, its add unknown or not", () => {
    const open = without<SetRequest, SetAnswer>("info", [0, 9], add(2));
    expect(said(checkSets([open, read([2, 3], 2), read([4, 5])]))).toMatch(/^2 was there/);
  });
});

describe("banks", () => {
  const open: BankRequest = { type: "open", total: 200 };
  const opened: Operation<BankRequest, BankAnswer> = ok([0, 1], open, { type: "open" });
  const read = (level: "linearizable" | "stale", ...balances: number[]) =>
    ok<BankRequest, BankAnswer>([2, 3], { type: "read", level }, { type: "read", balances });

  test("keep their sum, and show nothing before they were opened to stale readers only", () => {
    expect(said(checkBank([opened, read("linearizable", 150, 50), read("stale")]))).toBe("valid");
    expect(said(checkBank([opened, read("linearizable")]))).toMatch(/saw 0 of 200/);
    expect(said(checkBank([opened, read("stale", 150, 40)]))).toMatch(/saw 190 of 200/);
    expect(said(checkBank([opened, read("linearizable", 250, -50)]))).toMatch(/overdrawn/);
    expect(checkBank([read("linearizable", 1)]).verdict).toBe("unknown");
  });
});

describe("counters", () => {
  const increment: CounterRequest = { type: "increment", increment: 1 };
  const up = (times: Times, value: number): Operation<CounterRequest, CounterAnswer> =>
    ok(times, increment, { type: "increment", value });
  const read = (times: Times, value: number): Operation<CounterRequest, CounterAnswer> =>
    ok(times, { type: "read" }, { type: "read", value });

  test("go up by what was done, and by what may have been done", () => {
    const open = without<CounterRequest, CounterAnswer>("info", [2, 3], increment);
    expect(said(checkCounter([up([0, 1], 1), open, read([4, 5], 1)]))).toBe("valid");
    expect(said(checkCounter([up([0, 1], 1), open, read([4, 5], 2)]))).toBe("valid");
    expect(said(checkCounter([up([0, 1], 1), open, read([4, 5], 3)]))).toMatch(/is at 3/);
  });

  test("must not count twice, lose, or go back", () => {
    expect(said(checkCounter([up([0, 1], 1), read([2, 3], 2)]))).toMatch(
      /is at 2; 1 .* 1 possible/,
    );
    expect(said(checkCounter([up([0, 1], 1), up([0, 1], 1)]))).toBe("two are number 1");
    expect(said(checkCounter([up([0, 1], 5), read([2, 3], 4)]))).toBe("the counter went back");
    expect(said(checkCounter([up([0, 1], 2), up([2, 3], 1)]))).toBe("the counter went back");
  });
});

describe("revisions of a keyspace", () => {
  const answer = (times: Times, header: number, wrote: boolean) =>
    ok(times, { type: "any" }, { header, wrote });
  const check = (...operations: ReturnType<typeof answer>[]): string =>
    said(checkRevisions(operations, ({ wrote }) => wrote));

  test("grow in time, and may come in any order meanwhile", () => {
    expect(check(answer([0, 1], 5, true), answer([2, 3], 5, false))).toBe("valid");
    expect(check(answer([0, 9], 6, true), answer([0, 9], 5, true))).toBe("valid");
    expect(check(answer([0, 1], 5, true), answer([2, 3], 4, false))).toMatch(/^an answer shows/);
    expect(check(answer([0, 1], 5, false), answer([2, 3], 5, true))).toMatch(/^a write was given/);
    expect(check(answer([0, 9], 5, true), answer([0, 9], 5, true))).toMatch(/^two writes/);
  });
});

describe("a lock with fencing", () => {
  const acquire = (revision: number) =>
    ok<LockRequest, LockAnswer>(
      [revision, revision],
      { type: "acquire" },
      { type: "acquire", done: true, revision },
    );
  const write = (token: number, revision: number, done = true) =>
    ok<LockRequest, LockAnswer>(
      [revision, revision],
      { type: "write", token, value: revision },
      { type: "write", done, revision },
    );

  test("lets a holder write until the next one comes, and refuses it then", () => {
    const sound = [acquire(2), write(2, 3), acquire(5), write(2, 6, false), write(5, 7)];
    expect(said(checkFencing(sound))).toBe("valid");
    expect(said(checkFencing([acquire(2), acquire(5), write(2, 6)]))).toBe(
      "token 2 wrote at revision 6, after 5",
    );
    expect(said(checkFencing([acquire(2), acquire(2)]))).toBe("two have one revision");
  });
});
