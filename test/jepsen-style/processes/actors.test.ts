/** The clients of a run end, also those that wait for what never comes. */
import { expect, test } from "vitest";
import { Actors } from "../../../jepsen-style/processes/actors.js";
import type { ClosableStore } from "../../../jepsen-style/processes/actors.js";
import { NotServed } from "../../../jepsen-style/workloads/history-log.js";
import { Witness } from "../../../jepsen-style/workloads/witness.js";
import type { Actor, Course } from "../../../jepsen-style/workloads/workload.js";
import { Prng } from "../../../src/base/prng.js";

const nowMs = (): number => performance.now();
const clock = { monotonicMs: nowMs, uptimeMs: nowMs, wallMs: nowMs };
const store = { close: () => Promise.resolve() } as unknown as ClosableStore;

async function startedWith(step: (actor: Actor) => Promise<void>): Promise<Actors> {
  const course: Course = { operations: [], step, judge: () => [] };
  const options = { count: 2, firstProcess: 0, ratePerSecond: 1000, endpoints: ["a"] };
  const connect = (): Promise<ClosableStore> => Promise.resolve(store);
  const surroundings = { connect, prng: new Prng(1), nowMs, witness: new Witness(clock) };
  const actors = new Actors({ ...options, ...surroundings }, course);
  await actors.open(1000);
  actors.start();
  return actors;
}

test("what is under way is waited for", async () => {
  let ended = 0;
  const actors = await startedWith(async (actor) => {
    while (actor.working()) await actor.pause(1);
    await actor.pause(30);
    ended++;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await actors.stop(10_000);
  expect(ended).toBe(2);
});

test("who waits for what never comes is given up, and said not to be served", async () => {
  const actors = await startedWith(async (actor) => {
    for (;;) await actor.pause(1);
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await expect(actors.stop(20)).rejects.toThrow(NotServed);
});
