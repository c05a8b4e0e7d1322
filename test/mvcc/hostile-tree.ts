/**
 * A tree that keeps its promise to the letter: what it shows holds until its next call and not a
 * moment longer. Every entry is copied into the same memory, which the next call overwrites.
 */
import type { KeyRange } from "../../src/base/key-range.js";
import type { Cursor, CursorMode, EntryView } from "../../src/lsm/entry.js";
import type { FamilyId } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { DataTree } from "../../src/mvcc/state-view.js";

class Slot implements EntryView {
  bytes: Uint8Array = new Uint8Array(1024);
  keyOffset = 0;
  keyLength = 0;
  version = 0;
  tombstone = false;
  valueBytes: Uint8Array = this.bytes;
  valueOffset = 0;
  valueLength = 0;

  show(entry: EntryView): void {
    this.bytes.fill(0xee);
    const { keyLength, valueLength } = entry;
    const { bytes, keyOffset, valueBytes, valueOffset } = entry;
    const length = 1 + keyLength + valueLength;
    if (length > this.bytes.length) this.bytes = new Uint8Array(length * 2);
    this.valueBytes = this.bytes;
    this.bytes.set(bytes.subarray(keyOffset, keyOffset + keyLength), 1);
    this.bytes.set(valueBytes.subarray(valueOffset, valueOffset + valueLength), 1 + keyLength);
    this.keyOffset = 1;
    this.keyLength = keyLength;
    this.valueOffset = 1 + keyLength;
    this.valueLength = valueLength;
    this.version = entry.version;
    this.tombstone = entry.tombstone;
  }
}

export class HostileTree implements DataTree {
  readonly #tree: Tree;
  readonly #slot = new Slot();
  readonly insert: Tree["insert"];

  constructor(tree: Tree) {
    this.#tree = tree;
    this.insert = tree.insert.bind(tree);
  }

  get range(): KeyRange {
    return this.#tree.range;
  }

  get(
    family: FamilyId,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    maxVersion: number,
  ): EntryView | undefined {
    const entry = this.#tree.get(family, key, keyOffset, keyLength, maxVersion);
    if (entry === undefined) this.#slot.bytes.fill(0xee);
    else this.#slot.show(entry);
    return entry === undefined ? undefined : this.#slot;
  }

  cursor(family: FamilyId, range: KeyRange, maxVersion: number, mode: CursorMode): Cursor {
    const cursor = this.#tree.cursor(family, range, maxVersion, mode);
    const slot = new Slot();
    return {
      entry: slot,
      next(): boolean {
        const found = cursor.next();
        if (found) slot.show(cursor.entry);
        return found;
      },
      seek: (key) => cursor.seek(key),
      close: () => cursor.close(),
    };
  }
}
