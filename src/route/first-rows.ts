/**
 * The first rows in some order, of rows that come by in the order of their keys: what a sorted
 * range with a limit keeps of a range of any size, twice its limit at most.
 */
import type { KeyValue } from "../protocol/key-value.js";
import { rowOrder, sortRows } from "./range-merge.js";
import type { MergeOrder } from "./range-merge.js";

export class FirstRows {
  readonly #order: MergeOrder;
  readonly #compare: (a: KeyValue, b: KeyValue) => number;
  readonly #roomRows: number;
  #rows: KeyValue[] = [];
  /** Once there are enough rows: what does not come before it is not among the first. */
  #bar: KeyValue | undefined;
  #more = false;

  constructor(order: MergeOrder) {
    this.#order = order;
    this.#compare = rowOrder(order);
    this.#roomRows = order.limit === 0 ? Number.POSITIVE_INFINITY : order.limit * 2;
  }

  add(kv: KeyValue): void {
    // Of rows that are equal in the target the earlier key comes first, which was here before.
    if (this.#bar !== undefined && this.#compare(kv, this.#bar) >= 0) {
      this.#more = true;
      return;
    }
    this.#rows.push(kv);
    if (this.#rows.length >= this.#roomRows) this.#cut();
  }

  /** In their order, and whether there were more. */
  take(): { readonly kvs: readonly KeyValue[]; readonly more: boolean } {
    this.#cut();
    return { kvs: this.#rows, more: this.#more };
  }

  #cut(): void {
    const { limit } = this.#order;
    sortRows(this.#rows, this.#order);
    if (limit === 0 || this.#rows.length < limit) return;
    if (this.#rows.length > limit) this.#more = true;
    this.#rows.length = limit;
    this.#bar = this.#rows[limit - 1];
  }
}
