/** Which slices of which trees show a part of each table: one, nearly always. */
import { assert } from "../base/assert.js";
import { equalBytes } from "../base/bytes.js";
import { intersectRanges } from "../base/key-range.js";
import type { Slice } from "./slice.js";
import type { SliceName } from "./version-edit.js";

export interface TableUse {
  readonly shardId: number;
  readonly slice: Slice;
}

export class TableUses {
  readonly #uses: Map<number, readonly TableUse[]> = new Map();

  of(fileNumber: number): readonly TableUse[] {
    return this.#uses.get(fileNumber) ?? [];
  }

  add(use: TableUse): void {
    const { fileNumber } = use.slice;
    this.#uses.set(fileNumber, [...this.of(fileNumber), use]);
  }

  remove({ shardId, slice }: TableUse): void {
    const { fileNumber } = slice;
    const left = this.of(fileNumber).filter(
      (use) => use.shardId !== shardId || use.slice !== slice,
    );
    assert(left.length + 1 === this.of(fileNumber).length, "a slice that is removed was there");
    if (left.length === 0) this.#uses.delete(fileNumber);
    else this.#uses.set(fileNumber, left);
  }

  /** Whether a tree shows any of these entries already. */
  shows(shardId: number, { fileNumber, family, range }: Slice): boolean {
    return this.of(fileNumber).some(
      (use) =>
        use.shardId === shardId &&
        use.slice.family === family &&
        intersectRanges(use.slice.range, range) !== undefined,
    );
  }

  find(shardId: number, { fileNumber, family, range }: SliceName): Slice | undefined {
    return this.of(fileNumber).find(
      (use) =>
        use.shardId === shardId &&
        use.slice.family === family &&
        (range === undefined || equalBytes(use.slice.range.start, range.start)),
    )?.slice;
  }
}
