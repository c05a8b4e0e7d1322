/**
 * The data of a shard as one operation sees it: the tree, under it an overlay when a leader
 * evaluates, and the revisions that may be asked for. Reads only.
 */
import { compareSlices } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { Cursor, EntryView } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import type { Tree } from "../lsm/tree.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Overlay } from "./overlay.js";

/** What this folder uses of a tree. */
export type DataTree = Pick<Tree, "range" | "insert" | "get" | "cursor">;

export class StateView {
  readonly tree: DataTree;
  readonly overlay: Overlay | undefined;
  /** No version above it is seen, whatever is asked for. */
  newest: number = Number.MAX_SAFE_INTEGER;
  /** The bounds of the revisions that may be named. */
  current = 0;
  compacted = 0;

  constructor(tree: DataTree, overlay: Overlay | undefined) {
    this.tree = tree;
    this.overlay = overlay;
  }

  /** The greatest version to look at when `revision` (0: the newest) is asked for. */
  versionMax(revision: number): number {
    return revision === 0 ? this.newest : revision;
  }

  /** How many rows scans that begin now may visit together; none left means they were cut short. */
  budget: RowBudget = { rowsLeft: Number.POSITIVE_INFINITY };

  /** Why `revision` cannot be read, if so. */
  refusal(revision: number): KvError | undefined {
    if (revision === 0) return undefined;
    if (revision > this.current) return futureRevision(revision, this.current);
    if (revision < this.compacted) return compactedRevision(revision, this.compacted);
    return undefined;
  }

  /** The live version of a key, or undefined; valid until the next call. */
  find(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    versionMax: number,
  ): EntryView | undefined {
    let entry = this.overlay?.find(bytes, keyOffset, keyLength, versionMax);
    entry ??= this.tree.get(FAMILY.data, bytes, keyOffset, keyLength, versionMax);
    return entry === undefined || entry.tombstone ? undefined : entry;
  }

  /** Walks the live keys of a range in order; close it. */
  scan(range: KeyRange, versionMax: number): Scan {
    const cursor = this.tree.cursor(FAMILY.data, range, versionMax, "newest");
    const overlay = this.overlay;
    if (overlay === undefined || overlay.size === 0)
      return new Scan(cursor, this.budget, undefined, NO_EFFECTS);
    return new Scan(cursor, this.budget, overlay, overlay.effectsIn(range, versionMax));
  }
}

export interface RowBudget {
  rowsLeft: number;
}

const NO_EFFECTS: readonly number[] = [];

/** Live keys in order, the overlay's version before the tree's. */
export class Scan {
  /** The key that `next` moved to; valid until the next call. */
  entry: EntryView;
  readonly #cursor: Cursor;
  readonly #budget: RowBudget;
  readonly #overlay: Overlay | undefined;
  readonly #effects: readonly number[];
  #effectAt = 0;
  /** Whether the cursor stands on an entry that was not given out yet. */
  #pending = false;

  constructor(
    cursor: Cursor,
    budget: RowBudget,
    overlay: Overlay | undefined,
    effects: readonly number[],
  ) {
    this.#cursor = cursor;
    this.#budget = budget;
    this.#overlay = overlay;
    this.#effects = effects;
    this.entry = cursor.entry;
  }

  next(): boolean {
    do {
      if (--this.#budget.rowsLeft < 0 || !this.#advance()) return false;
    } while (this.entry.tombstone);
    return true;
  }

  close(): void {
    this.#cursor.close();
  }

  #advance(): boolean {
    const cursor = this.#cursor;
    if (this.#effectAt === this.#effects.length) {
      if (!this.#pending && !cursor.next()) return false;
      this.entry = cursor.entry;
      this.#pending = false;
      return true;
    }
    if (!this.#pending) this.#pending = cursor.next();
    const other = this.#overlay!.entryOf(this.#effects[this.#effectAt]!);
    const order = this.#pending ? compareKeys(other, cursor.entry) : -1;
    if (order > 0) {
      this.entry = cursor.entry;
      this.#pending = false;
      return true;
    }
    if (order === 0) this.#pending = false;
    this.entry = other;
    this.#effectAt++;
    return true;
  }
}

export function futureRevision(revision: number, bound: number): KvError {
  const message = `revision ${revision} is a future revision: the newest is ${bound}`;
  return notApplied("futureRevision", message, { bound });
}

export function compactedRevision(revision: number, bound: number): KvError {
  const message = `revision ${revision} has been compacted: the oldest readable is ${bound}`;
  return notApplied("compacted", message, { bound });
}

function compareKeys(a: EntryView, b: EntryView): number {
  return compareSlices(a.bytes, a.keyOffset, a.keyLength, b.bytes, b.keyOffset, b.keyLength);
}
