/**
 * Evaluates a range operation and writes its result as it reads. In key order rows go straight
 * from the tree's buffers to the answer; any other order gathers all rows first, as etcd does.
 * `count` is every live key of the range, whatever limit and bounds say, so the walk goes on to
 * its end after the last row that is returned, unless the request does without.
 */
import { compareSlices } from "../base/bytes.js";
import { ByteWriter, writeU32, writeU53 } from "../base/coding.js";
import { FRAME_SIZE_BYTES_MAX, RANGE_RESPONSE_SIZE_BYTES } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { KEY_VALUE_FIXED_BYTES, KeyValueView, writeKeyValue } from "../protocol/key-value-codec.js";
import type { RangeOperation } from "../protocol/operations.js";
import { RANGE_RESULT_HEAD_BYTES } from "../protocol/result-codec.js";
import { COUNT_SLICE_ROWS, CountRest } from "./count-rest.js";
import type { Scan, StateView } from "./state-view.js";
import { readRow } from "./stored-value.js";

/** An answer has to fit a frame, with room for what stands before it. */
export const ANSWER_SIZE_BYTES_MAX: number = FRAME_SIZE_BYTES_MAX - 64 * 1024;

export class RangeReader {
  /** Whether long counts are put aside, for takeRest. */
  sliced = false;
  readonly #prefixLength: number;
  readonly #row = new KeyValueView();
  readonly #gathered = new ByteWriter(0);
  #count = 0;
  #returned = 0;
  #more = false;
  /** Where in the writer the whole answer begins: it may hold answers to others before. */
  #start = 0;
  #countAt = 0;
  #rest: CountRest | undefined;

  constructor(prefixLength: number) {
    this.#prefixLength = prefixLength;
  }

  /**
   * Writes the result without its kind. With `paged`, a range in key order stops at about
   * RANGE_RESPONSE_SIZE_BYTES and says that there is more; otherwise the answer is refused when
   * `out` would outgrow a frame, and what is in it then is of no use.
   */
  read(
    state: StateView,
    range: RangeOperation,
    paged: boolean,
    out: ByteWriter,
    start: number,
  ): KvError | undefined {
    this.#start = start;
    const refusal = state.refusal(range.revision);
    if (refusal !== undefined) return refusal;
    const head = out.reserve(RANGE_RESULT_HEAD_BYTES);
    this.#countAt = head + 1 - start;
    this.#count = 0;
    this.#returned = 0;
    this.#more = false;
    const error = this.#readRows(state, range, paged, out);
    if (error !== undefined) return error;
    out.bytes[head] = this.#more ? 1 : 0;
    writeU53(out.bytes, head + 1, this.#count);
    writeU32(out.bytes, head + 9, this.#returned);
    return undefined;
  }

  /** What is left to count of the last range, where it was read in slices. */
  takeRest(): CountRest | undefined {
    const rest = this.#rest;
    this.#rest = undefined;
    return rest;
  }

  #readRows(
    state: StateView,
    range: RangeOperation,
    paged: boolean,
    out: ByteWriter,
  ): KvError | undefined {
    if (range.rangeEnd === undefined) return this.#single(state, range, out);
    if (range.countOnly || isKeyOrder(range)) return this.#inOrder(state, range, paged, out);
    return this.#sorted(state, range, out);
  }

  #single(state: StateView, range: RangeOperation, out: ByteWriter): KvError | undefined {
    const versionMax = state.versionMax(range.revision);
    const entry = state.find(range.key, 0, range.key.length, versionMax);
    if (entry === undefined) return undefined;
    this.#count = 1;
    if (range.countOnly) return undefined;
    const row = this.#row;
    readRow(entry, this.#prefixLength, row);
    if (!isWithinBounds(range, row)) return undefined;
    if (range.keysOnly) row.valueLength = 0;
    writeKeyValue(out, row);
    this.#returned = 1;
    return tooLarge(out.length - this.#start);
  }

  #inOrder(
    state: StateView,
    range: RangeOperation,
    paged: boolean,
    out: ByteWriter,
  ): KvError | undefined {
    const pageEnd = out.length + RANGE_RESPONSE_SIZE_BYTES;
    // A count in slices goes on while others write: it must not see them.
    const versionMax = Math.min(state.versionMax(range.revision), state.current);
    const scan = state.scan(rangeOf(range), paged ? versionMax : state.versionMax(range.revision));
    let error: KvError | undefined;
    let counted = 0;
    const stopsEarly = range.skipCount === true && !range.countOnly;
    while (error === undefined && !(stopsEarly && this.#more) && scan.next()) {
      this.#count++;
      if (this.#more || range.countOnly) {
        if (this.#putAside(scan, ++counted)) return undefined;
        continue;
      }
      readRow(scan.entry, this.#prefixLength, this.#row);
      if (!isWithinBounds(range, this.#row)) continue;
      if (this.#returned === range.limit && range.limit > 0) this.#more = true;
      else if (paged && out.length > pageEnd) this.#more = true;
      else error = this.#give(range, out);
    }
    scan.close();
    return error;
  }

  #putAside(scan: Scan, counted: number): boolean {
    if (!this.sliced || counted < COUNT_SLICE_ROWS) return false;
    this.#rest = new CountRest(scan, this.#count, this.#countAt);
    return true;
  }

  #give(range: RangeOperation, out: ByteWriter): KvError | undefined {
    if (range.keysOnly) this.#row.valueLength = 0;
    writeKeyValue(out, this.#row);
    this.#returned++;
    return tooLarge(out.length - this.#start);
  }

  #sorted(state: StateView, range: RangeOperation, out: ByteWriter): KvError | undefined {
    const gathered = this.#gathered;
    gathered.reset();
    const rows: SortRow[] = [];
    const scan = state.scan(rangeOf(range), state.versionMax(range.revision));
    let error: KvError | undefined;
    while (error === undefined && scan.next()) {
      this.#count++;
      readRow(scan.entry, this.#prefixLength, this.#row);
      if (!isWithinBounds(range, this.#row)) continue;
      if (range.keysOnly && range.sortTarget !== "value") this.#row.valueLength = 0;
      rows.push(sortRow(this.#row, range, gathered.length, rows.length));
      writeKeyValue(gathered, this.#row);
      error = tooLarge(gathered.length);
    }
    scan.close();
    if (error !== undefined) return error;
    sortRows(rows, range, gathered.bytes);
    this.#more = range.limit > 0 && rows.length > range.limit;
    if (this.#more) rows.length = range.limit;
    for (const row of rows) copyRow(row, range.keysOnly, gathered.bytes, out);
    this.#returned = rows.length;
    return tooLarge(out.length - this.#start);
  }
}

/** A gathered key-value: where it lies, and the number to sort by (unused for values). */
interface SortRow {
  readonly at: number;
  readonly ordinal: number;
  readonly number: number;
  readonly keyLength: number;
  readonly valueLength: number;
}

function sortRow(row: KeyValueView, range: RangeOperation, at: number, ordinal: number): SortRow {
  const { keyLength, valueLength } = row;
  return { at, ordinal, number: sortNumber(row, range), keyLength, valueLength };
}

function sortNumber(row: KeyValueView, range: RangeOperation): number {
  switch (range.sortTarget) {
    case "version":
      return row.version;
    case "create":
      return row.createRevision;
    case "mod":
      return row.modRevision;
    case "key":
    case "value":
      return 0;
  }
}

/** Rows that are equal by the target stay in key order; by key, descending means all reversed. */
function sortRows(rows: SortRow[], range: RangeOperation, bytes: Uint8Array): void {
  const sign = range.sortOrder === "descend" ? -1 : 1;
  if (range.sortTarget === "key") {
    rows.sort((a, b) => sign * (a.ordinal - b.ordinal));
  } else if (range.sortTarget === "value") {
    rows.sort((a, b) => sign * compareValues(a, b, bytes) || a.ordinal - b.ordinal);
  } else {
    rows.sort((a, b) => sign * (a.number - b.number) || a.ordinal - b.ordinal);
  }
}

function compareValues(a: SortRow, b: SortRow, bytes: Uint8Array): number {
  const aOffset = a.at + KEY_VALUE_FIXED_BYTES + a.keyLength;
  const bOffset = b.at + KEY_VALUE_FIXED_BYTES + b.keyLength;
  return compareSlices(bytes, aOffset, a.valueLength, bytes, bOffset, b.valueLength);
}

/** Copies an encoded key-value; of keys only, with the length of its value (second u32) cleared. */
function copyRow(row: SortRow, keysOnly: boolean, bytes: Uint8Array, out: ByteWriter): void {
  const at = out.length;
  const length = KEY_VALUE_FIXED_BYTES + row.keyLength + (keysOnly ? 0 : row.valueLength);
  out.slice(bytes, row.at, length);
  if (keysOnly) writeU32(out.bytes, at + 4, 0);
}

function isKeyOrder(range: RangeOperation): boolean {
  return range.sortTarget === "key" && range.sortOrder !== "descend";
}

function isWithinBounds(range: RangeOperation, row: KeyValueView): boolean {
  const { modRevision, createRevision } = row;
  return (
    modRevision >= range.minModRevision &&
    (range.maxModRevision === 0 || modRevision <= range.maxModRevision) &&
    createRevision >= range.minCreateRevision &&
    (range.maxCreateRevision === 0 || createRevision <= range.maxCreateRevision)
  );
}

function rangeOf(range: RangeOperation): { start: Uint8Array; end: Uint8Array | undefined } {
  return { start: range.key, end: range.rangeEnd };
}

/** The refusal of an answer that no frame can carry. */
export function tooLarge(sizeBytes: number): KvError | undefined {
  if (sizeBytes <= ANSWER_SIZE_BYTES_MAX) return undefined;
  const bound = ANSWER_SIZE_BYTES_MAX;
  const message = `the answer would exceed ${bound} bytes; ask for less, or in pages`;
  return notApplied("limitExceeded", message, { bound });
}
