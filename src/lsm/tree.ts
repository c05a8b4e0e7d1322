/**
 * One shard's tree. (Signatures; the body follows.)
 */
import type { KeyRange } from "../base/key-range.js";
import type { Cursor, CursorMode, EntryView, FlushedState } from "./entry.js";
import type { FamilyId } from "./families.js";

export interface TreeStats {
  readonly memtableBytes: number;
  readonly frozenCount: number;
  readonly sliceCount: number;
  readonly sizeBytes: number;
  readonly entryCount: number;
}

export class Tree {
  readonly shardId: number;
  range: KeyRange;
  flushed: FlushedState;

  constructor(shardId: number, range: KeyRange, flushed: FlushedState) {
    this.shardId = shardId;
    this.range = range;
    this.flushed = flushed;
  }

  /**
   * Adds an entry whose value is header[0, headerLength) followed by value[offset, +length).
   * An entry that is already in the memtable is left alone, so that replay is idempotent.
   */
  insert2(
    _family: FamilyId,
    _key: Uint8Array,
    _keyOffset: number,
    _keyLength: number,
    _version: number,
    _tombstone: boolean,
    _header: Uint8Array,
    _headerLength: number,
    _value: Uint8Array,
    _valueOffset: number,
    _valueLength: number,
  ): void {
    throw new Error("not yet");
  }

  /** As insert2, without a header. */
  insert(
    _family: FamilyId,
    _key: Uint8Array,
    _keyOffset: number,
    _keyLength: number,
    _version: number,
    _tombstone: boolean,
    _value: Uint8Array,
    _valueOffset: number,
    _valueLength: number,
  ): void {
    throw new Error("not yet");
  }

  /** The newest version of a key that is at most `maxVersion`; a tombstone is given as such. */
  get(
    _family: FamilyId,
    _key: Uint8Array,
    _keyOffset: number,
    _keyLength: number,
    _maxVersion: number,
  ): EntryView | undefined {
    throw new Error("not yet");
  }

  cursor(_family: FamilyId, _range: KeyRange, _maxVersion: number, _mode: CursorMode): Cursor {
    throw new Error("not yet");
  }

  /** Bytes of all memtables, the frozen ones included. */
  memtableBytes(): number {
    throw new Error("not yet");
  }

  /** Between two entries of the log: what was inserted so far belongs to `state`. */
  freeze(_state: FlushedState): void {
    throw new Error("not yet");
  }

  stats(): TreeStats {
    throw new Error("not yet");
  }
}
