/** Reads a tree as of a revision: the code behind the store, its snapshots and their cursors. */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { Cursor, EntryView } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import type { Tree } from "../lsm/tree.js";
import { notApplied } from "../protocol/errors.js";
import type {
  BytesLike,
  KeyAndValue,
  RangeOptions,
  ScanOptions,
  StoreCursor,
} from "./embedded-types.js";
import { CopyPool } from "./copy-pool.js";
import { bytesOf, errorOf } from "./embedded-types.js";

/** A tree and the cursors that read it now. */
export class TreeReader {
  readonly #tree: Tree;
  readonly #pool: CopyPool = new CopyPool();
  readonly #cursors: Set<TreeCursor> = new Set();
  #isClosed = false;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  get(key: BytesLike, revision: number): Uint8Array | undefined {
    this.#requireOpen();
    const bytes = bytesOf(key);
    try {
      const view = this.#tree.get(FAMILY.data, bytes, 0, bytes.length, revision);
      return view === undefined || view.tombstone ? undefined : this.#copyValue(view);
    } catch (error) {
      throw errorOf(error);
    }
  }

  cursor(options: RangeOptions, revision: number): StoreCursor {
    this.#requireOpen();
    const range = rangeOf(options);
    try {
      const cursor =
        options.reverse === true
          ? this.#tree.backwardCursor(FAMILY.data, range, revision)
          : this.#tree.cursor(FAMILY.data, range, revision, "newest");
      const made = new TreeCursor(cursor, this.#pool, () => this.#cursors.delete(made));
      this.#cursors.add(made);
      return made;
    } catch (error) {
      throw errorOf(error);
    }
  }

  /** The cursor is made at the call, so that the range is of that moment. */
  range(options: ScanOptions, revision: number): IterableIterator<KeyAndValue> {
    const { limit = Infinity } = options;
    if (typeof limit !== "number" || !(limit >= 0)) {
      throw notApplied("invalidArgument", "limit is a number that is not negative");
    }
    return new RangeIterator(this.cursor(options, revision), limit);
  }

  close(): void {
    this.#isClosed = true;
    for (const cursor of this.#cursors) cursor.close();
  }

  #copyValue(view: EntryView): Uint8Array {
    return this.#pool.copy(view.valueBytes, view.valueOffset, view.valueLength);
  }

  #requireOpen(): void {
    if (this.#isClosed) throw notApplied("closed", "the store is closed");
  }
}

/** It ends with the first error, because the tree's cursor does. */
class TreeCursor implements StoreCursor {
  readonly #cursor: Cursor;
  readonly #pool: CopyPool;
  readonly #onClose: () => void;
  #isClosed = false;

  constructor(cursor: Cursor, pool: CopyPool, onClose: () => void) {
    this.#cursor = cursor;
    this.#pool = pool;
    this.#onClose = onClose;
  }

  get entry(): EntryView {
    return this.#cursor.entry;
  }

  next(): boolean {
    if (this.#isClosed) throw notApplied("closed", "the cursor is closed");
    try {
      do {
        if (!this.#cursor.next()) return false;
      } while (this.#cursor.entry.tombstone);
      return true;
    } catch (error) {
      this.close();
      throw errorOf(error);
    }
  }

  seek(key: BytesLike): void {
    if (this.#isClosed) throw notApplied("closed", "the cursor is closed");
    try {
      this.#cursor.seek(bytesOf(key));
    } catch (error) {
      this.close();
      throw errorOf(error);
    }
  }

  key(): Uint8Array {
    const { bytes, keyOffset, keyLength } = this.#cursor.entry;
    return this.#pool.copy(bytes, keyOffset, keyLength);
  }

  value(): Uint8Array {
    try {
      const { valueBytes, valueOffset, valueLength } = this.#cursor.entry;
      return this.#pool.copy(valueBytes, valueOffset, valueLength);
    } catch (error) {
      throw errorOf(error);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cursor.close();
    this.#onClose();
  }
}

/** Closes its cursor at the end of the range, and when a loop leaves early. */
class RangeIterator implements IterableIterator<KeyAndValue> {
  readonly #cursor: StoreCursor;
  #left: number;

  constructor(cursor: StoreCursor, limit: number) {
    this.#cursor = cursor;
    this.#left = limit;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<KeyAndValue, undefined> {
    const cursor = this.#cursor;
    if (this.#left > 0 && cursor.next()) {
      this.#left--;
      return { done: false, value: [cursor.key(), cursor.value()] };
    }
    return this.return();
  }

  return(): IteratorReturnResult<undefined> {
    this.#left = 0;
    this.#cursor.close();
    return { done: true, value: undefined };
  }
}

function rangeOf({ start, end }: RangeOptions): KeyRange {
  return {
    start: start === undefined ? EMPTY_BYTES : bytesOf(start),
    end: end === undefined ? undefined : bytesOf(end),
  };
}
