/**
 * The revision index: which keys each revision wrote, in the order in which it wrote them. Watches
 * read history from it. Part of the format: DO NOT CHANGE.
 *
 *   key: u53 big-endian revision | u32 big-endian ordinal      value: u8 type | stored key
 *
 * The version of an entry is its revision, so that compaction drops what is below the horizon.
 */
import { readU32BE, readU53BE, writeU32BE, writeU53BE } from "../base/coding.js";
import type { EntryView } from "../lsm/entry.js";

export const REVISION_KEY_BYTES = 12;

export function writeRevisionKey(bytes: Uint8Array, revision: number, ordinal: number): void {
  writeU53BE(bytes, 0, revision);
  writeU32BE(bytes, 8, ordinal);
}

export function revisionOf(entry: EntryView): number {
  return readU53BE(entry.bytes, entry.keyOffset);
}

export function ordinalOf(entry: EntryView): number {
  return readU32BE(entry.bytes, entry.keyOffset + 8);
}
