/**
 * Keys that are written once, some of them read together: of two readers one has seen all that the
 * other has. Where each misses what the other saw, the order of the writes has forked.
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export type ForkRequest =
  | { readonly type: "write"; readonly group: number; readonly key: string }
  | { readonly type: "read"; readonly group: number; readonly level: ReadLevel };

/** Of a read: the keys that are there. */
export interface ForkAnswer {
  readonly keys: readonly string[];
}

export type ForkOperation = Operation<ForkRequest, ForkAnswer>;

const NAME = "no long fork";

export function checkForks(operations: readonly ForkOperation[]): Finding {
  /** The first that saw just these keys, by group. */
  const groups = new Map<number, Map<string, ForkOperation & { readonly kind: "ok" }>>();
  for (const operation of operations) {
    if (operation.kind !== "ok" || operation.request.type !== "read") continue;
    const own = groups.get(operation.request.group) ?? new Map();
    groups.set(operation.request.group, own);
    const name = operation.answer.keys.toSorted().join(" ");
    if (!own.has(name)) own.set(name, operation);
  }
  for (const [group, own] of groups) {
    const views = [...own.values()];
    for (const [at, one] of views.entries()) {
      const other = views.slice(at + 1).find((each) => misses(one, each) && misses(each, one));
      if (other === undefined) continue;
      return invalid(NAME, `two orders of the writes of group ${group}`, [one, other]);
    }
  }
  return valid(NAME);
}

type Seen = { readonly answer: ForkAnswer };

function misses(one: Seen, other: Seen): boolean {
  return other.answer.keys.some((key) => !one.answer.keys.includes(key));
}
