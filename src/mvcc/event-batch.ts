/**
 * The events of one revision in encoded form. Each is encoded when the first watcher asks for it,
 * once with and once without the previous key-value, and then shared by all. Filled again for each
 * revision; what it gives out is valid until then.
 */
import { must } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { ByteWriter } from "../base/coding.js";
import { WATCH_PART_BYTES } from "../base/limits.js";
import { FAMILY } from "../lsm/families.js";
import { KeyValueView } from "../protocol/key-value-codec.js";
import { writeWatchEvent } from "../protocol/watch-codec.js";
import { EFFECT_TYPES } from "./effects-format.js";
import type { DataTree } from "./state-view.js";
import { clearValue, readRow, readStored } from "./stored-value.js";

/** Where the encoded events begin and end; -1 for those that were not asked for. */
interface Variant {
  readonly out: ByteWriter;
  readonly starts: number[];
  readonly ends: number[];
}

export class EventBatch {
  readonly #prefixLength: number;
  #tree: DataTree | undefined = undefined;
  #revision = 0;
  #compacted = 0;
  #count = 0;
  /** Per event: its type, its stored key, and its stored value if it is at hand. */
  readonly #types: number[] = [];
  readonly #buffers: Uint8Array[] = [];
  readonly #keyOffsets: number[] = [];
  readonly #keyLengths: number[] = [];
  /** -1: to be read from the tree. */
  readonly #storedLengths: number[] = [];
  readonly #plain: Variant = newVariant();
  readonly #withPrevious: Variant = newVariant();
  readonly #gathered = new ByteWriter(0);
  readonly #row = new KeyValueView();
  readonly #previous = new KeyValueView();

  constructor(prefixLength: number) {
    this.#prefixLength = prefixLength;
  }

  get count(): number {
    return this.#count;
  }

  begin(tree: DataTree, revision: number, compactedRevision: number): void {
    this.#tree = tree;
    this.#revision = revision;
    this.#compacted = compactedRevision;
    this.#count = 0;
    this.#plain.out.reset();
    this.#withPrevious.out.reset();
  }

  /** Adds an event whose bytes stay; a stored value lies directly behind its key. */
  add(
    type: number,
    buffer: Uint8Array,
    keyOffset: number,
    keyLength: number,
    storedLength: number,
  ): void {
    const at = this.#count++;
    this.#types[at] = type;
    this.#buffers[at] = buffer;
    this.#keyOffsets[at] = keyOffset;
    this.#keyLengths[at] = keyLength;
    this.#storedLengths[at] = storedLength;
    this.#plain.starts[at] = -1;
    this.#withPrevious.starts[at] = -1;
  }

  /** Encodes one event; false where a part is full without it. */
  encode(ordinal: number, withPrevious: boolean): boolean {
    const variant = withPrevious ? this.#withPrevious : this.#plain;
    if (variant.starts[ordinal]! >= 0) return true;
    if (variant.out.length >= WATCH_PART_BYTES) return false;
    this.#encode(variant, ordinal, withPrevious);
    return true;
  }

  /**
   * The given events (ordinals ascending), one after the other; valid until the next call.
   * undefined: they, or all that was asked for together, are too much for one part.
   */
  encodedView(ordinals: readonly number[], withPrevious: boolean): Uint8Array | undefined {
    const { out, starts, ends } = withPrevious ? this.#withPrevious : this.#plain;
    if (ordinals.length === 0) return EMPTY_BYTES;
    let isContiguous = true;
    for (let i = 0; i < ordinals.length; i++) {
      const ordinal = ordinals[i]!;
      if (!this.encode(ordinal, withPrevious)) return undefined;
      if (i > 0 && starts[ordinal] !== ends[ordinals[i - 1]!]) isContiguous = false;
    }
    const last = ordinals[ordinals.length - 1]!;
    if (isContiguous) return out.bytes.subarray(starts[ordinals[0]!]!, ends[last]);
    const gathered = this.#gathered;
    gathered.reset();
    for (const ordinal of ordinals) {
      gathered.slice(out.bytes, starts[ordinal]!, ends[ordinal]! - starts[ordinal]!);
    }
    return gathered.view();
  }

  #encode(variant: Variant, ordinal: number, withPrevious: boolean): void {
    const isDelete = this.#types[ordinal] === EFFECT_TYPES.tombstone;
    // Both may meet damage: nothing is written or noted before.
    this.#readRow(ordinal, isDelete);
    const hasPrevious = withPrevious && this.#readPrevious(ordinal, isDelete);
    variant.starts[ordinal] = variant.out.length;
    writeWatchEvent(variant.out, isDelete, this.#row, hasPrevious ? this.#previous : undefined);
    variant.ends[ordinal] = variant.out.length;
  }

  #readRow(ordinal: number, isDelete: boolean): void {
    const row = this.#row;
    const buffer = this.#buffers[ordinal]!;
    const keyOffset = this.#keyOffsets[ordinal]!;
    const keyLength = this.#keyLengths[ordinal]!;
    const storedLength = this.#storedLengths[ordinal]!;
    row.keyBytes = buffer;
    row.keyOffset = keyOffset + this.#prefixLength;
    row.keyLength = keyLength - this.#prefixLength;
    row.modRevision = this.#revision;
    if (isDelete) {
      clearValue(row);
    } else if (storedLength >= 0) {
      readStored(buffer, keyOffset + keyLength, storedLength, row);
    } else {
      const tree = must(this.#tree);
      const entry = tree.get(FAMILY.data, buffer, keyOffset, keyLength, this.#revision);
      readRow(must(entry, "version named by the revision index"), this.#prefixLength, row);
    }
  }

  /**
   * Reads what the key was before. It is left out where the read would be below the compacted
   * revision, whether or not the bytes are still there, so that all replicas answer alike. The
   * value of the event itself may lie in the tree's slot, so its row is written first.
   */
  #readPrevious(ordinal: number, isDelete: boolean): boolean {
    const before = this.#revision - 1;
    if (before < this.#compacted) return false;
    if (!isDelete && this.#row.version === 1) return false;
    if (this.#storedLengths[ordinal]! < 0) this.#keepValue();
    const buffer = this.#buffers[ordinal]!;
    const keyOffset = this.#keyOffsets[ordinal]!;
    const keyLength = this.#keyLengths[ordinal]!;
    const entry = must(this.#tree).get(FAMILY.data, buffer, keyOffset, keyLength, before);
    if (entry === undefined || entry.tombstone) return false;
    readRow(entry, this.#prefixLength, this.#previous);
    return true;
  }

  /** Copies the row's value out of the tree's slot, which the next read would take. */
  #keepValue(): void {
    const row = this.#row;
    row.valueBytes = row.valueBytes.slice(row.valueOffset, row.valueOffset + row.valueLength);
    row.keyBytes = row.keyBytes.slice(row.keyOffset, row.keyOffset + row.keyLength);
    row.valueOffset = 0;
    row.keyOffset = 0;
  }
}

function newVariant(): Variant {
  return { out: new ByteWriter(0), starts: [], ends: [] };
}
