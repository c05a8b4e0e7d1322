/** The order of what is planned. */
import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { EventQueue } from "../../../jepsen-style/sim/event-queue.js";

test.prop([fc.array(fc.integer({ min: 0, max: 9 }))])(
  "events come by time, and at one time in the order in which they were planned",
  (times) => {
    const queue = new EventQueue<{ readonly atMs: number; readonly order: number }>();
    const events = times.map((atMs, order) => ({ atMs, order }));
    for (const event of events) queue.push(event);
    const sorted = [...events].sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    expect(sorted.map(() => queue.pop())).toEqual(sorted);
    expect(queue.pop()).toBeUndefined();
  },
);
