/**
 * A hash over what the data family means at a revision, not over how it is stored: replicas that
 * applied the same entries agree, whatever each has flushed, compacted or not yet dropped.
 *
 * Counted are, per key, the versions above the compacted revision and up to the one asked for, and
 * the newest one at or below the compacted revision unless that is a tombstone.
 *
 * It is made in steps, and of the state as it was when it began: what the cursor pins, up to a
 * fixed version.
 */
import { ByteWriter } from "../base/coding.js";
import { crc32 } from "../base/checksum.js";
import { compareSlices } from "../base/bytes.js";
import type { Cursor, EntryView } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import type { DataTree } from "./state-view.js";

const BATCH_BYTES = 256 * 1024;
/** Versions of one step, about two milliseconds; large values end it earlier. */
const STEP_VERSIONS = 4000;

export class LogicalHash {
  readonly revision: number;
  readonly compactedRevision: number;
  readonly #cursor: Cursor;
  readonly #batch = new ByteWriter(BATCH_BYTES);
  readonly #key = new ByteWriter();
  /** Nothing older of this key counts. */
  #isSettled = false;
  #hash = 0;

  constructor(tree: DataTree, revision: number, compactedRevision: number) {
    this.revision = revision;
    this.compactedRevision = compactedRevision;
    this.#batch.u53(revision);
    this.#batch.u53(compactedRevision);
    this.#cursor = tree.cursor(FAMILY.data, tree.range, revision, "all");
  }

  /** Of all that was stepped over. */
  get value(): number {
    return crc32(this.#batch.view(), this.#hash);
  }

  /** Goes on; true when all is hashed. */
  step(): boolean {
    for (let i = 0; i < STEP_VERSIONS; i++) {
      if (!this.#cursor.next()) {
        this.close();
        return true;
      }
      this.#add(this.#cursor.entry);
      if (this.#batch.length < BATCH_BYTES) continue;
      this.#hash = crc32(this.#batch.view(), this.#hash);
      this.#batch.reset();
      return false;
    }
    return false;
  }

  close(): void {
    this.#cursor.close();
  }

  #add(entry: EntryView): void {
    const key = this.#key;
    if (!isKey(entry, key)) {
      key.reset();
      key.slice(entry.bytes, entry.keyOffset, entry.keyLength);
      this.#isSettled = false;
    }
    if (this.#isSettled) return;
    this.#isSettled = entry.version <= this.compactedRevision;
    if (!this.#isSettled || !entry.tombstone) addEntry(this.#batch, entry);
  }
}

/** The whole in one step: for tests and the simulator. */
export function logicalHash(tree: DataTree, revision: number, compactedRevision: number): number {
  const hash = new LogicalHash(tree, revision, compactedRevision);
  while (!hash.step());
  return hash.value;
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
