/**
 * What a command or a step of a plan comes to: records to write, nothing, or a refusal. It decides
 * and does nothing: the placement leader writes the records in transactions that hold only if
 * nothing was decided in between.
 */
import type { KvError } from "../protocol/errors.js";
import { countersRecord } from "./records.js";
import type { Counters, PlacementRecord, PlacementState } from "./records.js";

/** The records of one transaction. */
export type PlacementStep = readonly PlacementRecord[];

export type PlacementDecision =
  | { readonly kind: "write"; readonly steps: readonly PlacementStep[] }
  | { readonly kind: "nothing" }
  | { readonly kind: "refused"; readonly error: KvError };

export const NOTHING: PlacementDecision = { kind: "nothing" };

/** One transaction. The counters go with every decision: they are what it is compared by. */
export function write(
  state: PlacementState,
  records: readonly PlacementRecord[],
  counters: Partial<Counters> = {},
): PlacementDecision {
  const next = countersRecord({ ...state.counters, ...counters });
  return { kind: "write", steps: [[...records, next]] };
}

export function refuse(error: KvError): PlacementDecision {
  return { kind: "refused", error };
}
