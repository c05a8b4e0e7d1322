/**
 * A register with read, write and compare-and-set: one value, absent at first unless told. A
 * compare-and-set that was answered "did not succeed" says that the value was another one. Values
 * are compared as texts.
 */
import { must } from "../../src/base/assert.js";
import type { Operation } from "../history.js";
import { contradictionOfTimes } from "./register-times.js";
import type { Timed } from "./register-times.js";
import { ANY_OTHER, Interner, REFUSED } from "./model.js";
import type { Built, Machine, Model } from "./model.js";

export type RegisterRequest =
  | { readonly type: "read" }
  | { readonly type: "write"; readonly value: string }
  | { readonly type: "compareAndSet"; readonly expected: string; readonly value: string };

export type RegisterAnswer =
  /** `undefined`: the register was absent. */
  | { readonly type: "read"; readonly value: string | undefined }
  | { readonly type: "write" }
  | { readonly type: "compareAndSet"; readonly succeeded: boolean };

export type RegisterOperation = Operation<RegisterRequest, RegisterAnswer>;

export function registerModel(initial?: string): Model<RegisterRequest, RegisterAnswer> {
  const modelOf = (isOpen: boolean): Model<RegisterRequest, RegisterAnswer> => ({
    partOf: () => "register",
    build: (operations) => new RegisterBuilder(operations, initial, isOpen).build(),
    withoutBeginning: isOpen ? undefined : modelOf(true),
    describe,
  });
  return modelOf(false);
}

function describe(operation: RegisterOperation): string {
  const { request } = operation;
  const answer = operation.kind === "ok" ? operation.answer : undefined;
  if (request.type === "write") return `write ${request.value}`;
  if (request.type === "compareAndSet") {
    const failed = answer?.type === "compareAndSet" && !answer.succeeded;
    return `compare-and-set ${request.expected} to ${request.value}${failed ? ": refused" : ""}`;
  }
  return answer?.type === "read" ? `read ${answer.value ?? "nothing"}` : "read";
}

/** What an operation amounts to, its values as numbers. */
interface Plain {
  readonly type: "read" | "write" | "set" | "refusal" | "nothing";
  /** What must be there before: of reads, sets and refusals. */
  readonly expected: number;
  readonly value: number;
}

const DARK = 0;
const ABSENT = 1;
/** What was there before a history whose beginning is cut off. */
const ANY = 2;

class RegisterBuilder {
  private readonly values = new Interner<string | undefined>();
  private readonly isOpen: boolean;
  private readonly initial: number;
  private readonly plain: Plain[];
  private readonly operations: readonly RegisterOperation[];
  /** Per value: when a completed operation proved that it was there, and which one first. */
  private readonly seen = new Map<number, { readonly at: number; readonly operation: number }>();
  private readonly writers = new Map<number, number>();
  /** Values that those may have written of which it is not known whether they happened. */
  private readonly uncertain = new Set<number>();
  /** Values that some operation tells from others. */
  private readonly mentioned = new Set<number>();

  constructor(
    operations: readonly RegisterOperation[],
    initial: string | undefined,
    isOpen: boolean,
  ) {
    this.operations = operations;
    this.isOpen = isOpen;
    this.values.idOf("no value: dark");
    this.values.idOf(undefined);
    this.values.idOf("no value: any");
    this.initial = isOpen ? ANY : initial === undefined ? ABSENT : this.idOf(initial);
    this.plain = operations.map((operation) => this.plainOf(operation));
    this.plain.forEach((plain, index) => this.note(plain, index));
    this.plain.forEach(({ value }, index) => {
      if (this.deadlineOf(index, false) === Infinity) this.uncertain.add(value);
    });
  }

  private idOf(value: string | undefined): number {
    return this.values.idOf(value === undefined ? undefined : `=${value}`);
  }

  private plainOf({ request, ...operation }: RegisterOperation): Plain {
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (request.type === "write") {
      return { type: "write", expected: DARK, value: this.idOf(request.value) };
    }
    if (request.type === "compareAndSet") {
      const refused = answer?.type === "compareAndSet" && !answer.succeeded;
      const expected = this.idOf(request.expected);
      return { type: refused ? "refusal" : "set", expected, value: this.idOf(request.value) };
    }
    if (answer?.type !== "read") return { type: "nothing", expected: DARK, value: DARK };
    return { type: "read", expected: this.idOf(answer.value), value: DARK };
  }

  private note({ type, expected, value }: Plain, index: number): void {
    if (type === "write" || type === "set") {
      this.writers.set(value, (this.writers.get(value) ?? 0) + 1);
    }
    if (type === "nothing" || type === "write") return;
    this.mentioned.add(expected);
    const operation = this.operations[index]!;
    if (type === "refusal" || operation.kind !== "ok") return;
    const known = this.seen.get(expected);
    if (known === undefined || operation.completedAt < known.at) {
      this.seen.set(expected, { at: operation.completedAt, operation: index });
    }
  }

  build(): Built {
    for (const [value, { operation }] of this.seen) {
      if (this.isOpen || value === this.initial || this.writers.has(value)) continue;
      const text = "this value was observed, but nobody ever wrote it";
      return { kind: "contradiction", contradiction: { operations: [operation], text } };
    }
    const contradiction = contradictionOfTimes(this.timed(), {
      initial: this.initial,
      // What was there at first counts as written by one more.
      writersOf: (value) => (this.writers.get(value) ?? 0) + (this.isOpen ? 1 : 0),
      mayComeLate: (value) => this.uncertain.has(value),
    });
    if (contradiction !== undefined) return { kind: "contradiction", contradiction };
    return { kind: "machine", machine: this.machine() };
  }

  /** Those that certainly took effect. */
  private timed(): readonly Timed[] {
    return this.plain.flatMap(({ type, expected, value }, index) => {
      const completedAt = this.deadlineOf(index, false);
      if (completedAt === undefined || completedAt === Infinity) return [];
      const { calledAt } = this.operations[index]!;
      const saw = type === "read" || type === "set" ? expected : undefined;
      const left = type === "write" || type === "set" ? value : undefined;
      const missed = type === "refusal" ? expected : undefined;
      return [{ index, calledAt, completedAt, saw, left, missed }];
    });
  }

  private machine(): Machine {
    const { plain } = this;
    const toCome = new ToCome();
    // A refusal tells "another value" from "this value" without naming the other one.
    const mayHide = !plain.some(({ type }) => type === "refusal");
    const hidden = (value: number): boolean => mayHide && !this.mentioned.has(value);
    const after = plain.map(({ value }) => (hidden(value) ? DARK : value));
    const classes = new Interner();
    const classOf = plain.map(({ type, expected }, index) =>
      classes.idOf(`${type} ${expected} ${after[index]!}`),
    );
    const is = (index: number, type: Plain["type"]): boolean => plain[index]!.type === type;
    plain.forEach((one, index) => {
      const deadline = this.deadlineOf(index, after[index] === DARK);
      if (deadline !== undefined) toCome.add(one, deadline === Infinity ? Infinity : 1);
    });
    return {
      initial: this.initial,
      darkState: mayHide ? DARK : REFUSED,
      step: (state, index) => {
        const next = step(state, plain[index]!, after[index]!);
        return next === state || toCome.mayLeave(state, plain[index]!) ? next : REFUSED;
      },
      needOf: (index, state) => needOf(state, plain[index]!),
      leadsTo: (index) => (is(index, "write") || is(index, "set") ? after[index] : undefined),
      mayHide: (index) => is(index, "write") && toCome.isDispensable(after[index]!),
      isObserver: (index) => is(index, "read") || is(index, "refusal"),
      isDark: (index) => is(index, "write") && after[index] === DARK,
      resets: (index) => is(index, "write"),
      classOf: (index) => classOf[index]!,
      deadlineOf: (index) => this.deadlineOf(index, after[index] === DARK),
      onPlaced: (index, change) => toCome.add(plain[index]!, change),
    };
  }

  private deadlineOf(index: number, dark: boolean): number | undefined {
    const operation = this.operations[index]!;
    const { type, value } = this.plain[index]!;
    if (type === "nothing") return undefined;
    if (operation.kind === "ok") return operation.completedAt;
    // What never completed and nobody observed can be taken for what never happened.
    if (dark) return undefined;
    const proof = this.seen.get(value);
    const only = !this.isOpen && value !== this.initial && must(this.writers.get(value)) === 1;
    return only && proof !== undefined ? proof.at : Infinity;
  }
}

/**
 * How many operations to come need a value to be there, and how many can write it. A value that is
 * needed and that nobody can write again must not be left.
 */
class ToCome {
  private readonly needs: number[] = [];
  private readonly writers: number[] = [];

  add({ type, expected, value }: Plain, change: number): void {
    const mayNeverHappen = change === Infinity;
    if (!mayNeverHappen && (type === "read" || type === "set")) {
      this.needs[expected] = (this.needs[expected] ?? 0) + change;
    }
    if (type === "write" || type === "set") {
      this.writers[value] = (this.writers[value] ?? 0) + change;
    }
  }

  /** Whether nobody to come needs what one of those to come writes, or another can write it. */
  isDispensable(value: number): boolean {
    return (this.needs[value] ?? 0) === 0 || (this.writers[value] ?? 0) > 1;
  }

  /** Whether `by`, one of those to come, may replace the value. */
  mayLeave(value: number, by: Plain): boolean {
    const own = by.type === "set" && by.expected === value ? 1 : 0;
    return (this.needs[value] ?? 0) <= own || (this.writers[value] ?? 0) > 0;
  }
}

/** What an operation waits for. */
function needOf(state: number, { type, expected }: Plain): number | undefined {
  if (type === "refusal") return state === expected ? ANY_OTHER : undefined;
  if (type !== "read" && type !== "set") return undefined;
  return state === expected || state === ANY ? undefined : expected;
}

function step(state: number, { type, expected }: Plain, after: number): number {
  switch (type) {
    case "write":
      return after;
    case "set":
      return state === expected || state === ANY ? after : REFUSED;
    case "read":
      return state === expected || state === ANY ? expected : REFUSED;
    case "refusal":
      return state === expected ? REFUSED : state;
    case "nothing":
      return state;
  }
}
