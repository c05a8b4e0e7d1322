/**
 * Where a table that was built elsewhere goes in a tree; pure. The newer entry of a key must be in
 * a newer tier or a higher level, for merges rely on it: so a table lies directly over the topmost
 * of what it overlaps, at the bottom where that is nothing, and only if all its entries are newer.
 */
import { intersectRanges } from "../base/key-range.js";
import { LEVEL_BASE, LEVEL_BOTTOM } from "./level.js";
import type { Slice } from "./slice.js";

/** Tier 0: newer than all that is there. */
const NEWEST_TIER = 0;

/** The level, as in Slice; undefined where it overlaps entries that are as new as its own. */
export function placeOf(newcomer: Slice, slices: readonly Slice[]): number | undefined {
  const { family, minVersion, range } = newcomer;
  const others = slices.filter((slice) => slice.family === family);
  const met = others.filter((slice) => intersectRanges(slice.range, range) !== undefined);
  if (met.some((slice) => slice.maxVersion >= minVersion)) return undefined;
  const levels = others.map(({ level }) => level).filter((level) => level >= LEVEL_BASE);
  // A tree that has no levels yet is not given any.
  if (levels.length === 0) return NEWEST_TIER;
  const above = Math.min(LEVEL_BASE + LEVEL_BOTTOM + 1, ...met.map(({ level }) => level)) - 1;
  return above >= Math.min(...levels) ? above : NEWEST_TIER;
}
