/**
 * A part of a history as a doubly linked list of calls and returns in order of time, calls first at
 * equal times. An operation that took its place in the order is lifted out of the list and put back
 * when the search goes back. Operations that may never have happened are not in the list: they wait
 * beside it, by class, the earliest call first.
 */
import type { Machine } from "./model.js";
import { addTo } from "../lists.js";

interface Event {
  readonly at: number;
  /** 0 for a call, 1 for a return. */
  readonly side: 0 | 1;
  readonly operation: number;
}

/** One that may never have happened, and how many events of the list precede its call. */
export interface Waiting {
  readonly operation: number;
  readonly eventsBefore: number;
}

export const HEAD = 0;

export class Timeline {
  /** Of the part, by order of call: the search's own numbering. */
  readonly operations: readonly number[];
  /** Per class, those that may never have happened, the earliest call first. */
  readonly waiting: readonly (readonly Waiting[])[];
  readonly end: number;
  /** Per event: the operation, in the search's numbering. */
  readonly ownerAt: Int32Array;
  readonly isReturn: Uint8Array;
  /** Per event: how many calls are before it. */
  readonly callsBefore: Int32Array;
  readonly next: Int32Array;
  private readonly previous: Int32Array;
  readonly callAt: Int32Array;
  readonly returnAt: Int32Array;

  constructor(calledAt: (operation: number) => number, count: number, machine: Machine) {
    const events: Event[] = [];
    const optional: number[] = [];
    for (let operation = 0; operation < count; operation++) {
      const deadline = machine.deadlineOf(operation);
      if (deadline === undefined) continue;
      if (deadline === Infinity) optional.push(operation);
      else {
        const at = calledAt(operation);
        // What is proved to have happened before its call breaks the order either way.
        events.push({ at, side: 0, operation });
        events.push({ at: Math.max(at, deadline), side: 1, operation });
      }
    }
    events.sort((a, b) => a.at - b.at || a.side - b.side);
    const total = events.length;
    this.end = total + 1;
    this.ownerAt = new Int32Array(total + 2);
    this.isReturn = new Uint8Array(total + 2);
    this.callsBefore = new Int32Array(total + 2);
    this.next = new Int32Array(total + 2);
    this.previous = new Int32Array(total + 2);
    this.callAt = new Int32Array(total / 2);
    this.returnAt = new Int32Array(total / 2);
    this.operations = this.place(events);
    this.waiting = waitingByClass(optional, calledAt, events, machine);
  }

  private place(events: readonly Event[]): number[] {
    const operations: number[] = [];
    const owners = new Map<number, number>();
    for (let at = 0; at <= this.end; at++) {
      this.next[at] = at + 1;
      this.previous[at] = at - 1;
      this.callsBefore[at] = operations.length;
      const event = events[at - 1];
      if (event === undefined) continue;
      let owner = owners.get(event.operation);
      if (owner === undefined) {
        owner = operations.push(event.operation) - 1;
        owners.set(event.operation, owner);
        this.callAt[owner] = at;
      } else {
        this.returnAt[owner] = at;
      }
      this.ownerAt[at] = owner;
      this.isReturn[at] = event.side;
    }
    return operations;
  }

  get isEmpty(): boolean {
    return this.next[HEAD] === this.end;
  }

  lift(owner: number): void {
    this.unlink(this.callAt[owner]!);
    this.unlink(this.returnAt[owner]!);
  }

  /** Only in the opposite order of `lift`. */
  unlift(owner: number): void {
    this.link(this.returnAt[owner]!);
    this.link(this.callAt[owner]!);
  }

  private unlink(at: number): void {
    this.next[this.previous[at]!] = this.next[at]!;
    this.previous[this.next[at]!] = this.previous[at]!;
  }

  private link(at: number): void {
    this.next[this.previous[at]!] = at;
    this.previous[this.next[at]!] = at;
  }
}

function waitingByClass(
  optional: readonly number[],
  calledAt: (operation: number) => number,
  events: readonly Event[],
  machine: Machine,
): readonly (readonly Waiting[])[] {
  const inOrder = optional.toSorted((a, b) => calledAt(a) - calledAt(b));
  const byClass = new Map<number, Waiting[]>();
  let eventsBefore = 0;
  for (const operation of inOrder) {
    const at = calledAt(operation);
    const precedes = (event: Event): boolean =>
      event.at < at || (event.at === at && event.side === 0);
    while (eventsBefore < events.length && precedes(events[eventsBefore]!)) eventsBefore++;
    const own = machine.classOf(operation);
    addTo(byClass, own, { operation, eventsBefore });
  }
  return [...byClass.values()];
}
