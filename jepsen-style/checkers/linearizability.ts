/**
 * Judges whether a history is linearizable under a model: splits it into parts, searches each for
 * an order, and says of the first part that has none which operations are to blame. Running out of
 * steps is `unknown`, never an approval; a part that has no order outweighs one that is unknown.
 */
import { explain } from "./explain.js";
import type { Model, Offence } from "./model.js";
import type { Operation } from "../history.js";
import { searchPart } from "./search-part.js";
import { addTo } from "../lists.js";

export type Verdict<Request = unknown, Answer = unknown> =
  | { readonly verdict: "linearizable" }
  | { readonly verdict: "not linearizable"; readonly offence: Offence<Request, Answer> }
  | { readonly verdict: "unknown"; readonly part: string };

export interface Options {
  /** How many operations may be tried within one part. */
  readonly maxSteps?: number;
}

const MAX_STEPS = 100_000_000;

export function checkLinearizable<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
  { maxSteps = MAX_STEPS }: Options = {},
): Verdict<Request, Answer> {
  let unknown: string | undefined;
  for (const [part, own] of partsOf(model, operations)) {
    const { built, found } = searchPart(model, own, maxSteps);
    if (found.kind === "unknown") unknown ??= part;
    else if (found.kind === "none") {
      return { verdict: "not linearizable", offence: explain(model, own, built, found.stuckAt) };
    }
  }
  return unknown === undefined
    ? { verdict: "linearizable" }
    : { verdict: "unknown", part: unknown };
}

function partsOf<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
): ReadonlyMap<string, readonly Operation<Request, Answer>[]> {
  const parts = new Map<string, Operation<Request, Answer>[]>();
  for (const operation of operations) {
    if (operation.kind === "fail") continue;
    const name = model.partOf(operation.request);
    addTo(parts, name, operation);
  }
  return parts;
}
