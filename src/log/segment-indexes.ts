/**
 * The indexes of all segments of a log. That of the active segment is in memory; a segment that
 * fills up ends with its own, and then only the place of that is. One that could not be written for
 * want of room stays in memory as long as its segment does, and so do those that a start made anew
 * as it walked the segments: what lies on the disk may have rotted since.
 */
import type { Item } from "./batch-format.js";
import { SegmentIndex } from "./segment-index.js";

export class SegmentIndexes {
  #activeSegment = 0;
  #active: SegmentIndex = new SegmentIndex();
  /** The offset of the batch that holds the index of the active segment. */
  #activePlace: number | undefined = undefined;
  /** By segment. */
  readonly #kept: Map<number, SegmentIndex> = new Map();
  /** By segment: the offsets of the batches that hold the indexes. */
  readonly #places: Map<number, number> = new Map();

  /** Of the segment that is written to. */
  get active(): SegmentIndex {
    return this.#active;
  }

  /** Where the index of the active segment was written, or is just being written. */
  get activePlace(): number | undefined {
    return this.#activePlace;
  }

  /** The index of a segment, if it is in memory. */
  inMemory(segment: number): SegmentIndex | undefined {
    return segment === this.#activeSegment ? this.#active : this.#kept.get(segment);
  }

  /** The offset of the batch that holds the index of a full segment. */
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

  /** A start goes on in this segment, in which it may have found something. */
  begin(segment: number): void {
    this.#activeSegment = segment;
    this.#active = this.#kept.get(segment) ?? new SegmentIndex();
    this.#kept.delete(segment);
  }

  /** The index of the active segment is written at this offset; nothing else follows there. */
  write(offset: number): void {
    this.#activePlace = offset;
  }

  /** The active segment is full; the next one is empty. */
  sealed(next: number): void {
    if (this.#activePlace === undefined) this.#kept.set(this.#activeSegment, this.#active);
    else this.#places.set(this.#activeSegment, this.#activePlace);
    this.#activeSegment = next;
    this.#active = new SegmentIndex();
    this.#activePlace = undefined;
  }

  /** Nobody needs the segments below this one. */
  forgetBelow(segment: number): void {
    for (const indexes of [this.#kept, this.#places]) {
      for (const number of indexes.keys()) if (number < segment) indexes.delete(number);
    }
  }
}
