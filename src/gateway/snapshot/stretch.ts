/** Neighbouring leaves that are being filled with the rows of their revisions. */
import type { LeafPlan } from "./leaf-plan.js";
import type { Row } from "./survey.js";

export class Stretch {
  readonly leaves: readonly Row[][];
  readonly #plan: LeafPlan;
  readonly #from: number;
  readonly #first: number;
  readonly #behind: number;

  constructor(plan: LeafPlan, from: number, end: number) {
    this.#plan = plan;
    this.#from = from;
    this.#first = plan.firstRevisions[from]!;
    this.#behind = plan.firstRevisions[end] ?? Number.POSITIVE_INFINITY;
    this.leaves = Array.from({ length: end - from }, () => []);
  }

  has(revision: number): boolean {
    return revision >= this.#first && revision < this.#behind;
  }

  place(row: Row): void {
    this.leaves[this.#plan.leafOf(row.revision) - this.#from]!.push(row);
  }
}
