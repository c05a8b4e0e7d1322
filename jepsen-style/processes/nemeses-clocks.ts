/** Faults of the nodes' clocks, by way of their preload. */
import type { Prng } from "../../src/base/prng.js";
import type { Nemesis } from "./nemesis.js";
import { shuffled } from "./nemesis.js";
import { NO_SKEW } from "./orders.js";
import type { ClockSkew } from "./orders.js";

/** Leases allow for two clocks that differ by 1 % in rate. */
const RATES = [0.996, 0.998, 1.002, 1.004] as const;

function skewing(
  name: string,
  about: string,
  skewOf: (prng: Prng) => readonly [Partial<ClockSkew>, string],
): Nemesis {
  return {
    name,
    about,
    holdMs: [1000, 8000],
    strike: ({ cluster, prng }) => {
      const names = shuffled(cluster.names, prng).slice(0, prng.between(1, cluster.names.length));
      const [skew, text] = skewOf(prng);
      for (const each of names) cluster.node(each).setClocks({ ...NO_SKEW, ...skew });
      const heal = (): void => {
        for (const each of names) if (cluster.names.includes(each)) cluster.node(each).setClocks();
      };
      return { text: `${name} ${text} ${names.join(" ")}`, heal };
    },
  };
}

export const CLOCK_NEMESES: readonly Nemesis[] = [
  skewing("clock", "wall time jumps by up to 5 minutes, strobes or stands still", (prng) => {
    const wallMs = prng.between(-288_000, 288_000);
    if (prng.chance(0.3)) return [{ frozen: true }, "frozen"];
    if (prng.chance(0.4))
      return [{ wallMs, strobeMs: prng.between(1, 500) }, `strobe ${wallMs} ms`];
    return [{ wallMs }, `${wallMs} ms`];
  }),
  skewing("drift", "monotonic clocks at different rates, within what leases allow for", (prng) => {
    const rate = RATES[prng.between(0, RATES.length - 1)]!;
    return [{ rate }, `rate ${rate}`];
  }),
  skewing("sleep", "machines sleep, and their monotonic clocks with them", (prng) => {
    const sleepMs = prng.between(50, 5000);
    return [{ sleepMs }, `${sleepMs} ms`];
  }),
];
