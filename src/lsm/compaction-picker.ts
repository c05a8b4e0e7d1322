/**
 * Decides what to compact; pure. Size-tiered: runs stand with the newest first, and a stretch of
 * neighbours is merged when it has enough members of similar size, that is when each is no larger
 * than those before it together. Only neighbours are merged, so the versions of the outcome lie
 * between those of the runs around it, as before.
 */
import type { Slice } from "./slice.js";

export interface PickOptions {
  /** Runs of similar size that are merged into one. */
  readonly fanIn: number;
  /** With more runs than this a stretch is merged even if sizes differ. */
  readonly runsMax: number;
}

/** Below this size runs count as equally large. */
const SIZE_BYTES_FLOOR = 64 * 1024;
/** Of a slice's entries, what makes it worth rewriting on its own. */
const GARBAGE_FRACTION = 0.3;
/** One job reads at most so many runs. */
const INPUTS_MAX = 16;

/** The slices to merge, out of one family's slices with the newest first; undefined for none. */
export function pickCompaction(
  slices: readonly Slice[],
  options: PickOptions,
): readonly Slice[] | undefined {
  for (let start = 0; start + options.fanIn <= slices.length; start++) {
    const stretch = similarStretch(slices, start);
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
  horizon: number,
): readonly Slice[] | undefined {
  const oldest = slices.at(-1);
  if (oldest === undefined || oldest.maxVersion >= horizon) return undefined;
  const tombstoneCount = isBottom([oldest], slices) ? oldest.tombstoneCount : 0;
  const garbage = Math.max(oldest.entryCount - oldest.keyCount, tombstoneCount);
  return garbage > oldest.entryCount * GARBAGE_FRACTION ? [oldest] : undefined;
}

/** Whether no slice outside the inputs can hold an older version of any key. */
export function isBottom(inputs: readonly Slice[], all: readonly Slice[]): boolean {
  const newest = Math.max(...inputs.map((slice) => slice.maxVersion));
  return all.every((slice) => inputs.includes(slice) || slice.minVersion > newest);
}

function similarStretch(slices: readonly Slice[], start: number): number {
  let sum = Math.max(SIZE_BYTES_FLOOR, slices[start]!.sizeBytes);
  let count = 1;
  while (start + count < slices.length && count < INPUTS_MAX) {
    const size = Math.max(SIZE_BYTES_FLOOR, slices[start + count]!.sizeBytes);
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
    let size = 0;
    for (let i = start; i < start + length; i++) size += slices[i]!.sizeBytes;
    if (size >= bestSize) continue;
    best = start;
    bestSize = size;
  }
  return slices.slice(best, best + length);
}
