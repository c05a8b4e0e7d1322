/** Who is not served in time after healing is named; a run that ends is not waited for. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { servedAgain } from "../../../jepsen-style/processes/traffic.js";
import type { NamedCourse } from "../../../jepsen-style/processes/traffic.js";
import type { Recorded } from "../../../jepsen-style/workloads/history-log.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Serves one every `everyMs` from now on. */
function course(name: string, everyMs: number): NamedCourse {
  const operations: Recorded[] = [];
  setInterval(() => {
    const [calledAt, request] = [Date.now(), { type: "put" }];
    operations.push({
      process: 1,
      request,
      calledAt,
      kind: "ok",
      completedAt: calledAt,
      answer: 1,
    });
  }, everyMs);
  return { name, course: { operations, step: () => Promise.resolve(), judge: () => [] } };
}

const nowMs = (): number => Date.now();

test("served in time, however slowly, is no fault", async () => {
  const waiting = servedAgain([course("a", 100), course("b", 5000)], {
    nowMs,
    isOver: () => false,
  });
  await vi.advanceTimersByTimeAsync(70_000);
  expect(await waiting).toBeUndefined();
});

test("one that is not served is named", async () => {
  const waiting = servedAgain([course("a", 100), course("b", 7000)], {
    nowMs,
    isOver: () => false,
  });
  await vi.advanceTimersByTimeAsync(70_000);
  expect((await waiting)?.lines[0]).toMatch(/^b: served less than 10 times 60 s after/);
});

test("at the end of a run nobody waits", async () => {
  let isOver = false;
  const waiting = servedAgain([course("a", 7000)], { nowMs, isOver: () => isOver });
  await vi.advanceTimersByTimeAsync(1000);
  isOver = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect(await waiting).toBeUndefined();
});
