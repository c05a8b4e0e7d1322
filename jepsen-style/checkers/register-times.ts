/**
 * What the times of operations alone tell of a register, without a search. All of it is proof; a
 * history in which it finds nothing may still have no order.
 *
 *   one writer: from the first completion that shows such a value to the last call that does, the
 *   value was there all the time. Nothing else can have been there meanwhile
 *   (Gibbons and Korach, Testing Shared Memories, 1997: zones)
 *
 *   any writers: a read is not of a write that was over before another began which was over, too,
 *   when the read began
 */
import type { Contradiction } from "./model.js";
import { addTo } from "../lists.js";

/** An operation that certainly took effect, as far as it says something of the value. */
export interface Timed {
  readonly index: number;
  readonly calledAt: number;
  /** Infinity: it is not known when it was over. */
  readonly completedAt: number;
  /** What was there when it took effect; undefined: it does not say. */
  readonly saw: number | undefined;
  /** What it left; undefined: what it saw. */
  readonly left: number | undefined;
  /** What was certainly not there when it took effect. */
  readonly missed: number | undefined;
}

export interface Values {
  readonly initial: number;
  /** How many may have written the value, certain or not. */
  readonly writersOf: (value: number) => number;
  /** The operations of unknown outcome that may have written the value: there may be none. */
  readonly mayComeLate: (value: number) => boolean;
}

export function contradictionOfTimes(
  operations: readonly Timed[],
  values: Values,
): Contradiction | undefined {
  return overwritten(operations, values) ?? zonesMeet(operations, values);
}

function overwritten(operations: readonly Timed[], values: Values): Contradiction | undefined {
  const writes = operations.filter(({ left }) => left !== undefined);
  const byValue = grouped(writes, ({ left }) => [left]);
  const finished = writes.toSorted((a, b) => a.completedAt - b.completedAt);
  const reads = operations.filter(({ saw }) => saw !== undefined);
  const newest = new Newest();
  let at = 0;
  for (const read of reads.toSorted((a, b) => a.calledAt - b.calledAt)) {
    while (at < finished.length && finished[at]!.completedAt < read.calledAt) {
      newest.add(finished[at++]!);
    }
    const value = read.saw!;
    const other = newest.ofOther(value);
    if (other === undefined || values.mayComeLate(value)) continue;
    const own = byValue.get(value) ?? [];
    const isPossible = (write: Timed): boolean =>
      write.index !== read.index &&
      write.calledAt < read.completedAt &&
      write.completedAt >= other.calledAt;
    if (own.some(isPossible)) continue;
    const before = own.filter((write) => write.completedAt < other.calledAt);
    const last = before.toSorted((a, b) => a.completedAt - b.completedAt).at(-1);
    return {
      text: "a value was observed after another one had taken its place for good",
      operations: [...(last === undefined ? [] : [last]), other, read].map(({ index }) => index),
    };
  }
  return undefined;
}

/** Of the writes that are over, those that began last: of two values. */
class Newest {
  private first: Timed | undefined;
  private second: Timed | undefined;

  add(write: Timed): void {
    if (this.first === undefined || write.calledAt > this.first.calledAt) {
      if (this.first !== undefined && this.first.left !== write.left) this.second = this.first;
      this.first = write;
    } else if (write.left !== this.first.left) {
      if (this.second === undefined || write.calledAt > this.second.calledAt) this.second = write;
    }
  }

  ofOther(value: number): Timed | undefined {
    return this.first?.left === value ? this.second : this.first;
  }
}

/** A value that was there from one time to another. */
interface Zone {
  readonly value: number;
  readonly from: number;
  readonly to: number;
  /** Who shows it at the beginning; undefined for what was there at first. */
  readonly first: Timed | undefined;
  readonly last: Timed;
}

function zonesMeet(operations: readonly Timed[], values: Values): Contradiction | undefined {
  const zones = zonesOf(operations, values);
  const inOrder = operations.toSorted((a, b) => a.calledAt - b.calledAt);
  let widest: Zone | undefined;
  for (const zone of zones.toSorted((a, b) => a.from - b.from)) {
    const from = partition(inOrder, zone.from);
    for (let at = from; at < inOrder.length && inOrder[at]!.calledAt < zone.to; at++) {
      const other = inOrder[at]!;
      if (other.completedAt < zone.to && isOther(other, zone.value)) return within(zone, [other]);
    }
    if (widest !== undefined && zone.from < widest.to) {
      return within(widest, [zone.first!, zone.last]);
    }
    if (widest === undefined || zone.to > widest.to) widest = zone;
  }
  return undefined;
}

function isOther({ saw, left, missed }: Timed, value: number): boolean {
  if (missed === value) return true;
  return (saw !== undefined && saw !== value) || (left !== undefined && left !== value);
}

function zonesOf(operations: readonly Timed[], values: Values): readonly Zone[] {
  return [...grouped(operations, ({ saw, left }) => [saw, left])].flatMap(([value, all]) => {
    const isInitial = value === values.initial;
    if (values.writersOf(value) !== (isInitial ? 0 : 1)) return [];
    const first = all.reduce((a, b) => (b.completedAt < a.completedAt ? b : a));
    const last = all.reduce((a, b) => (b.calledAt > a.calledAt ? b : a));
    const from = isInitial ? -Infinity : first.completedAt;
    if (from >= last.calledAt) return [];
    return [{ value, from, to: last.calledAt, first: isInitial ? undefined : first, last }];
  });
}

function grouped(
  operations: readonly Timed[],
  valuesOf: (operation: Timed) => readonly (number | undefined)[],
): ReadonlyMap<number, readonly Timed[]> {
  const groups = new Map<number, Timed[]>();
  for (const operation of operations) {
    for (const value of new Set(valuesOf(operation))) {
      if (value !== undefined) addTo(groups, value, operation);
    }
  }
  return groups;
}

function within({ first, last }: Zone, others: readonly Timed[]): Contradiction {
  const all = [...(first === undefined ? [] : [first]), ...others, last];
  const text = "a value was there before and after what shows another one, and was written once";
  return { text, operations: [...new Set(all.map(({ index }) => index))] };
}

/** The first place whose operation is called after `time`. */
function partition(inOrder: readonly Timed[], time: number): number {
  let low = 0;
  let high = inOrder.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (inOrder[middle]!.calledAt > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
