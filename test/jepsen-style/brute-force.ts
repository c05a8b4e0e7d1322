/**
 * The definition of linearizability as a program, for small histories only: try every order that
 * time allows, with or without each operation of unknown outcome. Knows no cache and no shortcut.
 */
import type { Operation } from "../../jepsen-style/history.js";

/** The states that an operation, as it was answered, may lead to; none if it does not fit. */
export type Apply<State, Request, Answer> = (
  state: State,
  operation: Operation<Request, Answer>,
) => readonly State[];

export function isLinearizable<State, Request, Answer>(
  operations: readonly Operation<Request, Answer>[],
  initial: State,
  apply: Apply<State, Request, Answer>,
): boolean {
  const left = operations.filter(({ kind }) => kind !== "fail");
  if (left.every(({ kind }) => kind === "info")) return true;
  const firstReturn = Math.min(...left.map(returnedAt));
  return left.some((operation) => {
    if (operation.calledAt > firstReturn) return false;
    const rest = left.filter((other) => other !== operation);
    return apply(initial, operation).some((state) => isLinearizable(rest, state, apply));
  });
}

function returnedAt(operation: Operation<unknown, unknown>): number {
  return operation.kind === "ok" ? operation.completedAt : Infinity;
}
