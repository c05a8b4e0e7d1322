/**
 * A half-open interval of keys [start, end). `end` undefined means: to the end of the key space.
 */
import { compareBytes, hex } from "./bytes.js";

export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array | undefined;
}

export function rangeContains(range: KeyRange, key: Uint8Array): boolean {
  return (
    compareBytes(key, range.start) >= 0 &&
    (range.end === undefined || compareBytes(key, range.end) < 0)
  );
}

/** Whether every key of `inner` is a key of `outer`. */
export function rangeCovers(outer: KeyRange, inner: KeyRange): boolean {
  if (compareBytes(inner.start, outer.start) < 0) return false;
  if (outer.end === undefined) return true;
  return inner.end !== undefined && compareBytes(inner.end, outer.end) <= 0;
}

/** The common part of two ranges, or undefined where they share no key. */
export function intersectRanges(a: KeyRange, b: KeyRange): KeyRange | undefined {
  const start = compareBytes(a.start, b.start) >= 0 ? a.start : b.start;
  const end = earlierEnd(a.end, b.end);
  if (end !== undefined && compareBytes(start, end) >= 0) return undefined;
  return { start, end };
}

export function describeRange(range: KeyRange): string {
  return `[${hex(range.start)}, ${range.end === undefined ? "∞" : hex(range.end)})`;
}

function earlierEnd(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return compareBytes(a, b) <= 0 ? a : b;
}
