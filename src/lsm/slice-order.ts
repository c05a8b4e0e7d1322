/**
 * The slices of a tree in an order in which each is found by halving, and in which those of one
 * level and family stand next to each other, ascending by key: so a new one has to be compared with
 * its neighbours only. The arrays are never changed.
 */
import { compareBytes } from "../base/bytes.js";
import { intersectRanges } from "../base/key-range.js";
import { LEVEL_BASE } from "./level.js";
import type { Slice } from "./slice.js";

/** With one more; undefined where it would overlap another one of its level. */
export function addedTo(slices: readonly Slice[], added: Slice): readonly Slice[] | undefined {
  const at = placeOf(slices, added);
  if (collides(slices[at - 1], added) || collides(slices[at], added)) return undefined;
  return slices.toSpliced(at, 0, added);
}

/** Without one that is there. */
export function removedFrom(slices: readonly Slice[], removed: Slice): readonly Slice[] {
  return slices.toSpliced(placeOf(slices, removed), 1);
}

/** Where it stands, or would. */
function placeOf(slices: readonly Slice[], slice: Slice): number {
  let low = 0;
  let high = slices.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareSlices(slices[middle]!, slice) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Never 0 for two slices that a tree may have at the same time. */
function compareSlices(a: Slice, b: Slice): number {
  return (
    a.level - b.level ||
    a.family - b.family ||
    compareBytes(a.range.start, b.range.start) ||
    a.fileNumber - b.fileNumber
  );
}

function collides(a: Slice | undefined, b: Slice): boolean {
  if (a === undefined || a.level < LEVEL_BASE) return false;
  const isSameLevel = a.level === b.level && a.family === b.family;
  return isSameLevel && intersectRanges(a.range, b.range) !== undefined;
}
