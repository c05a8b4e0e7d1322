/** Which nodes the placement leader takes for alive, and which for fit to lead. */
import { expect, test } from "vitest";
import { ALIVE_MS, HealthBook, PROBATION_MS } from "../../src/node/cluster-health.js";
import type { NodeHeartbeat } from "../../src/node/placement-messages.js";
import { FakeTimers } from "../support/fake-timers.js";

function beat(nodeId: number, disk: Partial<NodeHeartbeat> = {}): NodeHeartbeat {
  const node = {
    nodeId,
    name: `n${nodeId}`,
    clientAddress: "",
    peerAddress: "",
    incarnation: "",
    labels: {},
  };
  return {
    node,
    run: 1,
    mapVersion: 1,
    full: false,
    stalled: false,
    leads: [],
    reports: [],
    ...disk,
  };
}

test("a node with a full disk is alive and not fit, until it has room", () => {
  const book = new HealthBook(new FakeTimers());
  book.heard(beat(1));
  book.heard(beat(2, { full: true }));
  expect(book.now()).toMatchObject({ alive: new Set([1, 2]), fit: new Set([1]) });
  book.heard(beat(2));
  expect(book.now().fit).toEqual(new Set([1, 2]));
});

test("a node whose disk stalled is not fit for a while after", () => {
  const time = new FakeTimers();
  const book = new HealthBook(time);
  book.heard(beat(1, { stalled: true }));
  expect(book.now()).toMatchObject({ alive: new Set([1]), fit: new Set() });
  time.advance(PROBATION_MS - 1);
  book.heard(beat(1));
  expect(book.now().fit).toEqual(new Set());
  time.advance(1);
  expect(book.now().fit).toEqual(new Set([1]));
  time.advance(ALIVE_MS);
  expect(book.now().alive).toEqual(new Set());
});
