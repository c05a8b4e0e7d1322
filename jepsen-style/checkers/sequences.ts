/**
 * A client writes one key after the other; who sees a later one, and then looks for an earlier one,
 * finds it.
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type SequenceRequest =
  | { readonly type: "write"; readonly number: number }
  | { readonly type: "read"; readonly number: number; readonly level: ReadLevel };

/** Of a read, last key first: whether it was there. */
export interface SequenceAnswer {
  readonly seen: readonly boolean[];
}

export type SequenceOperation = Operation<SequenceRequest, SequenceAnswer>;

export function checkSequences(operations: readonly SequenceOperation[]): Finding {
  const name = "what was written before is seen before";
  for (const operation of operations) {
    if (operation.kind !== "ok" || operation.request.type !== "read") continue;
    const { seen } = operation.answer;
    const later = seen.indexOf(true);
    if (later < 0 || !seen.includes(false, later)) continue;
    return invalid(name, "a later key was there, and then an earlier one was not", [operation]);
  }
  return valid(name);
}
