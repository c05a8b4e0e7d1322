/**
 * Decides what to merge in a tree: what its slices alone say (level-picker.ts), and what follows
 * from their sharing tables with other trees. It changes nothing.
 */
import type { CompactionPlan } from "../lsm/compaction.js";
import { sizeOf } from "../lsm/compaction-picker.js";
import { gcPolicyOf } from "../lsm/families.js";
import { LEVEL_BASE } from "../lsm/level.js";
import type { Merge } from "../lsm/level-picker.js";
import { pickMerge } from "../lsm/level-picker.js";
import { clipOf } from "../lsm/slice.js";
import type { Slice } from "../lsm/slice.js";
import type { Tree } from "../lsm/tree.js";
import type { StoreCore } from "./store-core.js";

/** Tiers of a tree that is behind, in terms of those that are merged whatever their sizes. */
const BEHIND_FACTOR = 2;
/** And of one that nears this. */
const NEAR_FACTOR = 1.5;
/** Of a table, how much slices must show for it to be kept as it is. */
const SHOWN_FRACTION = 0.5;

/** What is due in a tree. `isQuiet`: nothing is being written to it. */
export function chooseMerge(core: StoreCore, tree: Tree, isQuiet: boolean): Merge | undefined {
  const horizon = tree.flushed.compactedRevision;
  const { compactionOptions } = core.settings;
  for (const runs of tree.version.runs) {
    if (runs.length === 0) continue;
    const slices = runs.map((run) => run.slice);
    const policy = gcPolicyOf(slices[0]!.family);
    const merge = pickMerge(slices, { policy, horizon, isQuiet }, compactionOptions);
    if (merge !== undefined) return merge;
  }
  return chooseForeign(core, tree);
}

/** A slice of a table that is kept for the lesser part of it: rewritten, so that it can go. */
function chooseForeign({ tables, manifest }: StoreCore, tree: Tree): Merge | undefined {
  const isForeign = (slice: Slice): boolean => {
    if (clipOf(slice) === undefined) return false;
    const { fileNumber, sizeBytes } = tables.file(slice.fileNumber);
    return manifest.catalog.shownBytes(fileNumber) < sizeBytes * SHOWN_FRACTION;
  };
  const slice = tree.version.slices.find(isForeign);
  return slice === undefined ? undefined : rewriting(slice);
}

/** What a slice shows goes into a table of its own, in its place. */
export function rewriting(slice: Slice): Merge {
  return { inputs: [slice], level: slice.level, isBottom: false, isMove: false };
}

/** Whether others have slices of the same table, or a part of it is shown by nobody here. */
export function isShared({ manifest }: StoreCore, slice: Slice, own: readonly Slice[]): boolean {
  const { fileNumber } = slice;
  const ownCount = own.filter((each) => each.fileNumber === fileNumber).length;
  return manifest.catalog.sliceCount(fileNumber) > ownCount || clipOf(slice) !== undefined;
}

/** Whether a merge is done together with those of other trees. */
export function isSmall({ settings }: StoreCore, { inputs, level, isMove }: Merge): boolean {
  const isTier = level < LEVEL_BASE && !isMove;
  return isTier && sizeOf(inputs) <= settings.sharedTableBytesMax;
}

/** Whether a tree has so many tiers that its merges are behind. */
export function hasDebt({ settings }: StoreCore, { version }: Tree): boolean {
  return version.tiersMax >= settings.compactionOptions.runsMax * BEHIND_FACTOR;
}

/** Whether it will have soon, unless its merges are faster than what is written. */
export function nearsDebt({ settings }: StoreCore, { version }: Tree): boolean {
  return version.tiersMax >= settings.compactionOptions.runsMax * NEAR_FACTOR;
}

/** Whether a tree has more tiers than it keeps when its merges are done. */
export function isPilingUp({ settings }: StoreCore, { version }: Tree): boolean {
  return version.tiersMax > settings.compactionOptions.runsMax;
}

export function planOf(core: StoreCore, tree: Tree, merge: Merge): CompactionPlan {
  const { inputs, level, isBottom } = merge;
  const { tables, settings } = core;
  return {
    family: inputs[0]!.family,
    inputs: inputs.map((slice) => ({ file: tables.file(slice.fileNumber), clip: clipOf(slice) })),
    horizon: tree.flushed.compactedRevision,
    isBottom,
    tableBytesMax: level < LEVEL_BASE ? Infinity : settings.tableBytesMax,
  };
}
