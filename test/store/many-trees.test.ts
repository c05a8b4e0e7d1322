/** Opening a store of many trees: in short steps, and never with fewer trees than it had. */
import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { testEnv } from "../support/test-env.js";
import { ALL, DIRECTORY } from "./store-bench.js";

const TREES = 3000;
const OPTIONS = { logOptions: { segmentSizeBytes: 1024 * 1024, batchSizeBytesMax: 256 * 1024 } };

async function storeOfMany(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { store } = await Store.open(testEnv({ disk, time: "real" }), DIRECTORY, OPTIONS);
  const added = Array.from({ length: TREES }, (_, at) => at + 1);
  store.createTrees(added.map((shardId) => ({ shardId, range: ALL, flushed: stateAt(0) })));
  await store.close();
  // Its manifest is written anew by the next.
  await opened(disk);
  return disk;
}

/** What an opening ends with: the log then prepares its next segment. */
const TURNS_MIN = 1;

/** Opens it where every look at the clock takes `stepMs`; how many turns it let pass. */
async function opened(disk: MemoryDisk, stepMs = 0): Promise<number> {
  const env = testEnv({ disk, time: "real" });
  let nowMs = 0;
  let turns = 0;
  const { store } = await Store.open(
    {
      ...env,
      clock: { ...env.clock, monotonicMs: () => (nowMs += stepMs) },
      timers: {
        after: (delayMs, run) => env.timers.after(delayMs, run),
        endOfTurn: (run) => {
          turns++;
          env.timers.endOfTurn(run);
        },
      },
    },
    DIRECTORY,
    OPTIONS,
  );
  const turnsOfStart = turns;
  expect([...store.trees()].length).toBe(TREES);
  await store.close();
  return turnsOfStart;
}

describe("a store of many trees", () => {
  test("lets turns of the event loop pass while it opens", async () => {
    const disk = await storeOfMany();
    expect(await opened(disk)).toBe(TURNS_MIN);
    expect(await opened(disk, 1)).toBeGreaterThan(TREES / 10);
  });

  test("is never opened with fewer of them, wherever both copies of its manifest rot", async () => {
    const disk = await storeOfMany();
    const name = disk.list(DIRECTORY).find((each) => /^manifest-\d+$/.test(each))!;
    const paths = ["", ".copy"].map((suffix) => `${DIRECTORY}/${name}${suffix}`);
    const content = disk.content(paths[0]!);
    const end = content.findLastIndex((byte) => byte !== 0);
    // From the end on: of the last record nothing is known but that what is before it is whole.
    for (const back of [200, 1000, 20_000, 100_000]) {
      for (const path of paths) disk.flipBit(path, 8 * (end - back));
      await expect(opened(disk)).rejects.toBeInstanceOf(CorruptionError);
      for (const path of paths) disk.flipBit(path, 8 * (end - back));
    }
    expect(await opened(disk)).toBe(TURNS_MIN);
  });
});
