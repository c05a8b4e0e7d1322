/**
 * A hash over what the data family means at a revision, not over how it is stored: replicas that
 * applied the same entries agree, whatever each has flushed, compacted or not yet dropped.
 *
 * Counted are, per key, the versions above the compacted revision and up to the one asked for, and
 * the newest one at or below the compacted revision unless that is a tombstone.
 */
import { ByteWriter } from "../base/coding.js";
import { crc32 } from "../base/checksum.js";
import { compareSlices } from "../base/bytes.js";
import type { EntryView } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import type { DataTree } from "./state-view.js";

const BATCH_BYTES = 256 * 1024;

export function logicalHash(tree: DataTree, revision: number, compactedRevision: number): number {
  const batch = new ByteWriter(BATCH_BYTES);
  batch.u53(revision);
  batch.u53(compactedRevision);
  const key = new ByteWriter();
  let isSettled = false;
  let hash = 0;
  const cursor = tree.cursor(FAMILY.data, tree.range, revision, "all");
  while (cursor.next()) {
    const entry = cursor.entry;
    if (!isKey(entry, key)) {
      key.reset();
      key.slice(entry.bytes, entry.keyOffset, entry.keyLength);
      isSettled = false;
    }
    if (isSettled) continue;
    isSettled = entry.version <= compactedRevision;
    if (isSettled && entry.tombstone) continue;
    addEntry(batch, entry);
    if (batch.length < BATCH_BYTES) continue;
    hash = crc32(batch.view(), hash);
    batch.reset();
  }
  cursor.close();
  return crc32(batch.view(), hash);
}

function isKey(entry: EntryView, key: ByteWriter): boolean {
  const { bytes, keyOffset, keyLength } = entry;
  return compareSlices(bytes, keyOffset, keyLength, key.bytes, 0, key.length) === 0;
}

function addEntry(batch: ByteWriter, entry: EntryView): void {
  batch.u53(entry.version);
  batch.u8(entry.tombstone ? 1 : 0);
  batch.u32(entry.keyLength);
  batch.slice(entry.bytes, entry.keyOffset, entry.keyLength);
  batch.u32(entry.valueLength);
  batch.slice(entry.valueBytes, entry.valueOffset, entry.valueLength);
}
