/** What is merged in a tree with levels; keys are letters, sizes are told in MiB. */
import { describe, expect, test } from "vitest";
import { keyAfter, utf8 } from "../../src/base/bytes.js";
import { LEVEL_BASE, LEVEL_BOTTOM } from "../../src/lsm/level.js";
import { pickMerge } from "../../src/lsm/level-picker.js";
import type { LevelOptions } from "../../src/lsm/level-picker.js";
import type { Slice } from "../../src/lsm/slice.js";

const MIB = 1024 * 1024;
const OPTIONS: LevelOptions = {
  style: "auto",
  fanIn: 4,
  runsMax: 12,
  similarBytes: 64 * 1024,
  leveledFromBytes: 64 * MIB,
  levelBaseBytes: 32 * MIB,
  levelFanOut: 8,
};
const BOTTOM = LEVEL_BASE + LEVEL_BOTTOM;

let fileNumber = 0;

/** A slice with keys from the first letter to the last: `keys` is "af" for a to f. */
function slice(level: number, keys: string, sizeMib: number, changes: Partial<Slice> = {}): Slice {
  const range = { start: utf8(keys[0]!), end: keyAfter(utf8(keys.at(-1)!)) };
  fileNumber++;
  return {
    fileNumber,
    family: 0,
    level,
    range,
    filterRange: range,
    minVersion: fileNumber,
    maxVersion: fileNumber,
    entryCount: 100,
    keyCount: 100,
    tombstoneCount: 0,
    sizeBytes: sizeMib * MIB,
    ...changes,
  };
}

function pick(slices: readonly Slice[], horizon = 0, isQuiet = true): ReturnType<typeof pickMerge> {
  return pickMerge(slices, { policy: "mvcc", horizon, isQuiet }, OPTIONS);
}

describe("level picker", () => {
  test("a small tree has tiers only", () => {
    const tiers = [slice(0, "az", 1), slice(0, "az", 1), slice(0, "az", 1), slice(0, "az", 1)];
    expect(pick(tiers)).toMatchObject({ level: 1, isBottom: true, isMove: false });
    expect(pick(tiers.slice(1))).toBeUndefined();
  });

  test("a tree that has grown goes into the bottom level", () => {
    const tiers = [slice(2, "az", 60), slice(0, "az", 10)];
    const merge = pick(tiers)!;
    expect(new Set(merge.inputs)).toEqual(new Set(tiers));
    expect(merge).toMatchObject({ level: BOTTOM, isBottom: true, isMove: false });
  });

  test("tiers go down with all that lies between their first and last key", () => {
    const [left, between, right] = [
      slice(BOTTOM, "ac", 9),
      slice(BOTTOM, "hk", 9),
      slice(BOTTOM, "xz", 9),
    ];
    const tiers = [slice(0, "be", 20), slice(0, "pr", 20)];
    const merge = pick([...tiers, left, between, right])!;
    expect(new Set(merge.inputs)).toEqual(new Set([...tiers, left, between]));
  });

  test("a table that overlaps nothing is moved", () => {
    const only = slice(0, "mn", 40);
    const merge = pick([only, slice(BOTTOM, "ac", 40)])!;
    expect(merge).toEqual({ inputs: [only], level: BOTTOM, isBottom: true, isMove: true });
  });

  test("keys that come in their order are not merged, in a small tree or a large one", () => {
    const tiers = [slice(0, "ac", 15), slice(0, "de", 15), slice(0, "fg", 15), slice(0, "hi", 15)];
    const [oldest] = tiers;
    expect(pick(tiers)).toMatchObject({ inputs: [oldest], level: BOTTOM, isMove: true });
    expect(pick(tiers.slice(1))).toBeUndefined();
    expect(pick([slice(BOTTOM, "AZ", 90), ...tiers])).toMatchObject({ inputs: [oldest] });
    const tiered: LevelOptions = { ...OPTIONS, style: "tiered" };
    const collecting = { policy: "mvcc", horizon: 0, isQuiet: true } as const;
    expect(pickMerge(tiers, collecting, tiered)!.inputs).toHaveLength(4);
  });

  test("the oldest tier goes down alone only where it overlaps nothing and is no crumb", () => {
    const newer = [slice(0, "kl", 15), slice(0, "mn", 15), slice(0, "op", 15)];
    const oldest = (keys: string, sizeMib: number): Slice =>
      slice(0, keys, sizeMib, { maxVersion: 0 });
    expect(pick([...newer, oldest("az", 15)])!.inputs).toHaveLength(4);
    expect(pick([...newer, oldest("ab", 15), slice(BOTTOM, "az", 9)])).toMatchObject({
      isMove: false,
    });
    const crumbs = newer.map((each) => ({ ...each, sizeBytes: MIB }));
    expect(pick([...crumbs, oldest("ab", 1)])!.inputs).toHaveLength(4);
  });

  test("the sizes of levels follow from the bottom, and tiers go to the topmost in use", () => {
    const bottom = [slice(BOTTOM, "am", 500), slice(BOTTOM, "nz", 500)];
    const tiers = [slice(0, "az", 20), slice(0, "az", 20)];
    const merge = pick([...tiers, ...bottom])!;
    expect(merge).toMatchObject({ level: BOTTOM - 1, isBottom: false });
    expect(merge.inputs).toHaveLength(2);
  });

  test("a level that is too large gives the table that overlaps least", () => {
    const bottom = [slice(BOTTOM, "am", 500), slice(BOTTOM, "pz", 500)];
    const upper = [slice(BOTTOM - 1, "ab", 80), slice(BOTTOM - 1, "no", 80)];
    expect(pick([...bottom, ...upper])).toMatchObject({ inputs: [upper[1]], isMove: true });
  });

  test("a higher level that holds data is not passed over", () => {
    const bottom = slice(BOTTOM, "az", 40);
    const upper = slice(BOTTOM - 1, "ab", 0.1);
    const merge = pick([bottom, upper, slice(0, "az", 40)])!;
    expect(merge.level).toBeLessThanOrEqual(BOTTOM - 1);
  });

  test("tombstones go down although no level is too large", () => {
    const dense = slice(BOTTOM - 1, "ab", 1, { maxVersion: 5, tombstoneCount: 60 });
    const bottom = slice(BOTTOM, "az", 900, { maxVersion: 3 });
    expect(pick([dense, bottom], 5)).toBeUndefined();
    expect(pick([dense, bottom], 6)).toMatchObject({ level: BOTTOM, isBottom: true });
  });

  test("old versions at the bottom are collected once the horizon has passed them", () => {
    const full = slice(BOTTOM, "az", 90, { maxVersion: 5, keyCount: 60 });
    expect(pick([full], 4)).toBeUndefined();
    expect(pick([full], 6)).toMatchObject({ inputs: [full], level: BOTTOM, isMove: false });
  });

  test("when nothing is written any more, less garbage is worth a rewriting", () => {
    const some = slice(BOTTOM, "ak", 90, { maxVersion: 5, keyCount: 80 });
    const newer = slice(BOTTOM, "pz", 90, { minVersion: 7, maxVersion: 9 });
    expect(pick([some, newer], 8)).toBeUndefined();
    expect(pick([some, newer], 9, false)).toBeUndefined();
    expect(pick([some, newer], 9)).toMatchObject({ inputs: [some], level: BOTTOM });
  });

  test("garbage at the horizon itself goes, tombstones there stay", () => {
    const old = { maxVersion: 5 };
    const twice = slice(BOTTOM, "ak", 90, { ...old, keyCount: 40 });
    const gone = slice(BOTTOM, "ak", 90, { ...old, tombstoneCount: 60 });
    expect(pick([twice], 4)).toBeUndefined();
    expect(pick([twice], 5)).toMatchObject({ inputs: [twice], level: BOTTOM });
    expect(pick([gone], 5)).toBeUndefined();
    expect(pick([gone], 6)).toMatchObject({ inputs: [gone], level: BOTTOM });
  });

  test("when nothing is written any more, what lies twice goes down", () => {
    const old = { minVersion: 1, maxVersion: 2 };
    const slices = [slice(0, "az", 20, old), slice(BOTTOM, "az", 80, old)];
    expect(pick(slices, 1)).toBeUndefined();
    expect(pick(slices, 2)!.inputs).toHaveLength(2);
    // As long as something is written every flush would have all of the tree written anew.
    expect(pick(slices, 2, false)).toBeUndefined();
  });

  test("of a small tree, too, what lies twice is merged when nothing is written any more", () => {
    const old = { minVersion: 1, maxVersion: 2 };
    const slices = [slice(0, "az", 20, old), slice(0, "az", 20, old)];
    expect(pick(slices, 2, false)).toBeUndefined();
    expect(pick(slices, 2)!.inputs).toHaveLength(2);
  });
});
