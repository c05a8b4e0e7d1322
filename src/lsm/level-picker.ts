/**
 * Decides what to merge in a family of a tree, small or large; pure. A small one is size-tiered
 * (compaction-picker.ts). A large one has levels as well, of tables that do not overlap, each a
 * good deal larger than the one above it:
 *
 *   tiers → base level → … → bottom level
 *
 * The sizes of the levels follow from what lies at the bottom, so that nine tenths of a tree lie
 * there, whatever its size; the base is the topmost level that is worth having. Tiers are merged
 * among themselves while they are few bytes, and then into the base; a level that is too large
 * gives the table that overlaps least to the next one.
 *
 * The newer entry of a key is always in a newer tier or a higher level: tiers go down only with all
 * older ones, and a table only together with what it overlaps below. A large one that overlaps
 * nothing goes down as it is, so that keys which come in their order are written once.
 */
import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { intersectRanges } from "../base/key-range.js";
import type { Collecting, PickOptions } from "./compaction-picker.js";
import {
  garbageFraction,
  INPUTS_MAX,
  isBottom,
  isSettled,
  isTombstoneDense,
  pickCompaction,
  pickGarbage,
  pickSettled,
  pickTombstones,
  SETTLED_FRACTION,
  sizeOf,
  worthwhileFraction,
} from "./compaction-picker.js";
import { LEVEL_BASE, LEVEL_BOTTOM } from "./level.js";
import type { Slice } from "./slice.js";

export interface LevelOptions extends PickOptions {
  /** "auto": leveled once a family is larger than `leveledFromBytes`. */
  readonly style: "auto" | "tiered" | "leveled";
  readonly leveledFromBytes: number;
  /** What tiers may hold before they go down, and about the size of the base level. */
  readonly levelBaseBytes: number;
  /** How many times as large as the one above a level is. */
  readonly levelFanOut: number;
}

export interface Merge {
  readonly inputs: readonly Slice[];
  /** Of the outcome, as in Slice. */
  readonly level: number;
  /** Nothing older than the inputs is left outside of them. */
  readonly isBottom: boolean;
  /** The one input overlaps nothing: it changes its level as it is. */
  readonly isMove: boolean;
}

const TIER_LEVEL_MAX = LEVEL_BASE - 1;
/** Of what tiers may hold, how much one must have to go down alone: crumbs read badly. */
const MOVED_FRACTION = 1 / 8;

export function pickMerge(
  slices: readonly Slice[],
  collecting: Collecting,
  options: LevelOptions,
): Merge | undefined {
  const tiers = slices.filter((slice) => slice.level < LEVEL_BASE).sort(newestFirst);
  const leveled = slices.filter((slice) => slice.level >= LEVEL_BASE);
  const isLeveled =
    leveled.length > 0 ||
    options.style === "leveled" ||
    (options.style === "auto" && sizeOf(slices) > options.leveledFromBytes);
  if (isLeveled) return new LeveledPicker(tiers, leveled, options).pick(collecting);
  const similar = pickCompaction(tiers, options);
  if (similar !== undefined && options.style === "auto") {
    const move = new LeveledPicker(tiers, [], options).pickMove();
    if (move !== undefined) return move;
  }
  const inputs = similar ?? pickTieredGarbage(tiers, collecting);
  return inputs === undefined ? undefined : tierMerge(inputs, tiers);
}

function pickTieredGarbage(
  tiers: readonly Slice[],
  collecting: Collecting,
): readonly Slice[] | undefined {
  if (collecting.policy !== "mvcc") return undefined;
  return (
    pickGarbage(tiers, collecting) ??
    pickTombstones(tiers, collecting.horizon) ??
    pickSettled(tiers, collecting)
  );
}

function tierMerge(inputs: readonly Slice[], all: readonly Slice[]): Merge {
  const level = 1 + Math.max(...inputs.map((slice) => slice.level));
  return {
    inputs,
    level: Math.min(level, TIER_LEVEL_MAX),
    isBottom: isBottom(inputs, all),
    isMove: false,
  };
}

class LeveledPicker {
  readonly #tiers: readonly Slice[];
  readonly #all: readonly Slice[];
  /** By number of the level, ascending by key, of which no two overlap; 0 is not used. */
  readonly #levels: readonly (readonly Slice[])[];
  readonly #targets: readonly number[];
  /** Where tiers go. */
  readonly #base: number;
  readonly #options: LevelOptions;

  constructor(tiers: readonly Slice[], leveled: readonly Slice[], options: LevelOptions) {
    this.#tiers = tiers;
    this.#all = [...tiers, ...leveled];
    this.#options = options;
    const levels: Slice[][] = Array.from({ length: LEVEL_BOTTOM + 1 }, () => []);
    for (const slice of leveled) levels[slice.level - LEVEL_BASE]!.push(slice);
    for (const level of levels) level.sort((a, b) => compareBytes(a.range.start, b.range.start));
    this.#levels = levels;
    const { base, targets } = targetsOf(levels.map(sizeOf), options);
    this.#targets = targets;
    const topmost = levels.findIndex((level) => level.length > 0);
    this.#base = topmost < 0 ? base : Math.min(base, topmost);
  }

  pick(collecting: Collecting): Merge | undefined {
    return (
      this.#pickTiers() ??
      this.#pickLevel() ??
      (collecting.policy === "mvcc" ? this.#pickGarbage(collecting) : undefined)
    );
  }

  #pickTiers(): Merge | undefined {
    const { levelBaseBytes, runsMax } = this.#options;
    const tiers = this.#tiers;
    if (sizeOf(tiers) > levelBaseBytes || tiers.length > runsMax) return this.#mergeTiers();
    const inputs = pickCompaction(tiers, this.#options);
    if (inputs === undefined) return undefined;
    return this.pickMove() ?? tierMerge(inputs, this.#all);
  }

  /** The oldest tiers, with what they overlap in the base. */
  #mergeTiers(): Merge {
    return this.pickMove() ?? this.#mergeDown(this.#tiers.slice(-INPUTS_MAX), this.#base);
  }

  /** The oldest tier, where it is large and overlaps no other tier and nothing in the base. */
  pickMove(): Merge | undefined {
    const oldest = this.#tiers.at(-1);
    const movedBytesMin = this.#options.levelBaseBytes * MOVED_FRACTION;
    if (oldest === undefined || oldest.sizeBytes < movedBytesMin) return undefined;
    const others = this.#tiers.slice(0, -1);
    if (others.some(({ range }) => intersectRanges(range, oldest.range))) return undefined;
    const merge = this.#mergeDown([oldest], this.#base);
    return merge.isMove ? merge : undefined;
  }

  #pickLevel(): Merge | undefined {
    let best = 0;
    let bestScore = 1;
    for (let level = 1; level < LEVEL_BOTTOM; level++) {
      const size = sizeOf(this.#levels[level]!);
      const score = size / this.#targets[level]!;
      if (size === 0 || score <= bestScore) continue;
      best = level;
      bestScore = score;
    }
    return best === 0 ? undefined : this.#mergeLevel(best);
  }

  /** The table of a level for which the least has to be rewritten below. */
  #mergeLevel(level: number): Merge {
    const next = this.#levels[level + 1]!;
    let best: Slice | undefined = undefined;
    let bestRatio = Infinity;
    for (const slice of this.#levels[level]!) {
      const ratio = sizeOf(overlapping(next, slice.range)) / slice.sizeBytes;
      if (ratio >= bestRatio) continue;
      best = slice;
      bestRatio = ratio;
    }
    return this.#mergeDown([best!], level + 1);
  }

  #mergeDown(from: readonly Slice[], level: number): Merge {
    // By all keys between the first and the last: a table of the outcome may span any of them.
    const below = overlapping(this.#levels[level]!, hullOf(from));
    const inputs = [...from, ...below];
    return {
      inputs,
      level: LEVEL_BASE + level,
      isBottom: this.#isLowest(hullOf(inputs), level),
      isMove: inputs.length === 1,
    };
  }

  /** Whether no level below this one has any of these keys. */
  #isLowest(range: KeyRange, level: number): boolean {
    return this.#levels.every(
      (slices, at) => at <= level || overlapping(slices, range).length === 0,
    );
  }

  /** What gives back space, or shortens scans, although no level is too large. */
  #pickGarbage(collecting: Collecting): Merge | undefined {
    const { horizon } = collecting;
    const worthwhile = worthwhileFraction(this.#all, collecting);
    for (let level = 1; level <= LEVEL_BOTTOM; level++) {
      for (const slice of this.#levels[level]!) {
        if (slice.maxVersion > horizon) continue;
        const isLowest = this.#isLowest(slice.range, level);
        const dropsTombstones = isLowest && slice.maxVersion < horizon;
        if (!isLowest && isTombstoneDense(slice, horizon)) {
          return this.#mergeDown([slice], level + 1);
        }
        if (garbageFraction(slice, dropsTombstones) > worthwhile) {
          const inputs = [slice];
          return { inputs, level: slice.level, isBottom: isLowest, isMove: false };
        }
      }
    }
    return this.#pickSettled(collecting);
  }

  /** With nothing written any more, what lies twice goes down step by step. */
  #pickSettled(collecting: Collecting): Merge | undefined {
    if (!isSettled(this.#all, collecting)) return undefined;
    const bottom = sizeOf(this.#levels[LEVEL_BOTTOM]!);
    if (sizeOf(this.#all) - bottom <= bottom * SETTLED_FRACTION) return undefined;
    if (this.#tiers.length > 0) return this.#mergeTiers();
    return this.#mergeLevel(this.#levels.findIndex((level) => level.length > 0));
  }
}

/** How large each level may be, and the topmost one that is used. */
function targetsOf(
  sizes: readonly number[],
  { levelBaseBytes, levelFanOut }: LevelOptions,
): { readonly base: number; readonly targets: readonly number[] } {
  const targets = sizes.map(() => 0);
  let base = LEVEL_BOTTOM;
  let target = Math.max(...sizes, levelBaseBytes);
  targets[base] = target;
  // The base is a few times what comes down at once, so that a merge rewrites no more than that.
  while (target > levelBaseBytes * 4 && base > 1) {
    target /= levelFanOut;
    targets[--base] = target;
  }
  return { base, targets };
}

/** Those of a level that have keys of a range. */
function overlapping(level: readonly Slice[], range: KeyRange): readonly Slice[] {
  let low = 0;
  let high = level.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endsBefore(level[middle]!.range, range)) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < level.length && !endsBefore(range, level[end]!.range)) end++;
  return level.slice(low, end);
}

function endsBefore({ end }: KeyRange, { start }: KeyRange): boolean {
  return end !== undefined && compareBytes(end, start) <= 0;
}

/** All keys from the first to the last. */
function hullOf(slices: readonly Slice[]): KeyRange {
  return slices
    .map(({ range }) => range)
    .reduce((a, b) => {
      const start = compareBytes(a.start, b.start) <= 0 ? a.start : b.start;
      if (a.end === undefined || b.end === undefined) return { start, end: undefined };
      return { start, end: compareBytes(a.end, b.end) >= 0 ? a.end : b.end };
    });
}

function newestFirst(a: Slice, b: Slice): number {
  return b.maxVersion - a.maxVersion || b.fileNumber - a.fileNumber;
}
