/**
 * The one shape behind every EntryView: filled again for each entry, so that a scan makes no
 * object per entry. A value that lies apart from its key is loaded when it is first looked at.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { EntryView } from "./entry.js";

/** Where values that lie apart are read from. */
export interface ValueSource {
  valueBlockBytes(ordinal: number): Uint8Array;
}

/** The ordinal that says: the value lies in `inlineBytes`. */
export const INLINE = -1;

export class EntrySlot implements EntryView {
  bytes: Uint8Array = EMPTY_BYTES;
  keyOffset = 0;
  keyLength = 0;
  version = 0;
  tombstone = false;
  inlineBytes: Uint8Array = EMPTY_BYTES;
  valueOffset = 0;
  valueLength = 0;
  /** The value block that holds the value, or INLINE. */
  valueOrdinal: number = INLINE;
  values: ValueSource | undefined = undefined;

  /** Makes this slot show what `other` shows. */
  copyFrom(other: EntrySlot): void {
    this.bytes = other.bytes;
    this.keyOffset = other.keyOffset;
    this.keyLength = other.keyLength;
    this.version = other.version;
    this.tombstone = other.tombstone;
    this.inlineBytes = other.inlineBytes;
    this.valueOffset = other.valueOffset;
    this.valueLength = other.valueLength;
    this.valueOrdinal = other.valueOrdinal;
    this.values = other.values;
  }

  get valueBytes(): Uint8Array {
    return this.valueOrdinal === INLINE ? this.inlineBytes : this.#load();
  }

  #load(): Uint8Array {
    this.inlineBytes = this.values!.valueBlockBytes(this.valueOrdinal);
    this.valueOrdinal = INLINE;
    return this.inlineBytes;
  }
}

/** Walks one run (a memtable or a slice) in entry order; `slot` holds where it stands. */
export interface RunCursor {
  readonly slot: EntrySlot;
  /** Moves to the first entry at or after (key, version); false where there is none. */
  seek(key: Uint8Array, keyOffset: number, keyLength: number, version: number): boolean;
  /** Moves to the next entry; false at the end. */
  next(): boolean;
  /** Moves to the last entry of a key before this one, or of all; false where there is none. */
  seekBefore(key: Uint8Array | undefined): boolean;
  /** Moves to the entry before; false at the beginning. */
  previous(): boolean;
}
