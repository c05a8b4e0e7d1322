/**
 * An entry run: consecutive Raft log entries of one term in one block of bytes, encoded once by
 * the leader that evaluated them. The same bytes are logged, sent and applied; nothing on the way
 * makes an object per entry.
 *
 * bytes = count × ( u32 length | payload )
 *
 * Runs of kind "noop" and "configuration" hold exactly one entry.
 */
import { assert } from "./assert.js";
import { readU32, writeU32 } from "./coding.js";

export type EntryKind = "command" | "noop" | "configuration";

export interface EntryRun {
  readonly kind: EntryKind;
  readonly term: number;
  /** Index of the first entry; the log starts at 1. */
  readonly firstIndex: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

export const ENTRY_HEADER_SIZE_BYTES = 4;

export function lastIndexOf(run: EntryRun): number {
  return run.firstIndex + run.count - 1;
}

/** The byte offset in `run.bytes` at which entry `index` starts; `last + 1` gives the end. */
export function entryOffset(run: EntryRun, index: number): number {
  assert(index >= run.firstIndex && index <= run.firstIndex + run.count, "index outside its run");
  let at = 0;
  for (let i = run.firstIndex; i < index; i++)
    at += ENTRY_HEADER_SIZE_BYTES + readU32(run.bytes, at);
  return at;
}

/** The entries [from, to] of a run as a run that shares its bytes. */
export function sliceRun(run: EntryRun, from: number, to: number): EntryRun {
  if (from === run.firstIndex && to === lastIndexOf(run)) return run;
  const start = entryOffset(run, from);
  const end = entryOffset(run, to + 1);
  return {
    kind: run.kind,
    term: run.term,
    firstIndex: from,
    count: to - from + 1,
    bytes: run.bytes.subarray(start, end),
  };
}

/** A run of one entry with this payload. */
export function singleRun(
  kind: EntryKind,
  term: number,
  index: number,
  payload: Uint8Array,
): EntryRun {
  const bytes = new Uint8Array(ENTRY_HEADER_SIZE_BYTES + payload.length);
  writeU32(bytes, 0, payload.length);
  bytes.set(payload, ENTRY_HEADER_SIZE_BYTES);
  return { kind, term, firstIndex: index, count: 1, bytes };
}

/** Checks that `bytes` really is `count` whole entries; for bytes that came from outside. */
export function isWellFormedRun(run: EntryRun): boolean {
  let at = 0;
  for (let i = 0; i < run.count; i++) {
    if (at + ENTRY_HEADER_SIZE_BYTES > run.bytes.length) return false;
    at += ENTRY_HEADER_SIZE_BYTES + readU32(run.bytes, at);
  }
  return run.count > 0 && at === run.bytes.length;
}
