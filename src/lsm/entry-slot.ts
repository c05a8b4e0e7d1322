/**
 * The one shape behind every EntryView: filled again for each entry, so that a scan makes no
 * object per entry. A value that lies apart from its key is loaded when it is first looked at, and
 * its block is pinned until another one is; the key is pinned by the slot only where it is told to.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { EntryView } from "./entry.js";

/** Bytes that stay what they are as long as somebody pins them. */
export interface Pinnable {
  readonly bytes: Uint8Array;
  pin(): void;
  unpin(): void;
}

/** Where values that lie apart are read from. */
export interface ValueSource {
  /** A block of values; it holds until the next block is read, unless it is pinned. */
  valueFrame(ordinal: number): Pinnable;
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
  /** What `bytes` lies in, where that can be let go of. */
  frame: Pinnable | undefined = undefined;
  #heldFrame: Pinnable | undefined = undefined;
  /** The block of values that was looked at last. */
  #valueFrame: Pinnable | undefined = undefined;
  #valueFrameOrdinal: number = INLINE;
  #valueFrameOf: ValueSource | undefined = undefined;

  /** Keeps what lies in `frame` and is shown from now on in place, until it is told of another. */
  hold(frame: Pinnable | undefined): void {
    frame?.pin();
    this.#heldFrame?.unpin();
    this.#heldFrame = frame;
  }

  /** What is shown may be overwritten from now on. */
  letGo(): void {
    this.hold(undefined);
    this.#valueFrame?.unpin();
    this.#valueFrame = undefined;
    this.#valueFrameOf = undefined;
  }

  /** Makes this slot show and hold what `other` shows, of which nobody has looked at the value. */
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
    this.frame = other.frame;
    this.hold(other.frame);
  }

  get valueBytes(): Uint8Array {
    return this.valueOrdinal === INLINE ? this.inlineBytes : this.#load();
  }

  #load(): Uint8Array {
    const values = this.values!;
    const ordinal = this.valueOrdinal;
    if (values !== this.#valueFrameOf || ordinal !== this.#valueFrameOrdinal) {
      const frame = values.valueFrame(ordinal);
      frame.pin();
      this.#valueFrame?.unpin();
      this.#valueFrame = frame;
      this.#valueFrameOrdinal = ordinal;
      this.#valueFrameOf = values;
    }
    this.inlineBytes = this.#valueFrame!.bytes;
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
  /** Lets go of what it pins. */
  close(): void;
}
