/** What a checker says of a history, in words for people and as a verdict for programs. */
import type { Operation } from "../history.js";
import { describeOperation } from "./words.js";

export interface Finding {
  readonly checker: string;
  readonly verdict: "valid" | "invalid" | "unknown";
  /** The first says what is wrong, the others show it; none where it is valid. */
  readonly lines: readonly string[];
  /** The operations that contradict each other. */
  readonly operations: readonly Operation<unknown, unknown>[];
}

export function valid(checker: string): Finding {
  return { checker, verdict: "valid", lines: [], operations: [] };
}

export function unknown(checker: string, why: string): Finding {
  return { checker, verdict: "unknown", lines: [why], operations: [] };
}

/** Shows the operations, one a line. */
export function invalid(
  checker: string,
  text: string,
  operations: readonly Operation<unknown, unknown>[] = [],
): Finding {
  const lines = [text, ...operations.map((operation) => `  ${describeOperation(operation)}`)];
  return { checker, verdict: "invalid", lines, operations };
}
