/**
 * What a shard should hold: every version of every key in sorted maps, outside of all faults. It
 * can say what the shard held after any number of its entries, because a crash may take some back.
 */
import type { Change, Question } from "./operations.js";

export interface Row {
  readonly key: string;
  readonly version: number;
  /** Undefined for a tombstone. */
  readonly size: number | undefined;
}

export class ShardModel {
  /** The changes in the order of their indexes, which start at 1. */
  readonly changes: Change[] = [];
  /** Versions of each key, ascending. */
  readonly #versions: Map<string, Row[]> = new Map();
  #horizon = 0;

  /** The model after the first `index` changes. */
  after(index: number): ShardModel {
    const earlier = new ShardModel();
    for (let i = 0; i < index; i++) earlier.add(this.changes[i]!);
    return earlier;
  }

  get lastIndex(): number {
    return this.changes.length;
  }

  /** Older revisions than this may be gone. */
  get horizon(): number {
    return this.#horizon;
  }

  keys(): readonly string[] {
    return [...this.#versions.keys()].sort();
  }

  add(change: Change): void {
    this.changes.push(change);
    const version = this.changes.length;
    if (change.kind === "forget") {
      this.#horizon = horizonAfter(this.#horizon, version, change);
      return;
    }
    const rows = this.#versions.get(change.key) ?? [];
    this.#versions.set(change.key, rows);
    const size = change.kind === "put" ? change.size : undefined;
    rows.push({ key: change.key, version, size });
  }

  /** The revision that a question means. */
  revisionOf(question: Question): number {
    return Math.max(this.#horizon, this.lastIndex - question.back);
  }

  get(key: string, revision: number): Row | undefined {
    const row = this.#versions.get(key)?.findLast((each) => each.version <= revision);
    return row?.size === undefined ? undefined : row;
  }

  /** Puts that a reader at the revision sees, in order of their keys. */
  newest(from: string, to: string | undefined, revision: number): Row[] {
    const rows: Row[] = [];
    for (const key of this.#keysIn(from, to)) {
      const row = this.get(key, revision);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  /** Every version that must still be there, keys ascending and their versions descending. */
  all(from: string, to: string | undefined, revision: number): Row[] {
    const rows: Row[] = [];
    for (const key of this.#keysIn(from, to)) {
      const kept = this.#versions.get(key)!.filter(({ version }) => {
        return version >= this.#horizon && version <= revision;
      });
      rows.push(...kept.reverse());
    }
    return rows;
  }

  #keysIn(from: string, to: string | undefined): string[] {
    return this.keys().filter((key) => key >= from && (to === undefined || key < to));
  }
}

/** The horizon once a "forget" is applied at an index. */
export function horizonAfter(
  before: number,
  index: number,
  change: Extract<Change, { readonly kind: "forget" }>,
): number {
  return Math.max(before, index - change.keep);
}
