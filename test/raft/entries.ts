/**
 * Log entries one by one, as tests like to see them; the core itself only knows runs.
 */
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteWriter, readU32 } from "../../src/base/coding.js";
import type { EntryKind, EntryRun } from "../../src/base/entry-run.js";

export interface Entry {
  readonly kind: EntryKind;
  readonly term: number;
  readonly payload: Uint8Array;
}

export function encodeCommands(...texts: readonly string[]): Uint8Array {
  const writer = new ByteWriter();
  for (const text of texts) writer.blob(utf8(text));
  return writer.copy();
}

export function entriesOf(run: EntryRun): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0, at = 0; i < run.count; i++) {
    const length = readU32(run.bytes, at);
    const payload = run.bytes.slice(at + 4, at + 4 + length);
    entries.push({ kind: run.kind, term: run.term, payload });
    at += 4 + length;
  }
  return entries;
}

export function entryText(entry: Entry): string {
  if (entry.kind !== "command") return entry.kind;
  return utf8Text(entry.payload);
}
