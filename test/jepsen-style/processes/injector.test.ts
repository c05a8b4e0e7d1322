/** Faults take turns: all have theirs, few at once, and in between everybody is served. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Prng } from "../../../src/base/prng.js";
import type { Cluster } from "../../../jepsen-style/processes/cluster.js";
import { Injector } from "../../../jepsen-style/processes/injector.js";
import type { LeaderWatch } from "../../../jepsen-style/processes/leader-watch.js";
import type { Nemesis } from "../../../jepsen-style/processes/nemesis.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const COUNT = 7;

test("each nemesis has its turn, three at once at most, and nothing strikes while all recover", async () => {
  let present = 0;
  let most = 0;
  let recovering = false;
  const struck = new Map<string, number>();
  const nemeses = Array.from({ length: COUNT }, (_, at): Nemesis => {
    const name = `fault${at}`;
    return {
      name,
      about: "",
      holdMs: [500, 4000],
      strike: () => {
        expect(recovering).toBe(false);
        struck.set(name, (struck.get(name) ?? 0) + 1);
        most = Math.max(most, ++present);
        return { text: name, heal: () => `healed, ${--present} left` };
      },
    };
  });
  const heals = vi.fn<() => void>();
  const cluster = { names: [], nodes: [], links: { heal: heals } } as unknown as Cluster;
  const leaders = { leader: undefined } as unknown as LeaderWatch;
  let recoveries = 0;
  const injector = new Injector(
    { cluster, leaders, damaged: "n1", blame: expect.unreachable },
    {
      nemeses,
      prng: new Prng(3),
      nowMs: () => Date.now(),
      recovered: async () => {
        expect(present).toBe(0);
        recoveries++;
        recovering = true;
        await new Promise((resolve) => setTimeout(resolve, 20_000));
        recovering = false;
      },
    },
  );
  injector.start();
  // Three turns are enough for seven, each of 12 s at most and a hold, and 20 s of recovery.
  await vi.advanceTimersByTimeAsync(3 * (12_000 + 4000 + 20_000));
  const stopped = injector.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  await stopped;
  expect(struck.size).toBe(COUNT);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(3);
  expect(recoveries).toBeGreaterThanOrEqual(3);
  expect(heals).toHaveBeenCalledTimes(recoveries + 1);
  expect(injector.present).toEqual([]);
  for (const { text } of injector.spans) expect(text).toMatch(/^fault\d: healed, \d left$/);
});
