/**
 * Which revisions lie in which leaf of the bucket of keys. Those of one transaction lie in one
 * leaf, so that the leaf of a key-value is known by its revision; a leaf that is larger than a page
 * is as many pages as it takes.
 */
import { assert } from "../../base/assert.js";
import { COUNT_MAX, PAGE_BYTES, nodeBytes, pagesFor } from "./bolt-format.js";
import { REVISION_BYTES } from "./etcd-layout.js";

export class LeafPlan {
  /** Of each leaf, its first revision, how many rows it has, and how many pages it takes. */
  readonly firstRevisions: number[] = [];
  readonly rowCounts: number[] = [];
  readonly pageCounts: number[] = [];
  #revision = -1;
  /** Of the leaf that is being filled, with and without the last revision. */
  #count = 0;
  #dataBytes = 0;
  #countBefore = 0;
  #dataBytesBefore = 0;

  get leafCount(): number {
    return this.firstRevisions.length;
  }

  /** The next key-value, in the order of revisions. */
  add(revision: number, valueBytes: number): void {
    if (revision !== this.#revision) this.#beginRevision(revision);
    this.#count++;
    this.#dataBytes += REVISION_BYTES + valueBytes;
    const isFull = nodeBytes(this.#count, this.#dataBytes) > PAGE_BYTES;
    if (isFull && this.#countBefore > 0) this.#cut();
    assert(this.#count <= COUNT_MAX, "a transaction has fewer keys than a page can count");
  }

  /** All were added. */
  finish(): void {
    if (this.#count > 0) this.#end(this.#count, this.#dataBytes);
  }

  /** The leaf in which a revision lies. */
  leafOf(revision: number): number {
    let low = 0;
    let high = this.leafCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.firstRevisions[middle]! <= revision) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #beginRevision(revision: number): void {
    this.#revision = revision;
    this.#countBefore = this.#count;
    this.#dataBytesBefore = this.#dataBytes;
    if (this.#count === 0) this.firstRevisions.push(revision);
  }

  /** The leaf ends before the revision that is being added; that begins the next one. */
  #cut(): void {
    this.#end(this.#countBefore, this.#dataBytesBefore);
    this.firstRevisions.push(this.#revision);
    this.#count -= this.#countBefore;
    this.#dataBytes -= this.#dataBytesBefore;
    this.#countBefore = 0;
    this.#dataBytesBefore = 0;
  }

  #end(rowCount: number, dataBytes: number): void {
    this.rowCounts.push(rowCount);
    this.pageCounts.push(pagesFor(nodeBytes(rowCount, dataBytes)));
  }
}
