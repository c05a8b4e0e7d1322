/** Faults that aim do strike, and a product without a bug bears them. */
import { expect, test } from "vitest";
import type { Machine } from "../../../jepsen-style/sim/cluster.js";
import { drawFaults } from "../../../jepsen-style/sim/faults.js";
import { DIRECTED_CLASSES, drawSettings, streamsOf } from "../../../jepsen-style/sim/settings.js";
import { simulate } from "../../../jepsen-style/sim/simulate.js";
import { PLACEMENT_SHARD_ID } from "../../../src/protocol/cluster.js";

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

test("two nodes take themselves for the sequencer, and no client notices", async () => {
  const drawn = drawSettings(5);
  const cluster = { ...drawn.cluster, nodes: 3 };
  const load = { ...drawn.load, clients: 2, watchers: 0 };
  const faults = { twoSequencers: 60 };
  const settings = { ...drawn, cluster, load, faults, durationMs: 3000 };
  let machines: readonly Machine[] = [];
  const terms = new Set<number>();
  const result = await simulate(settings, drawFaults(settings, streamsOf(5).faults), {
    cluster: (all) => {
      machines = all;
    },
    line: () => {
      const placement = machines.map(({ node }) => node?.core.host.replica(PLACEMENT_SHARD_ID));
      const leaders = placement.filter((replica) => replica?.leads === true);
      if (leaders.length > 1) for (const leader of leaders) terms.add(leader?.raft.term ?? 0);
    },
  });
  expect(result.failure).toBeUndefined();
  expect(terms.size).toBeGreaterThan(1);
}, 60_000);
