/**
 * What a tree holds and hands out: entries (key, version, put or tombstone, value), the cursor over
 * them, and the state that a flush makes durable together with them. Types only.
 */

/**
 * One entry, seen through a slot that is used again: its fields hold until the next call on the
 * tree or cursor that gave it. Copy what must live longer.
 */
export interface EntryView {
  /** The buffer that holds the key at [keyOffset, keyOffset + keyLength). */
  readonly bytes: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  readonly version: number;
  readonly tombstone: boolean;
  /**
   * The buffer that holds the value at [valueOffset, valueOffset + valueLength). A large value is
   * read from disk at the first look at this field, so that scans of keys alone never pay for it.
   */
  readonly valueBytes: Uint8Array;
  readonly valueOffset: number;
  readonly valueLength: number;
}

/** "newest": of each key the newest version that is not too new. "all": every such version. */
export type CursorMode = "newest" | "all";

/**
 * Walks entries in order: keys ascending, versions of a key descending. It starts before the first
 * entry and pins the files and memtables it reads until it is closed.
 */
export interface Cursor {
  readonly entry: EntryView;
  /** Moves to the next entry; false at the end. */
  next(): boolean;
  /** Positions so that the next entry is the first whose key is at or after `key`. */
  seek(key: Uint8Array): void;
  close(): void;
}

/** The state of a replica at the entry after which a memtable was frozen (durable by its flush). */
export interface FlushedState {
  /** The last entry of the Raft log that is contained. */
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  readonly compactedRevision: number;
  readonly closedRevision: number;
  readonly logicalClock: number;
  /** Opaque to the store. */
  readonly configuration: Uint8Array;
}
