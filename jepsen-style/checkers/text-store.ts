/**
 * A store of texts under keys: put replaces, append adds to the end, get returns the whole; a
 * missing key is empty. A state that no get returned, nor the beginning of what one returned, is
 * dark. The others are named without building them: by the first of the sorted texts that begin
 * like it, and by its length.
 *
 * Where all values begin with one character that they hold nowhere else, a text that was read is
 * cut into values in one way only. A value with one writer then was written exactly where it
 * stands: it never goes into the dark, and its writer was done when the text was read. A text that
 * begins with such a value never comes back: it is not left while gets of it are to come. There the
 * character is moved from the beginning of the values to their end, so that no value is the
 * beginning of another.
 */
import type { Operation } from "../history.js";
import { Interner, REFUSED } from "./model.js";
import type { Built, Machine, Model } from "./model.js";

export type TextRequest =
  | { readonly type: "get"; readonly key: string }
  | { readonly type: "put" | "append"; readonly key: string; readonly value: string };

export type TextAnswer =
  | { readonly type: "get"; readonly value: string }
  | { readonly type: "put" | "append" };

export type TextOperation = Operation<TextRequest, TextAnswer>;

export const textStoreModel: Model<TextRequest, TextAnswer> = {
  partOf: ({ key }) => key,
  build: (operations) => new TextBuilder(operations).build(),
  describe: (operation) => {
    const { request } = operation;
    if (request.type !== "get") return `${request.type} ${request.key} ${quoted(request.value)}`;
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    return answer?.type === "get" ? `get ${request.key}: ${quoted(answer.value)}` : "get";
  },
};

function quoted(text: string): string {
  return JSON.stringify(text);
}

const DARK = 0;

/** The texts `low` (included) to `high` begin with the same `length` characters: the state. */
interface Range {
  readonly low: number;
  readonly high: number;
  readonly length: number;
}

class TextBuilder {
  private readonly operations: readonly TextOperation[];
  private readonly mark: string | undefined;
  /** What gets returned, each once, sorted. */
  private readonly texts: readonly string[];
  private readonly placeOf: ReadonlyMap<string, number>;
  private readonly ranges: Range[] = [{ low: 0, high: 0, length: 0 }];
  private readonly ids = new Interner();
  private readonly known = new Map<number, number>();
  private readonly initial: number;
  /** Values with one writer that were read, and when first. */
  private readonly seenAt: ReadonlyMap<string, number>;
  /** By text: whether the value at its beginning has one writer. */
  private readonly comesOnce: readonly boolean[];
  private readonly darkening: readonly boolean[];
  /** How many gets of each text are still to come. */
  private readonly toCome: Sums;

  constructor(operations: readonly TextOperation[]) {
    this.mark = markOf(operations);
    this.operations = operations.map((operation) => turned(operation, this.mark));
    this.texts = [...new Set(this.operations.flatMap((one) => textRead(one) ?? []))].sort();
    this.placeOf = new Map(this.texts.map((text, place) => [text, place]));
    this.ids.idOf("dark");
    this.initial = this.idOf({ low: 0, high: this.texts.length, length: 0 });
    this.seenAt = seenOnce(this.operations, this.mark);
    this.comesOnce = this.texts.map((text) => {
      return this.mark !== undefined && this.seenAt.has(valuesOf(text, this.mark)[0] ?? "");
    });
    this.toCome = new Sums(this.texts.length);
    this.darkening = this.findDarkening();
    for (const index of operations.keys()) this.onPlaced(index, 1);
  }

  private idOf(range: Range): number {
    if (range.low === range.high) return DARK;
    const id = this.ids.idOf(`${range.low} ${range.length}`);
    this.ranges[id] ??= range;
    return id;
  }

  private extended({ low, high, length }: Range, value: string): Range {
    const { texts } = this;
    const end = length + value.length;
    const first = partition(low, high, (at) => texts[at]!.slice(length, end) < value);
    const last = partition(first, high, (at) => texts[at]!.slice(length, end) <= value);
    return { low: first, high: last, length: end };
  }

  private findDarkening(): readonly boolean[] {
    const { texts } = this;
    const longest = texts.filter((text, at) => !(texts[at + 1]?.startsWith(text) ?? false));
    return this.operations.map(({ request }, index) => {
      if (request.type === "put") return this.step(DARK, index) === DARK;
      return request.type === "append" && !longest.some((text) => text.includes(request.value));
    });
  }

  private step(state: number, index: number): number {
    const { request } = this.operations[index]!;
    if (request.type === "get") return this.holds(state, index) ? state : REFUSED;
    const from = request.type === "put" ? this.initial : state;
    const after = this.written(from, index, request.value);
    return this.leavesNothing(state, after, request.type) ? after : REFUSED;
  }

  private written(from: number, index: number, value: string): number {
    if (from === DARK) return this.intoDark(value);
    const key = from * this.operations.length + index;
    let after = this.known.get(key);
    if (after === undefined) {
      const range = this.extended(this.ranges[from]!, value);
      after = this.idOf(range);
      if (after === DARK) after = this.intoDark(value);
      this.known.set(key, after);
    }
    return after;
  }

  /** Whether the gets to come of what begins like `state` can still be met after the write. */
  private leavesNothing(state: number, after: number, type: TextRequest["type"]): boolean {
    if (state === DARK || after === REFUSED) return true;
    const { low, high, length } = this.ranges[state]!;
    if (length === 0 || !this.comesOnce[low]!) return true;
    const kept = type === "put" || after === DARK ? undefined : this.ranges[after]!;
    const met = kept === undefined ? 0 : this.toCome.between(kept.low, kept.high);
    return this.toCome.between(low, high) === met;
  }

  onPlaced(index: number, change: 1 | -1): void {
    const text = textRead(this.operations[index]!);
    if (text !== undefined) this.toCome.add(this.placeOf.get(text)!, change);
  }

  private intoDark(value: string): number {
    return this.seenAt.has(value) ? REFUSED : DARK;
  }

  private holds(state: number, index: number): boolean {
    const text = textRead(this.operations[index]!);
    if (text === undefined || state === DARK) return false;
    const { low, length } = this.ranges[state]!;
    return this.placeOf.get(text) === low && text.length === length;
  }

  build(): Built {
    const { mark } = this;
    const strange = this.operations.findIndex((one) => {
      const text = textRead(one) ?? "";
      return mark !== undefined && text !== "" && !text.endsWith(mark);
    });
    if (strange >= 0) {
      const text = "a get shows a text that nobody wrote";
      return { kind: "contradiction", contradiction: { operations: [strange], text } };
    }
    return { kind: "machine", machine: this.machine() };
  }

  private machine(): Machine {
    const classes = new Interner();
    const classOf = this.operations.map(({ request }, index) => {
      if (this.darkening[index]) return classes.idOf("dark");
      return classes.idOf(request.type === "get" ? `get ${index}` : request.type + request.value);
    });
    return {
      initial: this.initial,
      darkState: DARK,
      step: (state, index) => this.step(state, index),
      isObserver: (index) => this.operations[index]!.request.type === "get",
      isDark: (index) => this.darkening[index]!,
      resets: (index) => this.operations[index]!.request.type === "put",
      classOf: (index) => classOf[index]!,
      deadlineOf: (index) => this.deadlineOf(index),
      onPlaced: (index, change) => this.onPlaced(index, change),
    };
  }

  private deadlineOf(index: number): number | undefined {
    const operation = this.operations[index]!;
    if (operation.kind === "ok") return operation.completedAt;
    const { request } = operation;
    if (request.type === "get" || this.darkening[index]) return undefined;
    return this.seenAt.get(request.value) ?? Infinity;
  }
}

/** Sums over intervals of numbers that change (a Fenwick tree). */
class Sums {
  private readonly tree: Int32Array;

  constructor(size: number) {
    this.tree = new Int32Array(size + 1);
  }

  add(at: number, change: number): void {
    for (let i = at + 1; i < this.tree.length; i += i & -i) this.tree[i]! += change;
  }

  between(low: number, high: number): number {
    return this.below(high) - this.below(low);
  }

  private below(end: number): number {
    let sum = 0;
    for (let i = end; i > 0; i -= i & -i) sum += this.tree[i]!;
    return sum;
  }
}

function textRead(operation: TextOperation): string | undefined {
  const answer = operation.kind === "ok" ? operation.answer : undefined;
  return answer?.type === "get" ? answer.value : undefined;
}

/** The first place in [low, high) where `before` does not hold any more. */
function partition(low: number, high: number, before: (at: number) => boolean): number {
  let [from, to] = [low, high];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (before(middle)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The character with which all values begin and which they hold nowhere else, if there is one. */
function markOf(operations: readonly TextOperation[]): string | undefined {
  const values = operations.flatMap(({ request }) => (request.type === "get" ? [] : request.value));
  const mark = values[0]?.[0];
  if (mark === undefined) return undefined;
  return values.every((value) => value.lastIndexOf(mark) === 0) ? mark : undefined;
}

/** The operation with the mark moved from the beginning of each value to its end. */
function turned(operation: TextOperation, mark: string | undefined): TextOperation {
  if (mark === undefined) return operation;
  const turn = (text: string): string => (text.startsWith(mark) ? text.slice(1) + mark : text);
  const { request } = operation;
  if (request.type !== "get") {
    return { ...operation, request: { ...request, value: turn(request.value) } };
  }
  if (operation.kind !== "ok" || operation.answer.type !== "get") return operation;
  const { value } = operation.answer;
  // What was not written by any of them stays without the mark at its end.
  const shown = value.startsWith(mark) ? turn(value) : value.replaceAll(mark, "");
  return { ...operation, answer: { type: "get", value: shown } };
}

function valuesOf(text: string, mark: string): readonly string[] {
  return text
    .split(mark)
    .slice(0, -1)
    .map((rest) => rest + mark);
}

/** When each value that has one writer was first read by a get that completed. */
function seenOnce(
  operations: readonly TextOperation[],
  mark: string | undefined,
): ReadonlyMap<string, number> {
  const seen = new Map<string, number>();
  if (mark === undefined) return seen;
  const writers = new Map<string, number>();
  for (const { request } of operations) {
    if (request.type !== "get") writers.set(request.value, (writers.get(request.value) ?? 0) + 1);
  }
  for (const operation of operations) {
    const text = textRead(operation);
    if (text === undefined || operation.kind !== "ok") continue;
    for (const value of valuesOf(text, mark)) {
      if (writers.get(value) !== 1) continue;
      seen.set(value, Math.min(seen.get(value) ?? Infinity, operation.completedAt));
    }
  }
  return seen;
}
