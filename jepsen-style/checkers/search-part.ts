/** One part of a history from its operations to what the search found, and at what price. */
import type { Operation } from "../history.js";
import type { Built, Model } from "./model.js";
import { Search } from "./search.js";
import type { Found } from "./search.js";
import { Timeline } from "./timeline.js";

/** `stuckAt` means nothing where building the machine met a contradiction. */
export function searchPart<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
  maxSteps: number,
): { readonly built: Built; readonly found: Found; readonly steps: number } {
  const built = model.build(operations);
  if (built.kind === "contradiction") {
    return { built, found: { kind: "none", stuckAt: -1 }, steps: operations.length };
  }
  const { machine } = built;
  const calledAt = (index: number): number => operations[index]!.calledAt;
  const timeline = new Timeline(calledAt, operations.length, machine);
  const search = new Search(timeline, machine);
  const found = search.run(maxSteps);
  return { built, found, steps: search.steps + operations.length };
}
