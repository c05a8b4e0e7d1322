/** The simulator itself: the same seed is the same run, and what is wrong is found and told. */
import { expect, test } from "vitest";
import { drawFaults } from "../../../jepsen-style/sim/faults.js";
import { drawSettings, streamsOf } from "../../../jepsen-style/sim/settings.js";
import type { Settings } from "../../../jepsen-style/sim/settings.js";
import { simulate } from "../../../jepsen-style/sim/simulate.js";
import type { Machine } from "../../../jepsen-style/sim/cluster.js";
import type { SimNetwork } from "../../../jepsen-style/sim/network.js";
import type { RunResult } from "../../../jepsen-style/sim/simulate.js";

const FIRST_LEFT_OUTSIDE = 29;
/** A leader sleeps; a follower acknowledges, loses that to rot and ends; the leader wakes. */
const HEARD_LATE = 220006482;

function run(settings: Settings): Promise<RunResult> {
  return simulate(settings, drawFaults(settings, streamsOf(settings.seed).faults));
}

/** A run that is over soon. */
function short(seed: number): Settings {
  return { ...drawSettings(seed), durationMs: 3000 };
}

test("one seed is one run, event for event; another seed is another", async () => {
  const first = await run(short(11));
  const again = await run(short(11));
  expect(first.failure).toBeUndefined();
  expect(again).toEqual(first);
  expect((await run(short(12))).digest).not.toBe(first.digest);
}, 60_000);

test("faults strike, clients are served, and the healed majority converges", async () => {
  let struck = 0;
  for (const seed of [3, 4, 5]) {
    const result = await run(short(seed));
    expect(result.failure).toBeUndefined();
    expect(result.acknowledged).toBeGreaterThan(20);
    expect(result.commits).toBeGreaterThan(10);
    expect(result.elections).toBeGreaterThan(0);
    for (const count of Object.values(result.faults)) struck += count;
  }
  expect(struck).toBeGreaterThan(0);
}, 60_000);

test("an entry is held by who acknowledged it, also where it has rotted there since", async () => {
  expect((await run(drawSettings(HEARD_LATE))).failure).toBeUndefined();
}, 60_000);

test("a majority that stays cut off is told as a cluster that does not converge", async () => {
  const settings = { ...short(4), faults: {} };
  const { nodes } = settings.cluster;
  expect(nodes).toBe(3);
  const clients = Array.from({ length: settings.load.clients }, (_, i) => `c${i + 1}`);
  const result = await simulate(settings, [], {
    // Nothing in a list of faults lasts for ever; the roads of the clients are cut by hand.
    network: (network) => {
      for (const client of clients) {
        for (let i = 1; i <= nodes; i++) network.block(client, `n${i}`);
      }
    },
    keepBlocked: true,
  });
  expect(result.failure).toMatch(/is not served/);
}, 60_000);

test("a node that never heard of the founding, left outside, keeps no client from the others", async () => {
  // The node that clients know first is left outside at the end.
  const settings = { ...short(FIRST_LEFT_OUTSIDE), durationMs: 2000 };
  let machines: readonly Machine[] = [];
  let roads: SimNetwork | undefined;
  const knows = ({ node }: Machine): number =>
    (node?.core.view.map.nodes ?? []).filter(({ incarnation }) => incarnation !== "").length;
  let healed = "";
  const result = await simulate(settings, [], {
    cluster: (all) => (machines = all),
    network: (network) => (roads = network),
    line: (_atMs, who, what) => {
      if (who === "end") healed = what;
      const [first, ...others] = machines;
      // It is registered, and the last of the founders: what follows happens without it.
      if (roads === undefined || !others.some((each) => knows(each) === machines.length)) return;
      for (const { name } of others) {
        roads.block("n1", name);
        roads.block(name, "n1");
      }
      expect(first?.node?.core.view.map.keyspaces).toEqual([]);
      roads = undefined;
    },
  });
  expect(result.failure).toBeUndefined();
  expect(healed).toBe("healed: n2 n3");
  expect(machines[0]?.node?.core.view.map.keyspaces).toEqual([]);
}, 60_000);
