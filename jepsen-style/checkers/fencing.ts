/**
 * A lock with fencing tokens: each holder has a token of its own, higher than all before; a write
 * that got through was made while its token was the lock's, so in the order of revisions the tokens
 * of writes never go back, and none is written after the next holder came.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type LockRequest =
  | { readonly type: "grant" | "acquire" | "release" }
  | { readonly type: "write"; readonly token: number; readonly value: number };

export type LockAnswer =
  | { readonly type: "grant" | "release"; readonly revision: number }
  /** Of one that was done: `revision` is its own, and of an acquisition the token. */
  | { readonly type: "acquire" | "write"; readonly done: boolean; readonly revision: number };

type LockOperation = Operation<LockRequest, LockAnswer>;

const NAME = "the lock is fenced";

export function checkFencing(operations: readonly LockOperation[]): Finding {
  const done = operations
    .flatMap((operation) => {
      if (operation.kind !== "ok") return [];
      const { answer, request } = operation;
      if (answer.type !== "acquire" && answer.type !== "write") return [];
      if (!answer.done) return [];
      const token = request.type === "write" ? request.token : answer.revision;
      return [{ operation, token, revision: answer.revision, type: answer.type }];
    })
    .toSorted((a, b) => a.revision - b.revision);
  let holder: (typeof done)[number] | undefined;
  for (const each of done) {
    if (holder !== undefined && each.revision === holder.revision) {
      return invalid(NAME, "two have one revision", [holder.operation, each.operation]);
    }
    if (holder !== undefined && each.token < holder.token) {
      const text = `token ${each.token} wrote at revision ${each.revision}, after ${holder.token}`;
      return invalid(NAME, text, [holder.operation, each.operation]);
    }
    if (each.type === "acquire") holder = each;
  }
  return valid(NAME);
}
