/**
 * What a checker must know of a system: a model splits a history into parts that are independent,
 * and turns each part into a machine over small integers, which the search steps through. A machine
 * knows its operations by their place in the part. It never looks at the clock of the checker.
 */
import type { Operation } from "../history.js";

/** What `step` answers when the operation, as it was answered, does not fit the state. */
export const REFUSED = -1;

/** What `needOf` answers of one that fits every state but the present one. */
export const ANY_OTHER = -2;

/** The smallest part of a history that no order explains. */
export interface Offence<Request, Answer> {
  /** Says in words what is wrong. */
  readonly text: string;
  readonly operations: readonly Operation<Request, Answer>[];
}

export interface Machine {
  readonly initial: number;
  /** The state in which nothing can be observed until a write replaces it, or `REFUSED`. */
  readonly darkState: number;
  /** The state after, or `REFUSED`. */
  readonly step: (state: number, operation: number) => number;
  /** Changes no state that it fits: taking it as early as possible is never wrong. */
  readonly isObserver: (operation: number) => boolean;
  /** Always fits, leads to the dark state from every state, and nobody observes it. */
  readonly isDark: (operation: number) => boolean;
  /** Always fits, and the state after does not depend on the state before. */
  readonly resets: (operation: number) => boolean;
  /**
   * The state that the operation waits for; undefined: it would fit already, or fits all. A machine
   * that says so lets writes wait until somebody wants what they write.
   */
  readonly needOf?: (operation: number, state: number) => number | undefined;
  /** The state that the operation leads to, if it changes any; with `needOf`. */
  readonly leadsTo?: (operation: number) => number | undefined;
  /** It resets, and nobody has to see it: it may go right before another one that resets. */
  readonly mayHide?: (operation: number) => boolean;
  /** Operations of one class have the same effect and answer: only their times differ. */
  readonly classOf: (operation: number) => number;
  /**
   * Until when it must have taken effect: its completion, or the completion of another that proves
   * that it did. `Infinity`: it may never. `undefined`: it says nothing and is left out.
   */
  readonly deadlineOf: (operation: number) => number | undefined;
  /**
   * Tells that an operation took its place (-1) or gave it up again (1). A machine may then refuse
   * a step after which an operation that is still to come could never fit.
   */
  readonly onPlaced?: (operation: number, change: 1 | -1) => void;
}

/** A contradiction that was seen while the machine was built: which operations, and why. */
export interface Contradiction {
  readonly operations: readonly number[];
  readonly text: string;
}

export type Built =
  | { readonly kind: "machine"; readonly machine: Machine }
  | { readonly kind: "contradiction"; readonly contradiction: Contradiction };

export interface Model<Request, Answer> {
  /** Operations of different parts do not touch each other. */
  readonly partOf: (request: Request) => string;
  /** None of the operations is `fail`. */
  readonly build: (operations: readonly Operation<Request, Answer>[]) => Built;
  /** The same for a history whose beginning is cut off: whatever the state was before. */
  readonly withoutBeginning?: Model<Request, Answer> | undefined;
  readonly describe: (operation: Operation<Request, Answer>) => string;
}

/** Gives equal values equal small integers, in order of first use. */
export class Interner<T = string> {
  private readonly ids = new Map<T, number>();

  idOf(value: T): number {
    let id = this.ids.get(value);
    if (id === undefined) this.ids.set(value, (id = this.ids.size));
    return id;
  }
}
