/**
 * What a tree consists of on disk, as the manifest says it: slices of tables. A slice is one
 * family's part of a table, seen through an interval of keys. It covers all of that part, unless
 * the tree was cut since the table was written. Then its range is a clip, its counts and its size
 * are estimates, and its smallest and largest version are those of the whole part: bounds that need
 * not be reached.
 *
 * A table is a file of its own, or it lies in a pack: a file of many small tables, one behind the
 * other, whose trees have nothing to do with each other. A table is the same bytes in either.
 */
import type { KeyRange } from "../base/key-range.js";
import { equalRanges } from "../base/key-range.js";
import type { FamilyId } from "./families.js";

/** A file of several tables. It has no bytes of its own: the manifest says what lies where. */
export interface Pack {
  readonly packNumber: number;
  readonly sizeBytes: number;
}

/** Where in a pack a table begins. */
export interface PackPlace {
  readonly packNumber: number;
  readonly offset: number;
}

export interface TableFile {
  /** Of the table. Tables and packs are numbered together. */
  readonly fileNumber: number;
  readonly sizeBytes: number;
  /** CRC-32 of the whole table. */
  readonly checksum: number;
  /** What the checksums of its blocks are bound to; it stays when the file goes to another node. */
  readonly salt: number;
  /** Undefined: a file of its own. */
  readonly home?: PackPlace | undefined;
}

export interface Slice {
  readonly fileNumber: number;
  readonly family: FamilyId;
  /**
   * 0 for the output of a flush, one more than its inputs for what was merged of such; of large
   * trees also a level (level.ts).
   */
  readonly level: number;
  /** Keys outside are not seen through this slice. */
  readonly range: KeyRange;
  /** Keys for which the filter of the file was built: all that the file has of the family. */
  readonly filterRange: KeyRange;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly entryCount: number;
  /** Different keys: the other entries are older versions of them. */
  readonly keyCount: number;
  readonly tombstoneCount: number;
  readonly sizeBytes: number;
}

/** What a slice shows of its part of the file, where that is not all of it. */
export function clipOf({ range, filterRange }: Slice): KeyRange | undefined {
  return range === filterRange || equalRanges(range, filterRange) ? undefined : range;
}
