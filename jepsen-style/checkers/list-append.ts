/**
 * Transactions over lists that only grow: every element is appended once, so what a read shows
 * tells which appends came before it and in which order. From that follow dependencies between
 * transactions; a history is strictly serializable only if they, together with real time, form no
 * cycle (dependencies.ts). What contradicts itself without a cycle is looked for first.
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import { judgeCycles } from "./dependencies.js";
import type { Edge } from "./dependencies.js";
import type { Finding } from "./finding.js";
import { invalid } from "./finding.js";

export type MicroOperation =
  | { readonly type: "append"; readonly key: string; readonly element: number }
  | { readonly type: "read"; readonly key: string };

export interface AppendRequest {
  readonly type: "txn";
  readonly steps: readonly MicroOperation[];
  /** Of its reads; by default linearizable. */
  readonly level?: ReadLevel;
}

/** What the reads showed, in their order. */
export interface AppendAnswer {
  readonly reads: readonly (readonly number[])[];
}

export type AppendOperation = Operation<AppendRequest, AppendAnswer>;

const NAME = "strictly serializable";

export function checkListAppend(operations: readonly AppendOperation[]): readonly Finding[] {
  return [new Checker(operations).check()];
}

interface Shown {
  readonly by: number;
  readonly key: string;
  readonly elements: readonly number[];
}

class Checker {
  readonly #operations: readonly AppendOperation[];
  /** Element → which transaction appends it. */
  readonly #appenders = new Map<number, number>();
  readonly #shown: readonly Shown[];
  /** Key → the longest list that somebody saw. */
  readonly #orders = new Map<string, Shown>();

  constructor(operations: readonly AppendOperation[]) {
    this.#operations = operations;
    for (const [index, { request }] of operations.entries()) {
      for (const step of request.steps) {
        if (step.type === "append") this.#appenders.set(step.element, index);
      }
    }
    this.#shown = operations.flatMap((operation, by) => this.#shownBy(operation, by));
    for (const shown of this.#shown) {
      const longest = this.#orders.get(shown.key);
      if (longest === undefined || shown.elements.length > longest.elements.length) {
        this.#orders.set(shown.key, shown);
      }
    }
  }

  /** What it read, without what it had appended itself before that. */
  #shownBy(operation: AppendOperation, by: number): readonly Shown[] {
    if (operation.kind !== "ok") return [];
    let at = 0;
    const own = new Map<string, number>();
    const shown: Shown[] = [];
    for (const step of operation.request.steps) {
      const { key } = step;
      if (step.type === "append") {
        own.set(key, (own.get(key) ?? 0) + 1);
        continue;
      }
      const elements = operation.answer.reads[at++] ?? [];
      shown.push({ by, key, elements: elements.slice(0, elements.length - (own.get(key) ?? 0)) });
    }
    return shown;
  }

  check(): Finding {
    for (const shown of this.#shown) {
      const fault = this.#faultOf(shown);
      if (fault !== undefined) return fault;
    }
    return judgeCycles(NAME, this.#operations, this.#edges());
  }

  #faultOf(shown: Shown): Finding | undefined {
    const { by, key, elements } = shown;
    const reader = this.#operations[by]!;
    if (new Set(elements).size < elements.length) {
      return invalid(NAME, `an element of ${key} is there twice`, [reader]);
    }
    for (const element of elements) {
      const appender = this.#appenders.get(element);
      if (appender === undefined) return invalid(NAME, `nobody appended ${element}`, [reader]);
      const writer = this.#operations[appender]!;
      if (writer.kind !== "fail") continue;
      const text = `aborted read (G1a): ${element} of ${key} was appended by one that failed`;
      return invalid(NAME, text, [writer, reader]);
    }
    return this.#orderFault(shown) ?? this.#intermediateFault(shown);
  }

  #orderFault({ by, key, elements }: Shown): Finding | undefined {
    const longest = this.#orders.get(key)!;
    const at = elements.findIndex((element, index) => element !== longest.elements[index]);
    if (at < 0) return undefined;
    const text = `two orders of ${key}, from its element ${at} on`;
    return invalid(NAME, text, [this.#operations[longest.by]!, this.#operations[by]!]);
  }

  /** The last element that is seen must be the last that its transaction appended. */
  #intermediateFault({ by, key, elements }: Shown): Finding | undefined {
    const last = elements.at(-1);
    if (last === undefined) return undefined;
    const writer = this.#operations[this.#appenders.get(last)!]!;
    const own = writer.request.steps.filter((step) => step.type === "append" && step.key === key);
    const final = own.at(-1);
    if (final?.type !== "append" || final.element === last) return undefined;
    const text = `intermediate read (G1b) of ${key}: ${last} is not the last that was appended`;
    return invalid(NAME, text, [writer, this.#operations[by]!]);
  }

  #edges(): readonly Edge[] {
    const edges: Edge[] = [];
    const add = (kind: Edge["kind"], from: number, to: number, why: string): void => {
      if (from !== to) edges.push({ kind, from, to, why });
    };
    for (const [key, { elements }] of this.#orders) {
      for (let at = 1; at < elements.length; at++) {
        const [before, after] = [elements[at - 1]!, elements[at]!];
        const why = `appended ${before} to ${key} before the next appended ${after}`;
        add("ww", this.#appenders.get(before)!, this.#appenders.get(after)!, why);
      }
    }
    for (const { by, key, elements } of this.#shown) {
      const last = elements.at(-1);
      if (last !== undefined) {
        add(
          "wr",
          this.#appenders.get(last)!,
          by,
          `appended ${last} to ${key}, which the next read`,
        );
      }
      const next = this.#orders.get(key)!.elements[elements.length];
      if (next === undefined) continue;
      add("rw", by, this.#appenders.get(next)!, `read ${key} without the ${next} of the next`);
    }
    return edges;
  }
}
