/** Replicas that have left a node never come back, whatever is lost in a crash. */
import { expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { Tombstones } from "../../src/node/tombstones.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

test("a tombstone holds for its replica and those before it, over a crash", () => {
  const disk = new MemoryDisk();
  disk.makeDirectory("/data");
  const tombstones = new Tombstones(disk, "/data");
  expect(tombstones.has(2, 1)).toBe(false);
  tombstones.add(2, 9);
  tombstones.add(2, 3);
  tombstones.add(5, 1);
  const after = new Tombstones(disk.crash(new Prng(1), "loseAll"), "/data");
  expect([3, 9, 10].map((id) => after.has(2, id))).toEqual([true, true, false]);
  expect([1, 2].map((id) => after.has(5, id))).toEqual([true, false]);
  expect(after.has(6, 1)).toBe(false);
});
