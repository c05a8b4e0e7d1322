/**
 * Sets that only grow. An element is certain from the moment at which its add completed, or a read
 * that showed it: every read called after that shows it. No read shows what nobody added, or what
 * certainly was not added, or what was only called later.
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";
import { addTo } from "../lists.js";

export type SetRequest =
  | { readonly type: "add"; readonly set: number; readonly element: number }
  | { readonly type: "read"; readonly set: number; readonly level: ReadLevel };

export type SetAnswer =
  | { readonly type: "add" }
  | { readonly type: "read"; readonly elements: readonly number[] };

export type SetOperation = Operation<SetRequest, SetAnswer>;

const NAME = "sets are whole";

interface Certain {
  readonly at: number;
  readonly by: SetOperation;
}

export function checkSets(operations: readonly SetOperation[]): Finding {
  const sets = new Map<number, SetOperation[]>();
  for (const operation of operations) {
    const { set } = operation.request;
    addTo(sets, set, operation);
  }
  for (const own of sets.values()) {
    const fault = faultOf(own);
    if (fault !== undefined) return fault;
  }
  return valid(NAME);
}

function faultOf(operations: readonly SetOperation[]): Finding | undefined {
  const adds = new Map<number, SetOperation>();
  const certain = new Map<number, Certain>();
  const note = (element: number, at: number, by: SetOperation): void => {
    if ((certain.get(element)?.at ?? Infinity) > at) certain.set(element, { at, by });
  };
  for (const operation of operations) {
    if (operation.request.type === "add") adds.set(operation.request.element, operation);
    if (operation.kind !== "ok") continue;
    const { request, answer, completedAt } = operation;
    if (request.type === "add") note(request.element, completedAt, operation);
    if (answer.type !== "read") continue;
    for (const element of answer.elements) note(element, completedAt, operation);
  }
  for (const operation of operations) {
    if (operation.kind !== "ok" || operation.answer.type !== "read") continue;
    const elements = new Set(operation.answer.elements);
    const fault =
      unexpected(operation, elements, adds) ?? missing(operation, elements, certain, operations);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function unexpected(
  read: SetOperation,
  elements: ReadonlySet<number>,
  adds: ReadonlyMap<number, SetOperation>,
): Finding | undefined {
  for (const element of elements) {
    const add = adds.get(element);
    if (add === undefined) return invalid(NAME, `nobody added ${element}`, [read]);
    if (add.kind === "fail") return invalid(NAME, `the add of ${element} failed`, [add, read]);
    if (read.kind !== "ok" || add.calledAt <= read.completedAt) continue;
    return invalid(NAME, `${element} was read before it was added`, [read, add]);
  }
  return undefined;
}

function missing(
  read: SetOperation,
  elements: ReadonlySet<number>,
  certain: ReadonlyMap<number, Certain>,
  operations: readonly SetOperation[],
): Finding | undefined {
  for (const [element, { at, by }] of certain) {
    if (at >= read.calledAt || elements.has(element)) continue;
    const again = operations.find((each) => shows(each, element) && each.calledAt > read.calledAt);
    const kind = again === undefined ? "lost" : "the read was stale";
    const text = `${element} was there, and is missing in a later read: ${kind}`;
    return invalid(NAME, text, [by, read, ...(again === undefined ? [] : [again])]);
  }
  return undefined;
}

function shows(operation: SetOperation, element: number): boolean {
  if (operation.kind !== "ok" || operation.answer.type !== "read") return false;
  return operation.answer.elements.includes(element);
}
