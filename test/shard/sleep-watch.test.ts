/** By which sleeps the watch is woken, with an uptime clock that is read in steps. */
import { expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { UPTIME_STEP_MS } from "../../src/env/clock.js";
import type { Clock } from "../../src/env/clock.js";
import { SleepWatch, UNNOTICED_SLEEP_MS } from "../../src/shard/sleep-watch.js";

/** Looks take as long as the test says. */
class TestClock implements Clock {
  #monotonicMs = 17.3;
  #leadMs = 4711.9;
  readMs = 0;

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  uptimeMs(): number {
    const uptimeMs = this.#monotonicMs + this.#leadMs;
    this.#monotonicMs += this.readMs;
    return uptimeMs - (uptimeMs % UPTIME_STEP_MS);
  }

  wallMs(): number {
    throw new Error("no guarantee rests on the wall clock");
  }

  pass(ms: number): void {
    this.#monotonicMs += ms;
  }

  sleep(ms: number): void {
    this.#leadMs += ms;
  }
}

test("while the machine is awake nothing is noticed, whenever it looks", () => {
  const clock = new TestClock();
  const watch = new SleepWatch(clock);
  const prng = new Prng(1);
  for (let i = 0; i < 1000; i++) {
    clock.readMs = 2 * prng.fraction();
    clock.pass(30 * prng.fraction());
    expect(watch.mayHaveSlept).toBe(false);
    expect(watch.look()).toBe(false);
  }
});

test("a sleep is noticed once; asking does not change that", () => {
  const clock = new TestClock();
  const watch = new SleepWatch(clock);
  clock.sleep(1000);
  expect(watch.mayHaveSlept).toBe(true);
  expect(watch.mayHaveSlept).toBe(true);
  expect(watch.look()).toBe(true);
  expect(watch.mayHaveSlept).toBe(false);
  clock.pass(500);
  expect(watch.look()).toBe(false);
});

test("sleeps go unnoticed only while they are together no longer than it says", () => {
  const prng = new Prng(2);
  let longestMs = 0;
  for (let i = 0; i < 300; i++) {
    const clock = new TestClock();
    clock.pass(10 * prng.fraction());
    clock.readMs = 2 * prng.fraction();
    const watch = new SleepWatch(clock);
    for (let sleptMs = 0; ;) {
      clock.readMs = 2 * prng.fraction();
      clock.pass(20 * prng.fraction());
      if (watch.look()) break;
      longestMs = Math.max(longestMs, sleptMs);
      const ms = 3 * prng.fraction();
      clock.sleep(ms);
      sleptMs += ms;
    }
  }
  expect(longestMs).toBeLessThanOrEqual(UNNOTICED_SLEEP_MS);
  expect(longestMs).toBeGreaterThan(UNNOTICED_SLEEP_MS / 2);
});

test("a look that took too long proves nothing, nor spoils what is known", () => {
  const clock = new TestClock();
  const watch = new SleepWatch(clock);
  clock.readMs = 50;
  expect(watch.look()).toBe(true);
  clock.readMs = 0;
  expect(watch.look()).toBe(false);
  clock.readMs = 50;
  const late = new SleepWatch(clock);
  clock.readMs = 0;
  expect(late.look()).toBe(true);
  expect(late.look()).toBe(false);
});
