/**
 * A queue: what was put in comes out once, or is still there in the end. Of an outcome that nobody
 * knows both are right: a put that was lost, and a take that took what nobody got. Nothing comes
 * out that nobody put in.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type QueueRequest =
  | { readonly type: "enqueue"; readonly element: string }
  | { readonly type: "dequeue" }
  /** All that is left, without taking it. */
  | { readonly type: "rest" };

/** Of a take: what it got, if anything; of a put: nothing. */
export interface QueueAnswer {
  readonly elements: readonly string[];
}

export type QueueOperation = Operation<QueueRequest, QueueAnswer>;

const NAME = "the queue loses nothing and gives nothing twice";

export function checkQueue(operations: readonly QueueOperation[]): Finding {
  const puts = new Map<string, QueueOperation>();
  const taken = new Map<string, QueueOperation>();
  let rest: QueueOperation | undefined;
  for (const operation of operations) {
    if (operation.request.type === "enqueue") puts.set(operation.request.element, operation);
    if (operation.kind !== "ok") continue;
    if (operation.request.type === "rest") rest = operation;
    if (operation.request.type !== "dequeue") continue;
    for (const element of operation.answer.elements) {
      const first = taken.get(element);
      if (first !== undefined) {
        return invalid(NAME, `${element} was taken twice`, [first, operation]);
      }
      taken.set(element, operation);
    }
  }
  return strangeFault(puts, taken) ?? lostFault(operations, puts, taken, rest) ?? valid(NAME);
}

function strangeFault(
  puts: ReadonlyMap<string, QueueOperation>,
  taken: ReadonlyMap<string, QueueOperation>,
): Finding | undefined {
  for (const [element, take] of taken) {
    const put = puts.get(element);
    if (put === undefined) return invalid(NAME, `nobody put ${element} in`, [take]);
    if (put.kind === "fail") return invalid(NAME, `the put of ${element} had failed`, [put, take]);
    if (take.kind === "ok" && take.completedAt < put.calledAt) {
      return invalid(NAME, `${element} came out before it was put in`, [take, put]);
    }
  }
  return undefined;
}

/** Each take of unknown outcome may have taken one. */
function lostFault(
  operations: readonly QueueOperation[],
  puts: ReadonlyMap<string, QueueOperation>,
  taken: ReadonlyMap<string, QueueOperation>,
  rest: QueueOperation | undefined,
): Finding | undefined {
  if (rest?.kind !== "ok") return undefined;
  const left = new Set(rest.answer.elements);
  const again = [...left].find((element) => taken.has(element));
  if (again !== undefined) {
    return invalid(NAME, `${again} was taken and is still there`, [taken.get(again)!, rest]);
  }
  const lost = [...puts].filter(([element, put]) => {
    return put.kind === "ok" && !taken.has(element) && !left.has(element);
  });
  const open = operations.filter(({ kind, request }) => {
    return kind === "info" && request.type === "dequeue";
  });
  if (lost.length <= open.length) return undefined;
  const text = `${lost.length} are lost, and only ${open.length} takes have an unknown outcome`;
  return invalid(
    NAME,
    text,
    lost.slice(0, 3).map(([, put]) => put),
  );
}
