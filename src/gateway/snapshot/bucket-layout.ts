/**
 * Where the pages of a bucket lie: its leaves, then the branches over them, level by level, the
 * root last. All of it is known before the first page is written.
 */
import { ELEMENT_BYTES, PAGE_BYTES, PAGE_HEAD_BYTES, branchPage } from "./bolt-format.js";
import type { BranchEntry } from "./bolt-format.js";

export class BucketLayout {
  readonly #leafIds: Float64Array;
  readonly #keyOf: (leaf: number) => Uint8Array;
  /** Of each level of branches, the lowest first, the id of its first page and how many it has. */
  readonly #levels: { readonly firstId: number; readonly count: number }[] = [];
  readonly #fanOut: number;
  readonly rootId: number;
  /** Behind the last page. */
  readonly endId: number;

  /** There is at least one leaf; `keyOf` gives the first key of each, all of them equally long. */
  constructor(firstId: number, pageCounts: readonly number[], keyOf: (leaf: number) => Uint8Array) {
    this.#keyOf = keyOf;
    this.#leafIds = new Float64Array(pageCounts.length);
    let id = firstId;
    for (const [leaf, count] of pageCounts.entries()) {
      this.#leafIds[leaf] = id;
      id += count;
    }
    const entryBytes = ELEMENT_BYTES + keyOf(0).length;
    this.#fanOut = Math.floor((PAGE_BYTES - PAGE_HEAD_BYTES) / entryBytes);
    let { length: count } = pageCounts;
    while (count > 1) {
      count = Math.ceil(count / this.#fanOut);
      this.#levels.push({ firstId: id, count });
      id += count;
    }
    this.rootId = this.#levels.at(-1)?.firstId ?? firstId;
    this.endId = id;
  }

  leafId(leaf: number): number {
    return this.#leafIds[leaf]!;
  }

  *branches(): Generator<Uint8Array, void> {
    let childCount = this.#leafIds.length;
    let childIdOf = (child: number): number => this.leafId(child);
    let leavesOfChild = 1;
    for (const { firstId, count } of this.#levels) {
      for (let i = 0; i < count; i++) {
        const children: BranchEntry[] = [];
        const end = Math.min((i + 1) * this.#fanOut, childCount);
        for (let child = i * this.#fanOut; child < end; child++) {
          children.push({ key: this.#keyOf(child * leavesOfChild), pageId: childIdOf(child) });
        }
        yield branchPage(firstId + i, children);
      }
      childCount = count;
      childIdOf = (child) => firstId + child;
      leavesOfChild *= this.#fanOut;
    }
  }
}
