/**
 * Reads at past revisions and compactions: below an acknowledged compaction nothing is shown any
 * more, and whatever is refused lies below what the refusal says is the oldest.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export interface PastRequest {
  readonly type: "compact" | "range" | "pages";
  readonly revision: number;
}

export interface PastAnswer {
  /** It was refused: this is the oldest revision that is kept. 0: it did not say. */
  readonly compacted: number | undefined;
  readonly rows: number;
}

export type PastOperation = Operation<PastRequest, PastAnswer>;

const NAME = "what was compacted is refused, and nothing else";

export function checkPast(operations: readonly PastOperation[]): Finding {
  const done = operations.flatMap((operation) => (operation.kind === "ok" ? [operation] : []));
  const compactions = done
    .filter(({ request, answer }) => request.type === "compact" && answer.compacted === undefined)
    .toSorted((a, b) => a.completedAt - b.completedAt);
  let at = 0;
  let highest: (typeof done)[number] | undefined;
  for (const read of done.toSorted((a, b) => a.calledAt - b.calledAt)) {
    for (; at < compactions.length && compactions[at]!.completedAt < read.calledAt; at++) {
      const { revision } = compactions[at]!.request;
      if (revision > (highest?.request.revision ?? 0)) highest = compactions[at];
    }
    const { revision } = read.request;
    const { compacted } = read.answer;
    if (compacted !== undefined) {
      if (compacted === 0 || compacted > revision || read.request.type === "compact") continue;
      return invalid(NAME, `${revision} was refused, and ${compacted} is said to be kept`, [read]);
    }
    if (highest === undefined || revision >= highest.request.revision) continue;
    if (read.request.type === "compact") {
      return invalid(NAME, `history was compacted back to ${revision}`, [highest, read]);
    }
    const text = `${revision} was shown after all below ${highest.request.revision} had been forgotten`;
    return invalid(NAME, text, [highest, read]);
  }
  return valid(NAME);
}
