/** Faults that aim do strike, and a product without a bug bears them. */
import { expect, test } from "vitest";
import { drawFaults } from "../../../jepsen-style/sim/faults.js";
import { DIRECTED_CLASSES, drawSettings, streamsOf } from "../../../jepsen-style/sim/settings.js";
import { simulate } from "../../../jepsen-style/sim/simulate.js";

test("each class that aims strikes", async () => {
  const drawn = drawSettings(4);
  const faults = Object.fromEntries(DIRECTED_CLASSES.map((name) => [name, 90]));
  const cluster = { ...drawn.cluster, nodes: 3 };
  const settings = { ...drawn, cluster, faults, durationMs: 4000 };
  const result = await simulate(settings, drawFaults(settings, streamsOf(4).faults));
  expect(result.failure).toBeUndefined();
  expect(result.elections).toBeGreaterThan(2);
  expect(Object.keys(result.faults).sort()).toEqual([...DIRECTED_CLASSES].sort());
}, 60_000);
