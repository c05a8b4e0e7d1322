/** The deadline wheel: entries expire once, in time, by one timer. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { DeadlineWheel, NO_DEADLINE } from "../../src/rpc/deadline-wheel.js";
import type { DeadlineEntry } from "../../src/rpc/deadline-wheel.js";
import { FakeTimers } from "../support/fake-timers.js";

class Entry implements DeadlineEntry {
  deadlineTick: number = NO_DEADLINE;
  previousDeadline: DeadlineEntry | undefined = undefined;
  nextDeadline: DeadlineEntry | undefined = undefined;
  expiredAtMs = -1;
  readonly #time: FakeTimers;

  constructor(time: FakeTimers) {
    this.#time = time;
  }

  expired(): void {
    expect(this.expiredAtMs).toBe(-1);
    this.expiredAtMs = this.#time.monotonicMs();
  }
}

describe("the deadline wheel", () => {
  property.prop([
    fc.array(
      fc.record({
        wait: fc.integer({ min: 0, max: 300 }),
        delay: fc.integer({ min: 0, max: 12_000 }),
        removed: fc.boolean(),
      }),
      { maxLength: 30 },
    ),
  ])("expires each entry once, not early and at most two ticks late", (steps) => {
    const time = new FakeTimers();
    const wheel = new DeadlineWheel(time, time);
    const kept: { entry: Entry; dueMs: number }[] = [];
    for (const step of steps) {
      time.advance(step.wait);
      const entry = new Entry(time);
      wheel.add(entry, step.delay);
      if (step.removed) wheel.remove(entry);
      else kept.push({ entry, dueMs: time.monotonicMs() + step.delay });
    }
    time.advance(12_100);
    for (const { entry, dueMs } of kept) {
      expect(entry.expiredAtMs).toBeGreaterThanOrEqual(dueMs);
      expect(entry.expiredAtMs).toBeLessThanOrEqual(dueMs + 20);
    }
    expect(wheel.count).toBe(0);
  });

  test("has one timer for all entries and none without entries", () => {
    const time = new FakeTimers();
    const wheel = new DeadlineWheel(time, time);
    const entries = [1, 2, 3].map(() => new Entry(time));
    for (const entry of entries) wheel.add(entry, 1000);
    expect(time.waiting).toBe(1);
    for (const entry of entries) wheel.remove(entry);
    time.advance(20);
    expect(time.waiting).toBe(0);
  });
});
