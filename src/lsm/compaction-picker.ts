/**
 * Decides what to merge in a tree that is small; pure. Size-tiered: runs stand with the newest
 * first, and a stretch of neighbours is merged when it has enough members of similar size, that is
 * when each is no larger than those before it together. Only neighbours are merged, so the versions
 * of the outcome lie between those of the runs around it, as before.
 */
import type { GcPolicy } from "./families.js";
import type { Slice } from "./slice.js";

/** What decides which entries may go, and when it is worth their while. */
export interface Collecting {
  readonly policy: GcPolicy;
  /** The durable compacted revision of the tree. */
  readonly horizon: number;
  /** Nothing has been written for a while: what would be merged for every flush is merged once. */
  readonly isQuiet: boolean;
}

export interface PickOptions {
  /** Runs of similar size that are merged into one. */
  readonly fanIn: number;
  /** With more runs than this a stretch is merged even if sizes differ. */
  readonly runsMax: number;
  /** Below this size runs count as equally large. */
  readonly similarBytes: number;
}

/** Of a slice's entries, what makes it worth rewriting on its own: while others are written, */
const GARBAGE_FRACTION = 0.3;
/** and when the horizon has passed all that there is. */
const SETTLED_GARBAGE_FRACTION = 0.1;
/** Of a slice's entries, how many tombstones make it worth bringing down. */
const TOMBSTONE_FRACTION = 0.5;
/** One job reads at most so many runs. */
export const INPUTS_MAX = 16;

/** The slices to merge, out of one family's slices with the newest first; undefined for none. */
export function pickCompaction(
  slices: readonly Slice[],
  options: PickOptions,
): readonly Slice[] | undefined {
  for (let start = 0; start + options.fanIn <= slices.length; start++) {
    const stretch = similarStretch(slices, start, options.similarBytes);
    if (stretch >= options.fanIn) return slices.slice(start, start + stretch);
  }
  return slices.length > options.runsMax ? smallestStretch(slices, options.fanIn) : undefined;
}

/** Slices that hold nothing any more, because all their versions are below the horizon. */
export function pickExpired(slices: readonly Slice[], horizon: number): readonly Slice[] {
  return slices.filter((slice) => slice.maxVersion < horizon);
}

/**
 * The oldest slice, where the horizon has passed all of it and rewriting it would drop a good part
 * of its entries: so space comes back even when nothing is written any more.
 */
export function pickGarbage(
  slices: readonly Slice[],
  collecting: Collecting,
): readonly Slice[] | undefined {
  const oldest = slices.at(-1);
  if (oldest === undefined || oldest.maxVersion > collecting.horizon) return undefined;
  const dropsTombstones = isBottom([oldest], slices) && oldest.maxVersion < collecting.horizon;
  const fraction = garbageFraction(oldest, dropsTombstones);
  return fraction > worthwhileFraction(slices, collecting) ? [oldest] : undefined;
}

/** How much of a slice must be garbage for it to be rewritten. */
export function worthwhileFraction(all: readonly Slice[], collecting: Collecting): number {
  return isSettled(all, collecting) ? SETTLED_GARBAGE_FRACTION : GARBAGE_FRACTION;
}

/** Whether nothing is written, and nothing was since old revisions were given up. */
export function isSettled(
  all: readonly Slice[],
  { horizon, isQuiet }: Pick<Collecting, "horizon" | "isQuiet">,
): boolean {
  return isQuiet && all.every((slice) => slice.maxVersion <= horizon);
}

/**
 * Of the entries of a slice that the horizon has reached, how many a rewriting would drop. A
 * tombstone at the horizon itself stays.
 */
export function garbageFraction(slice: Slice, dropsTombstones: boolean): number {
  const tombstoneCount = dropsTombstones ? slice.tombstoneCount : 0;
  return Math.max(slice.entryCount - slice.keyCount, tombstoneCount) / slice.entryCount;
}

/** Whether a slice that is not at the bottom is mostly tombstones that nobody asks for any more. */
export function isTombstoneDense(slice: Slice, horizon: number): boolean {
  return (
    slice.maxVersion < horizon && slice.tombstoneCount >= slice.entryCount * TOMBSTONE_FRACTION
  );
}

/**
 * A slice that is mostly tombstones together with all that is older, which they hide: a queue that
 * is emptied as it is filled stays small.
 */
export function pickTombstones(
  slices: readonly Slice[],
  horizon: number,
): readonly Slice[] | undefined {
  const last = slices.length - 1;
  for (let at = Math.max(0, slices.length - INPUTS_MAX); at < last; at++) {
    if (isTombstoneDense(slices[at]!, horizon)) return slices.slice(at);
  }
  return undefined;
}

/**
 * Everything, once the horizon has passed all of it and what lies over the oldest slice is a good
 * part of it: nobody writes now, and what lies there twice is worth a rewriting.
 */
export function pickSettled(
  slices: readonly Slice[],
  collecting: Collecting,
): readonly Slice[] | undefined {
  if (slices.length < 2 || slices.length > INPUTS_MAX) return undefined;
  if (!isSettled(slices, collecting)) return undefined;
  const upper = sizeOf(slices.slice(0, -1));
  return upper > slices.at(-1)!.sizeBytes * SETTLED_FRACTION ? slices : undefined;
}

/** How much may lie over what is at the bottom when nothing is written any more. */
export const SETTLED_FRACTION = 0.15;

export function sizeOf(slices: readonly Slice[]): number {
  return slices.reduce((size, slice) => size + slice.sizeBytes, 0);
}

/** Whether no slice outside the inputs can hold an older version of any key. */
export function isBottom(inputs: readonly Slice[], all: readonly Slice[]): boolean {
  const newest = Math.max(...inputs.map((slice) => slice.maxVersion));
  return all.every((slice) => inputs.includes(slice) || slice.minVersion > newest);
}

function similarStretch(slices: readonly Slice[], start: number, similarBytes: number): number {
  let sum = Math.max(similarBytes, slices[start]!.sizeBytes);
  let count = 1;
  while (start + count < slices.length && count < INPUTS_MAX) {
    const size = Math.max(similarBytes, slices[start + count]!.sizeBytes);
    if (size > sum) break;
    sum += size;
    count++;
  }
  return count;
}

function smallestStretch(slices: readonly Slice[], length: number): readonly Slice[] {
  let best = 0;
  let bestSize = Infinity;
  for (let start = 0; start + length <= slices.length; start++) {
    const size = sizeOf(slices.slice(start, start + length));
    if (size >= bestSize) continue;
    best = start;
    bestSize = size;
  }
  return slices.slice(best, best + length);
}
