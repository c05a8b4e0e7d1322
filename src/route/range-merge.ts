/**
 * One answer to a range from the answers of several shards. Each part must hold at least the first
 * `limit` of its own rows in the order that is asked for.
 */
import { compareBytes } from "../base/bytes.js";
import type { KeyValue } from "../protocol/key-value.js";
import type { RangeResult, SortOrder, SortTarget } from "../protocol/operations.js";

export interface MergeOrder {
  readonly sortOrder: SortOrder;
  readonly sortTarget: SortTarget;
  /** 0: no limit. */
  readonly limit: number;
}

/** `parts` come in the order of their keys. */
export function mergeRangeResults(parts: readonly RangeResult[], order: MergeOrder): RangeResult {
  let count = 0;
  let more = false;
  const kvs: KeyValue[] = [];
  for (const part of parts) {
    count += part.count;
    more ||= part.more;
    for (const kv of part.kvs) kvs.push(kv);
  }
  if (!isKeyOrder(order)) sortRows(kvs, order);
  if (order.limit > 0 && kvs.length > order.limit) {
    kvs.length = order.limit;
    more = true;
  }
  return { kind: "range", kvs, more, count };
}

/** Whether rows come in the order of their keys, as a scan finds them. */
export function isKeyOrder(order: MergeOrder): boolean {
  return order.sortTarget === "key" && order.sortOrder !== "descend";
}

/** Sorts in place; rows that are equal in the target stay in the order of their keys. */
export function sortRows(rows: KeyValue[], order: MergeOrder): void {
  rows.sort(rowOrder(order));
}

/** How two rows compare in the order that is asked for. */
export function rowOrder(order: MergeOrder): (a: KeyValue, b: KeyValue) => number {
  const compare = COMPARE_BY[order.sortTarget];
  return order.sortOrder === "descend" ? (a, b) => compare(b, a) : compare;
}

const COMPARE_BY: Readonly<Record<SortTarget, (a: KeyValue, b: KeyValue) => number>> = {
  key: (a, b) => compareBytes(a.key, b.key),
  version: (a, b) => a.version - b.version,
  create: (a, b) => a.createRevision - b.createRevision,
  mod: (a, b) => a.modRevision - b.modRevision,
  value: (a, b) => compareBytes(a.value, b.value),
};
