/**
 * Ids that are given out: no two are the same, and of those that count upwards one that was asked
 * for when another had been given is higher.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

/** Revisions count upwards, ids of leases do not. */
export interface IdRequest {
  readonly type: "revision" | "lease";
}

export interface IdAnswer {
  readonly id: string;
}

export type IdOperation = Operation<IdRequest, IdAnswer>;

export function checkIds(operations: readonly IdOperation[]): readonly Finding[] {
  return [checkUnique(operations), checkRising(operations)];
}

function checkUnique(operations: readonly IdOperation[]): Finding {
  const name = "ids are unique";
  const owners = new Map<string, IdOperation>();
  for (const operation of operations) {
    if (operation.kind !== "ok") continue;
    const id = `${operation.request.type} ${operation.answer.id}`;
    const other = owners.get(id);
    if (other !== undefined) return invalid(name, `${id} was given twice`, [other, operation]);
    owners.set(id, operation);
  }
  return valid(name);
}

function checkRising(operations: readonly IdOperation[]): Finding {
  const name = "revisions rise";
  const given = operations.flatMap((operation) =>
    operation.kind === "ok" && operation.request.type === "revision"
      ? [{ operation, id: Number(operation.answer.id), completedAt: operation.completedAt }]
      : [],
  );
  const byReturn = given.toSorted((a, b) => a.completedAt - b.completedAt);
  let at = 0;
  let highest: (typeof given)[number] | undefined;
  for (const later of given.toSorted((a, b) => a.operation.calledAt - b.operation.calledAt)) {
    for (; at < byReturn.length && byReturn[at]!.completedAt < later.operation.calledAt; at++) {
      if (byReturn[at]!.id > (highest?.id ?? 0)) highest = byReturn[at];
    }
    if (highest === undefined || highest.id < later.id) continue;
    const text = `${later.id} was given after ${highest.id}`;
    return invalid(name, text, [highest.operation, later.operation]);
  }
  return valid(name);
}
