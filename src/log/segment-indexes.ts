/**
 * The indexes of all segments of a log. That of the active segment is in memory; a full segment
 * ends with its own, and of it only the place is known. One that could not be written, since there
 * was no room for it or the node was killed before, stays in memory as long as its segment does.
 */
import type { Item } from "./batch-format.js";
import { SegmentIndex } from "./segment-index.js";

export class SegmentIndexes {
  #active: SegmentIndex = new SegmentIndex();
  /** By segment. */
  readonly #kept: Map<number, SegmentIndex> = new Map();
  /** The offsets of the batches that hold the indexes of segments. */
  readonly #places: Map<number, number> = new Map();

  /** Of the segment that is written to. */
  get active(): SegmentIndex {
    return this.#active;
  }

  /** The index of a segment, if it is in memory. */
  kept(segment: number): SegmentIndex | undefined {
    return this.#kept.get(segment);
  }

  /** The offset of the batch in a segment that holds its index. */
  placeOf(segment: number): number | undefined {
    return this.#places.get(segment);
  }

  /** A start found an append in a segment. */
  found(segment: number, item: Item, offset: number): void {
    let index = this.#kept.get(segment);
    if (index === undefined) {
      index = new SegmentIndex();
      this.#kept.set(segment, index);
    }
    index.add(item, offset);
  }

  /** The index of a segment was written, or found, at this offset. */
  written(segment: number, offset: number): void {
    this.#places.set(segment, offset);
  }

  /** A start has found all there is; it goes on in `segment`, of which it may have found some. */
  begin(segment: number): void {
    this.#active = this.#kept.get(segment) ?? new SegmentIndex();
    this.#places.delete(segment);
    for (const number of this.#places.keys()) this.#kept.delete(number);
    this.#kept.delete(segment);
  }

  /** The active segment is full; the next one is empty. */
  sealed(segment: number): void {
    if (!this.#places.has(segment)) this.#kept.set(segment, this.#active);
    this.#active = new SegmentIndex();
  }

  /** Nobody needs the segments below this one. */
  forgetBelow(segment: number): void {
    for (const indexes of [this.#kept, this.#places]) {
      for (const number of indexes.keys()) if (number < segment) indexes.delete(number);
    }
  }
}
