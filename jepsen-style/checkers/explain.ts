/**
 * Finds the smallest part of a history without order that has none either. It cuts the history
 * after the return that no order could pass, then declares the outcome of operations unknown, in
 * ever smaller groups, for as long as no order exists. What is left is the offence: whatever the
 * others did, or did not do, these contradict each other. Bounded in steps: then it is not the
 * smallest, but still an offence.
 */
import { forgotten } from "../history.js";
import type { Operation } from "../history.js";
import type { Built, Model, Offence } from "./model.js";
import { searchPart } from "./search-part.js";

/** A search that meets no hard choice takes some tens of steps an operation. */
const STEPS_PER_SEARCH_AND_OPERATION = 500;
const STEPS_PER_OPERATION = 10_000;
const STEPS_AT_LEAST = 1_000_000;
const STEPS_AT_MOST = 10_000_000;
/** So many of the last operations are tried alone at first. */
const WINDOW_MIN = 8;

export function explain<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
  built: Built,
  stuckAt: number,
): Offence<Request, Answer> {
  if (built.kind === "contradiction") return contradiction(operations, built);
  const end = completedAt(operations[stuckAt]!);
  // What was called later is not needed: the beginning of a history with an order has one, too.
  const until = operations.filter(({ calledAt }) => calledAt <= end);
  const shrinking = narrowed(model, until, end) ?? new Shrinking(model, until);
  shrinking.forget((operation) => completedAt(operation) > end);
  const found = shrinking.shrink();
  if (found.built.kind === "contradiction") return contradiction(found.operations, found.built);
  const left = found.operations.filter(({ kind }) => kind === "ok");
  return { text: sentence(left.length, operations.length), operations: inOrder(left) };
}

/** The last operations alone, if they have no order whatever was before. */
function narrowed<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
  end: number,
): Shrinking<Request, Answer> | undefined {
  const { withoutBeginning } = model;
  if (withoutBeginning === undefined) return undefined;
  const times = operations.map(completedAt).filter((time) => time <= end);
  const latestFirst = times.toSorted((a, b) => b - a);
  for (let count = WINDOW_MIN; count < latestFirst.length; count *= 2) {
    const from = latestFirst[count]!;
    // What began before may have taken effect before what is left out was over.
    const last = operations
      .filter((operation) => completedAt(operation) >= from)
      .map((operation) =>
        operation.kind === "ok" && operation.calledAt < from ? forgotten(operation) : operation,
      );
    const shrinking = new Shrinking(withoutBeginning, last);
    if (shrinking.isStuck()) return shrinking;
  }
  return undefined;
}

function sentence(left: number, all: number): string {
  const others = all - left;
  const which = left === 1 ? "this operation" : `these ${left} operations`;
  const whatever = others === 0 ? "" : `, whatever became of the other ${others}`;
  return `no order explains ${which}${whatever}`;
}

function contradiction<Request, Answer>(
  operations: readonly Operation<Request, Answer>[],
  built: Built & { readonly kind: "contradiction" },
): Offence<Request, Answer> {
  const { operations: indices, text } = built.contradiction;
  return { text, operations: inOrder(indices.map((index) => operations[index]!)) };
}

function inOrder<Each extends { readonly calledAt: number }>(operations: readonly Each[]): Each[] {
  return operations.toSorted((a, b) => a.calledAt - b.calledAt);
}

function completedAt(operation: Operation<unknown, unknown>): number {
  return operation.kind === "ok" ? operation.completedAt : Infinity;
}

class Shrinking<Request, Answer> {
  private readonly model: Model<Request, Answer>;
  private readonly maxStepsEach: number;
  private readonly maxSteps: number;
  private steps = 0;
  operations: readonly Operation<Request, Answer>[];
  built: Built;

  constructor(model: Model<Request, Answer>, operations: readonly Operation<Request, Answer>[]) {
    this.model = model;
    this.operations = operations;
    this.built = model.build(operations);
    this.maxStepsEach = STEPS_PER_SEARCH_AND_OPERATION * (100 + operations.length);
    const maxSteps = STEPS_AT_LEAST + STEPS_PER_OPERATION * operations.length;
    this.maxSteps = Math.min(STEPS_AT_MOST, maxSteps);
  }

  isStuck(): boolean {
    return this.forget(() => false);
  }

  /** Forgets the outcome of these if there is no order even then. */
  forget(which: (operation: Operation<Request, Answer>, index: number) => boolean): boolean {
    if (this.steps > this.maxSteps) return false;
    const weaker = this.operations.map((operation, index) =>
      operation.kind === "ok" && which(operation, index) ? forgotten(operation) : operation,
    );
    const { built, found, steps } = searchPart(this.model, weaker, this.maxStepsEach);
    this.steps += steps;
    if (found.kind !== "none") return false;
    this.operations = weaker;
    this.built = built;
    return true;
  }

  /** In groups of half of what is left, a quarter, and so on down to single operations. */
  shrink(): this {
    let left = this.leftOver();
    let size = Math.ceil(left.length / 2);
    while (size >= 1 && this.steps <= this.maxSteps) {
      for (let start = 0; start < left.length; start += size) {
        const group = new Set(left.slice(start, start + size));
        this.forget((_, index) => group.has(index));
      }
      left = this.leftOver();
      if (size === 1) break;
      size = Math.min(Math.ceil(left.length / 2), Math.ceil(size / 2));
    }
    return this;
  }

  private leftOver(): readonly number[] {
    return this.operations.flatMap(({ kind }, index) => (kind === "ok" ? [index] : []));
  }
}
