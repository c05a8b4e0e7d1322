/** What is merged, and when; sizes are told in MiB. */
import { describe, expect, test } from "vitest";
import type { Slice } from "../../src/lsm/slice.js";
import {
  isBottom,
  pickCompaction,
  pickExpired,
  pickGarbage,
} from "../../src/lsm/compaction-picker.js";

const MIB = 1024 * 1024;
const OPTIONS = { fanIn: 4, runsMax: 8, similarBytes: 64 * 1024 };

/** Slices with the newest first; sizes in MiB. */
function slicesOf(...sizes: readonly number[]): Slice[] {
  return sizes.map((size, at) => ({
    fileNumber: 100 - at,
    family: 0,
    level: 0,
    range: { start: Uint8Array.of(0), end: undefined },
    filterRange: { start: Uint8Array.of(0), end: undefined },
    minVersion: (sizes.length - at) * 10,
    maxVersion: (sizes.length - at) * 10 + 9,
    entryCount: 100,
    keyCount: 100,
    tombstoneCount: 0,
    sizeBytes: size * MIB,
  }));
}

function garbageOf(slices: readonly Slice[], horizon: number): readonly Slice[] | undefined {
  return pickGarbage(slices, { policy: "mvcc", horizon, isQuiet: true });
}

function picked(...sizes: readonly number[]): number[] | undefined {
  const slices = slicesOf(...sizes);
  return pickCompaction(slices, OPTIONS)?.map((slice) => slices.indexOf(slice));
}

describe("compaction picker", () => {
  test("leaves few runs alone", () => {
    expect(picked()).toBeUndefined();
    expect(picked(1, 1, 1)).toBeUndefined();
    expect(picked(1, 10, 100, 1000)).toBeUndefined();
  });

  test("merges neighbours of similar size, and what is no larger than them together", () => {
    expect(picked(1, 1, 1, 1)).toEqual([0, 1, 2, 3]);
    expect(picked(1, 1, 2, 4, 100)).toEqual([0, 1, 2, 3]);
    expect(picked(1, 50, 40, 60, 50)).toEqual([1, 2, 3, 4]);
    expect(picked(0.001, 0.03, 0.01, 0.05)).toEqual([0, 1, 2, 3]);
  });

  test("with too many runs merges the stretch that is smallest", () => {
    expect(picked(1, 3, 9, 27, 81, 243, 729, 2187)).toBeUndefined();
    expect(picked(1, 3, 9, 27, 81, 243, 729, 2187, 6561)).toEqual([0, 1, 2, 3]);
  });

  test("the bottom is reached when nothing outside can be older", () => {
    const slices = slicesOf(1, 1, 1);
    expect(isBottom(slices, slices)).toBe(true);
    expect(isBottom(slices.slice(1), slices)).toBe(true);
    expect(isBottom(slices.slice(0, 2), slices)).toBe(false);
  });

  test("a slice is expired when all its versions are below the horizon", () => {
    const slices = slicesOf(1, 1, 1);
    expect(pickExpired(slices, 20)).toEqual([slices[2]]);
    expect(pickExpired(slices, 19)).toEqual([]);
  });

  test("the oldest slice is rewritten when the horizon made much of it garbage", () => {
    const [newest, oldest] = slicesOf(1, 1) as [Slice, Slice];
    const versions = { ...oldest, keyCount: 60 };
    const tombstones = { ...oldest, tombstoneCount: 40 };
    expect(garbageOf([newest, oldest], 50)).toBeUndefined();
    expect(garbageOf([newest, versions], 50)).toEqual([versions]);
    expect(garbageOf([newest, tombstones], 50)).toEqual([tombstones]);
    // At the newest revision itself older versions may go, and tombstones not yet.
    expect(garbageOf([newest, versions], oldest.maxVersion)).toEqual([versions]);
    expect(garbageOf([newest, tombstones], oldest.maxVersion)).toBeUndefined();
    expect(garbageOf([newest, versions], oldest.maxVersion - 1)).toBeUndefined();
    expect(garbageOf([versions, oldest], 50)).toBeUndefined();
    // An older version may be outside, so the tombstones would have to stay.
    expect(garbageOf([{ ...newest, minVersion: 1 }, tombstones], 50)).toBeUndefined();
  });
});
