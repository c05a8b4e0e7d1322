/**
 * A half-open interval of keys [start, end). `end` undefined means: to the end of the key space.
 */
import { EMPTY_BYTES, compareBytes, compareSlices, equalBytes, hex } from "./bytes.js";

/** No key is before it, for none is empty. */
export const FIRST_KEY: Uint8Array = new Uint8Array([0]);

export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array | undefined;
}

export function rangeContains(range: KeyRange, key: Uint8Array): boolean {
  return rangeContainsSlice(range, key, 0, key.length);
}

/** As rangeContains, of the key bytes[offset, offset + length). */
export function rangeContainsSlice(
  { start, end }: KeyRange,
  bytes: Uint8Array,
  offset: number,
  length: number,
): boolean {
  return (
    compareSlices(bytes, offset, length, start, 0, start.length) >= 0 &&
    (end === undefined || compareSlices(bytes, offset, length, end, 0, end.length) < 0)
  );
}

export function equalRanges(a: KeyRange, b: KeyRange): boolean {
  if (!equalBytes(a.start, b.start)) return false;
  if (a.end === undefined || b.end === undefined) return a.end === b.end;
  return equalBytes(a.end, b.end);
}

/** What a range has outside of another: nothing, one part, or one on either side. */
export function subtractRange(range: KeyRange, taken: KeyRange): readonly KeyRange[] {
  const parts: KeyRange[] = [];
  const before = intersectRanges(range, { start: EMPTY_BYTES, end: taken.start });
  if (before !== undefined) parts.push(before);
  if (taken.end === undefined) return parts;
  const after = intersectRanges(range, { start: taken.end, end: undefined });
  if (after !== undefined) parts.push(after);
  return parts;
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
