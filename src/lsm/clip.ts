/**
 * Cuts slices by keys without writing a file: what a slice shows of a range, and what it shows
 * besides one. It reads the index of a section and one block of it where a cut goes through it, and
 * throws CorruptionError where they are damaged.
 */
import type { KeyRange } from "../base/key-range.js";
import { equalRanges, intersectRanges, subtractRange } from "../base/key-range.js";
import { cursorOf } from "./clipped-cursor.js";
import { isCutByRange } from "./families.js";
import type { LevelRun } from "./level.js";
import type { Slice } from "./slice.js";
import type { Section } from "./sstable-reader.js";
import type { Version } from "./version.js";

/** The slices of a tree as one with this range has them. */
export function slicesInside(version: Version, range: KeyRange): readonly Slice[] {
  const kept: Slice[] = [];
  for (const [family, runs] of version.runs.entries()) {
    const isCut = isCutByRange(family as Slice["family"]);
    for (const run of runs) {
      const slice = isCut ? clipped(run, range) : run.slice;
      if (slice !== undefined) kept.push(slice);
    }
  }
  return kept;
}

export interface Cut {
  readonly removed: readonly Slice[];
  readonly added: readonly Slice[];
}

/** What takes a range of keys out of a tree: slices that go, and what stays of them. */
export function cutOut(version: Version, range: KeyRange): Cut {
  const removed: Slice[] = [];
  const added: Slice[] = [];
  for (const run of version.runs.flat()) {
    const { slice } = run;
    if (!isCutByRange(slice.family) || intersectRanges(slice.range, range) === undefined) continue;
    removed.push(slice);
    for (const left of subtractRange(slice.range, range)) {
      const part = clipped(run, left);
      if (part !== undefined) added.push(part);
    }
  }
  return { removed, added };
}

/** What a slice shows of a range; undefined where that is no entry. */
function clipped(run: LevelRun, to: KeyRange): Slice | undefined {
  const { slice } = run;
  const range = intersectRanges(slice.range, to);
  if (range === undefined) return undefined;
  if (equalRanges(range, slice.range)) return slice;
  const { section } = run;
  const cursor = cursorOf(section, range, Infinity);
  const hasAny = cursor.next();
  cursor.close();
  if (!hasAny) return undefined;
  const share = shareOf(section, range);
  const { info } = section;
  const scaled = (count: number): number => Math.max(1, Math.round(count * share));
  const entryCount = scaled(info.entryCount);
  return {
    ...slice,
    range,
    entryCount,
    keyCount: Math.min(entryCount, scaled(info.keyCount)),
    tombstoneCount: Math.min(entryCount, Math.round(info.tombstoneCount * share)),
    sizeBytes: scaled(info.sizeBytes),
  };
}

/** About which part of a section lies in a range, by its blocks. */
function shareOf(section: Section, { start, end }: KeyRange): number {
  const { blockCount } = section;
  const first = section.ordinalFor(start, 0, start.length, Infinity);
  const last = end === undefined ? blockCount : section.ordinalFor(end, 0, end.length, Infinity);
  return Math.max(0.5, last - first) / blockCount;
}
