/** Clocks and timers of a simulated program: drift that changes, sleep, wall clocks that stop. */
import { expect, test } from "vitest";
import { Prng } from "../../../src/base/prng.js";
import { SimProgram } from "../../../jepsen-style/sim/program.js";
import { World } from "../../../jepsen-style/sim/world.js";

function programIn(world: World, clockRate = 1): SimProgram {
  const owner = {
    halted: () => false,
    threw: (_program: SimProgram, error: unknown) => {
      throw error;
    },
  };
  return new SimProgram(world, owner, {
    name: "n1.1",
    machine: "n1",
    prng: new Prng(1),
    settings: { clockRate, wallOffsetMs: 0, timerDelayMsMax: 0, turnMsMax: 1 },
  });
}

test("a rate that changes leaves what has passed as it was", async () => {
  const world = new World();
  const program = programIn(world, 1.004);
  const startMs = program.clock.monotonicMs();
  await world.run(1000);
  program.drift(0.996);
  await world.run(2000);
  expect(program.clock.monotonicMs() - startMs).toBeCloseTo(2000, 6);
});

test("timers go by the program's clock, whatever its rate becomes", async () => {
  const world = new World();
  const program = programIn(world, 1.004);
  let ranAtMs = 0;
  const dueMs = program.clock.monotonicMs() + 1000;
  program.timers.after(1000, () => (ranAtMs = program.clock.monotonicMs()));
  program.drift(0.996);
  await world.run(2000);
  expect(ranAtMs).toBeCloseTo(dueMs, 6);
});

test("in a sleep only uptime goes on, and timers wait for the rest of their time", async () => {
  const world = new World();
  const program = programIn(world);
  const startMs = program.clock.monotonicMs();
  const uptimeMs = program.clock.uptimeMs();
  let ranAtMs = 0;
  program.timers.after(100, () => (ranAtMs = world.nowMs));
  const cancelled = program.timers.after(100, () => expect.unreachable());
  await world.run(60);
  program.sleep();
  await world.run(500);
  expect(program.clock.monotonicMs() - startMs).toBe(60);
  program.resume();
  await world.run(520);
  cancelled.cancel();
  expect(program.clock.monotonicMs() - startMs).toBeCloseTo(80, 6);
  expect(program.clock.uptimeMs() - uptimeMs).toBeGreaterThan(500);
  await world.run(1000);
  expect(ranAtMs).toBeCloseTo(540, 6);
});

test.each([
  [true, 100],
  [false, 0],
])("a wall clock that stood still: catches up %s", async (catchesUp, laterMs) => {
  const world = new World();
  const program = programIn(world);
  const wallMs = program.clock.wallMs();
  program.freezeWallClock();
  await world.run(100);
  expect(program.clock.wallMs()).toBe(wallMs);
  program.thawWallClock(catchesUp);
  expect(program.clock.wallMs()).toBe(wallMs + laterMs);
});
