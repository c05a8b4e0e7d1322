/** The order of a tree's slices, beside a plain list that compares each with all others. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { intersectRanges } from "../../src/base/key-range.js";
import { Prng } from "../../src/base/prng.js";
import { FAMILY } from "../../src/lsm/families.js";
import { LEVEL_BASE } from "../../src/lsm/level.js";
import type { Slice } from "../../src/lsm/slice.js";
import { addedTo, removedFrom } from "../../src/lsm/slice-order.js";

const SEEDS = 20;
const STEPS = 200;
const KEYS = 60;

function drawSlice(prng: Prng, fileNumber: number): Slice {
  const start = prng.between(10, 10 + KEYS);
  const end = prng.chance(0.1) ? undefined : utf8(String(start + prng.between(1, 4)));
  const range = { start: utf8(String(start)), end };
  return {
    fileNumber,
    family: prng.chance(0.5) ? FAMILY.data : FAMILY.meta,
    level: prng.chance(0.3) ? prng.between(0, 2) : LEVEL_BASE + prng.between(6, 7),
    range,
    filterRange: range,
    minVersion: 1,
    maxVersion: 2,
    entryCount: 1,
    keyCount: 1,
    tombstoneCount: 0,
    sizeBytes: 1,
  };
}

function collides(a: Slice, b: Slice): boolean {
  const isSameLevel = a.level >= LEVEL_BASE && a.level === b.level && a.family === b.family;
  return isSameLevel && intersectRanges(a.range, b.range) !== undefined;
}

/** Adds and removes at random, in both ways; whether they differ, and what was refused. */
function compare(seed: number): { readonly differs: boolean; readonly refused: number } {
  const prng = new Prng(seed);
  const plain = new Set<Slice>();
  let slices: readonly Slice[] = [];
  let refused = 0;
  let differs = false;
  for (let step = 1; step <= STEPS; step++) {
    const removed = [...plain][prng.between(0, plain.size)];
    if (removed !== undefined && prng.chance(0.4)) {
      slices = removedFrom(slices, removed);
      plain.delete(removed);
    } else {
      const added = drawSlice(prng, step);
      const isRefused = [...plain].some((other) => collides(other, added));
      const after = addedTo(slices, added);
      differs ||= (after === undefined) !== isRefused;
      if (after === undefined) refused++;
      else plain.add(added);
      slices = after ?? slices;
    }
    differs ||= slices.length !== plain.size || slices.some((slice) => !plain.has(slice));
  }
  return { differs, refused };
}

describe("slices in order", () => {
  test("are refused where a plain comparison with all others refuses them", () => {
    const outcomes = Array.from({ length: SEEDS }, (_, at) => compare(at + 1));
    expect(outcomes.filter(({ differs }) => differs)).toEqual([]);
    expect(outcomes.every(({ refused }) => refused > 0)).toBe(true);
  });
});
