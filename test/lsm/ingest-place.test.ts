/** Where a table that was built elsewhere may lie among those that are there. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { FAMILY } from "../../src/lsm/families.js";
import { placeOf } from "../../src/lsm/ingest-place.js";
import { LEVEL_BASE, LEVEL_BOTTOM } from "../../src/lsm/level.js";
import type { Slice } from "../../src/lsm/slice.js";

const BOTTOM = LEVEL_BASE + LEVEL_BOTTOM;

/** Keys [from, to), versions [min, max]. */
function slice(
  keys: readonly [string, string],
  versions: readonly [number, number],
  level = 0,
): Slice {
  const range = { start: utf8(keys[0]), end: utf8(keys[1]) };
  return {
    fileNumber: 1,
    family: FAMILY.data,
    level,
    range,
    filterRange: range,
    minVersion: versions[0],
    maxVersion: versions[1],
    entryCount: 10,
    keyCount: 10,
    tombstoneCount: 0,
    sizeBytes: 1000,
  };
}

describe("a table from elsewhere", () => {
  test("goes to the bottom where nothing is in its way", () => {
    const newcomer = slice(["d", "f"], [5, 9]);
    expect(placeOf(newcomer, [slice(["a", "c"], [1, 20], BOTTOM)])).toBe(BOTTOM);
    const others = [
      slice(["a", "d"], [50, 60], BOTTOM - 2),
      slice(["f", "g"], [1, 99], 0),
      slice(["x", "z"], [1, 4], BOTTOM),
    ];
    expect(placeOf(newcomer, others)).toBe(BOTTOM);
  });

  test("is a tier in a tree without levels", () => {
    expect(placeOf(slice(["d", "f"], [5, 9]), [])).toBe(0);
    expect(placeOf(slice(["d", "f"], [5, 9]), [slice(["a", "c"], [1, 20], 1)])).toBe(0);
    expect(placeOf(slice(["d", "f"], [5, 9]), [slice(["a", "z"], [1, 4], 1)])).toBe(0);
  });

  test("stays above what is older, and never above all levels but as a tier", () => {
    const newcomer = slice(["d", "f"], [5, 9]);
    const upper = slice(["x", "z"], [1, 90], BOTTOM - 2);
    const lower = slice(["a", "e"], [1, 4], BOTTOM);
    expect(placeOf(newcomer, [upper, lower])).toBe(BOTTOM - 1);
    expect(placeOf(newcomer, [lower])).toBe(0);
    expect(placeOf(newcomer, [upper, lower, slice(["e", "g"], [2, 3], BOTTOM - 2)])).toBe(0);
    expect(placeOf(newcomer, [upper, lower, slice(["e", "g"], [2, 3], 3)])).toBe(0);
  });

  test("goes nowhere among entries that are as new as its own", () => {
    const newcomer = slice(["d", "f"], [5, 9]);
    for (const level of [0, 3, BOTTOM - 1, BOTTOM]) {
      expect(placeOf(newcomer, [slice(["a", "e"], [1, 5], level)])).toBeUndefined();
      expect(placeOf(newcomer, [slice(["a", "e"], [20, 30], level)])).toBeUndefined();
    }
    const other = { ...slice(["a", "e"], [20, 30]), family: FAMILY.lease };
    expect(placeOf(newcomer, [other])).toBe(0);
  });
});
