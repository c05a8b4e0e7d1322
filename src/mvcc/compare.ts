/**
 * The compares of a transaction, decided against the state before anything of it is written. A
 * missing key compares as zeros; its value compares as false whatever is asked.
 */
import { compareSlices } from "../base/bytes.js";
import { leaseHigh, leaseLow } from "../protocol/key-value-codec.js";
import type { KeyValueView } from "../protocol/key-value-codec.js";
import type { Compare, CompareResult, CompareTarget } from "../protocol/operations.js";
import type { StateView } from "./state-view.js";
import { clearValue, readRow } from "./stored-value.js";

/** Whether every key that the compare names satisfies it. */
export function holds(state: StateView, compare: Compare, row: KeyValueView): boolean {
  const { key, rangeEnd } = compare;
  if (rangeEnd !== undefined) return rangeHolds(state, compare, { start: key, end: rangeEnd }, row);
  const entry = state.find(key, 0, key.length, state.newest);
  if (entry === undefined) return missingHolds(compare, row);
  readRow(entry, 0, row);
  return rowHolds(compare, row);
}

function rangeHolds(
  state: StateView,
  compare: Compare,
  range: { start: Uint8Array; end: Uint8Array },
  row: KeyValueView,
): boolean {
  const scan = state.scan(range, state.newest);
  let found = false;
  let all = true;
  while (all && scan.next()) {
    found = true;
    readRow(scan.entry, 0, row);
    all = rowHolds(compare, row);
  }
  scan.close();
  return found ? all : missingHolds(compare, row);
}

function missingHolds(compare: Compare, row: KeyValueView): boolean {
  if (compare.target.kind === "value") return false;
  clearValue(row);
  row.modRevision = 0;
  return rowHolds(compare, row);
}

function rowHolds(compare: Compare, row: KeyValueView): boolean {
  return satisfies(compare.result, difference(row, compare.target));
}

/** Negative, zero or positive as the row lies below, at or above the target. */
function difference(row: KeyValueView, target: CompareTarget): number {
  switch (target.kind) {
    case "version":
      return row.version - target.value;
    case "create":
      return row.createRevision - target.value;
    case "mod":
      return row.modRevision - target.value;
    case "lease":
      // As numbers with a sign, which is how they came from etcd's clients.
      return (
        (row.leaseHigh | 0) - (leaseHigh(target.value) | 0) || row.leaseLow - leaseLow(target.value)
      );
    case "value": {
      const { valueBytes, valueOffset, valueLength } = row;
      const wanted = target.value;
      return compareSlices(valueBytes, valueOffset, valueLength, wanted, 0, wanted.length);
    }
  }
}

function satisfies(result: CompareResult, difference: number): boolean {
  switch (result) {
    case "equal":
      return difference === 0;
    case "notEqual":
      return difference !== 0;
    case "greater":
      return difference > 0;
    case "less":
      return difference < 0;
  }
}
