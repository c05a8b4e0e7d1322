/** Attempts one after the other, of which a silent one does not hold up the next. */
import { expect, test } from "vitest";
import { staggered } from "../../src/client/staggered.js";
import { FakeTimers } from "../support/fake-timers.js";

const PAUSE_MS = 100;

interface Attempt {
  readonly begin: () => Promise<number>;
  readonly succeed: (result: number) => void;
  readonly fail: (error: Error) => void;
}

/** Attempts that end as the test says; `begun` has the numbers of those that have begun. */
function attempts(count: number): { readonly all: readonly Attempt[]; readonly begun: number[] } {
  const begun: number[] = [];
  const all = Array.from({ length: count }, (_, i): Attempt => {
    let succeed: (result: number) => void = () => undefined;
    let fail: (error: Error) => void = () => undefined;
    const ended = new Promise<number>((resolve, reject) => {
      succeed = resolve;
      fail = reject;
    });
    const begin = (): Promise<number> => {
      begun.push(i);
      return ended;
    };
    return { begin, succeed, fail };
  });
  return { all, begun };
}

/** Three of them under way. */
function started(): {
  readonly time: FakeTimers;
  readonly all: readonly Attempt[];
  readonly begun: readonly number[];
  readonly result: Promise<number>;
} {
  const time = new FakeTimers();
  const { all, begun } = attempts(3);
  const begins = all.map(({ begin }) => begin);
  return { time, all, begun, result: staggered(time, PAUSE_MS, begins) };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("the next one begins when one has failed, and the first success counts", async () => {
  const { all, begun, result } = started();
  all[0]!.fail(new Error("down"));
  await settle();
  expect(begun).toEqual([0, 1]);
  all[1]!.succeed(7);
  expect(await result).toBe(7);
  expect(begun).toEqual([0, 1]);
});

test("one that is silent is not waited for, but heard", async () => {
  const { time, all, begun, result } = started();
  time.advance(PAUSE_MS - 1);
  expect(begun).toEqual([0]);
  time.advance(1);
  expect(begun).toEqual([0, 1]);
  all[0]!.succeed(5);
  expect(await result).toBe(5);
  time.advance(10 * PAUSE_MS);
  expect(begun).toEqual([0, 1]);
});

test("one that fails after the next has begun begins no third", async () => {
  const { time, all, begun, result } = started();
  time.advance(PAUSE_MS);
  all[0]!.fail(new Error("late"));
  await settle();
  expect(begun).toEqual([0, 1]);
  all[1]!.fail(new Error("down"));
  await settle();
  all[2]!.fail(new Error("the last"));
  await expect(result).rejects.toThrow("the last");
  expect(begun).toEqual([0, 1, 2]);
});
