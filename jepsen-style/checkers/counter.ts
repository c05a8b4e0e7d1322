/**
 * A counter that goes up by one: every increment has a number of its own, numbers grow in time, a
 * read is not below what had completed nor above what had been called, and none is left out.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type CounterRequest =
  | { readonly type: "increment"; readonly increment: number }
  | { readonly type: "read" };

/** The counter's value: after the increment, or as it was read. */
export interface CounterAnswer {
  readonly type: "increment" | "read";
  readonly value: number;
}

type CounterOperation = Operation<CounterRequest, CounterAnswer>;

const NAME = "each increment counts once";

export function checkCounter(operations: readonly CounterOperation[]): Finding {
  const heard = operations.filter((each) => each.kind === "ok");
  const numbers = new Map<number, CounterOperation>();
  for (const operation of heard) {
    const { type, value } = operation.answer;
    if (type === "read") continue;
    const other = numbers.get(value);
    if (other !== undefined) return invalid(NAME, `two are number ${value}`, [other, operation]);
    numbers.set(value, operation);
  }
  return timeFault(heard) ?? sumFault(operations, heard) ?? valid(NAME);
}

/** What had been seen when an operation was called is a floor for what it sees. */
function timeFault(
  heard: readonly Extract<CounterOperation, { kind: "ok" }>[],
): Finding | undefined {
  const byReturn = heard.toSorted((a, b) => a.completedAt - b.completedAt);
  let newest: (typeof heard)[number] | undefined;
  let returned = 0;
  for (const operation of heard.toSorted((a, b) => a.calledAt - b.calledAt)) {
    while (returned < byReturn.length && byReturn[returned]!.completedAt < operation.calledAt) {
      const one = byReturn[returned++]!;
      if (newest === undefined || one.answer.value > newest.answer.value) newest = one;
    }
    const { type, value } = operation.answer;
    const least = (newest?.answer.value ?? 0) + (type === "increment" ? 1 : 0);
    if (newest === undefined || value >= least) continue;
    return invalid(NAME, "the counter went back", [newest, operation]);
  }
  return undefined;
}

/** At the end: at least what completed, at most what was called and may have happened. */
function sumFault(
  operations: readonly CounterOperation[],
  heard: readonly Extract<CounterOperation, { kind: "ok" }>[],
): Finding | undefined {
  const increments = operations.filter(({ request }) => request.type === "increment");
  const done = increments.filter(({ kind }) => kind === "ok").length;
  const possible = increments.filter(({ kind }) => kind !== "fail").length;
  const endedAt = Math.max(0, ...increments.map((each) => each.completedAt ?? each.calledAt));
  const last = heard.findLast(({ answer }) => answer.type === "read");
  if (last === undefined || last.calledAt < endedAt) return undefined;
  const { value } = last.answer;
  if (value <= possible && value >= done) return undefined;
  const text = `the counter is at ${value}; ${done} increments are known, ${possible} possible`;
  return invalid(NAME, text, [last]);
}
