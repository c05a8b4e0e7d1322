/**
 * The search of Wing and Gong with the cache of Lowe: is there an order of the operations, each
 * between its call and its return, that the machine accepts? Depth first over the operations that
 * may come next, without recursion. What keeps it small, and why none of it loses an order:
 *
 *  1. An observer that fits is taken at once: it changes nothing, so later is never better.
 *  2. Of several operations of one class the one that must return first goes first.
 *  3. Writes that nobody observes go where they are hidden: before a write that replaces the state,
 *     or while the state is dark.
 *  4. Operations that may never have happened are tried last, only if they change the state, the
 *     earliest call of a class first; who needs fewer of them can do all that who needs more can.
 *
 * Going back step by step over every choice of (4) takes long where one or two were missing. So the
 * search is run with few of them allowed until it gets further than ever, and again with more.
 *
 * It stops with `unknown` when its steps are used up.
 */
import { AssertionError, must } from "../../src/base/assert.js";
import { REFUSED } from "./model.js";
import type { Machine } from "./model.js";
import { HEAD } from "./timeline.js";
import type { Timeline } from "./timeline.js";
import { Visited } from "./visited.js";

export type Found =
  | { readonly kind: "order" }
  /** `stuckAt`: the operation whose return no order could pass. */
  | { readonly kind: "none"; readonly stuckAt: number }
  | { readonly kind: "unknown" };

/** How many operations that may never have happened are used before the search gets further. */
const ALLOWANCES: readonly number[] = [1, 2, 4, 16, Infinity];

/** A move: an operation of the list, or the next one of a class of those waiting. */
interface Move {
  readonly owner: number;
  readonly waitingClass: number;
  readonly state: number;
}

interface Frame {
  readonly state: number;
  readonly used: Uint16Array;
  /** How many more of those waiting may be used before the search gets further. */
  readonly spare: number;
  /** How many operations were lifted when this configuration was complete. */
  readonly lifted: number;
  moves: readonly Move[];
  tried: number;
  waitingTried: boolean;
}

export class Search {
  private readonly lifted: number[] = [];
  private readonly frames: Frame[] = [];
  private visited: Visited;
  private readonly timeline: Timeline;
  private readonly machine: Machine;
  private furthest = 0;
  private allowance = 0;
  /** How many operations were tried. */
  steps = 0;

  constructor(timeline: Timeline, machine: Machine) {
    this.timeline = timeline;
    this.machine = machine;
    this.visited = new Visited(timeline.operations.length);
  }

  run(maxSteps: number): Found {
    const most = this.timeline.waiting.length === 0 ? [Infinity] : ALLOWANCES;
    for (this.allowance of most) {
      this.unliftTo(0);
      this.furthest = 0;
      this.visited = new Visited(this.timeline.operations.length);
      const found = this.runOnce(maxSteps);
      if (found.kind !== "none" || this.allowance === Infinity) return found;
    }
    throw new AssertionError("the last allowance is without bound");
  }

  private runOnce(maxSteps: number): Found {
    const none = new Uint16Array(this.timeline.waiting.length);
    if (this.enter(this.machine.initial, none, this.allowance)) return { kind: "order" };
    for (;;) {
      const frame = this.frames.at(-1);
      if (frame === undefined) return { kind: "none", stuckAt: this.stuckAt() };
      if (this.steps > maxSteps) return { kind: "unknown" };
      this.unliftTo(frame.lifted);
      const move = this.nextMove(frame);
      if (move === undefined) this.frames.pop();
      else if (this.take(frame, move)) return { kind: "order" };
    }
  }

  private stuckAt(): number {
    return must(this.timeline.operations[this.timeline.ownerAt[this.furthest]!]);
  }

  /** Takes the move; true if all operations have their place. */
  private take(frame: Frame, { owner, waitingClass, state }: Move): boolean {
    if (waitingClass >= 0) {
      const used = frame.used.slice();
      used[waitingClass]!++;
      return this.enter(state, used, frame.spare - 1);
    }
    if (this.machine.resets(this.timeline.operations[owner]!)) {
      this.liftEach((operation, other) => other !== owner && this.machine.isDark(operation));
    }
    this.lift(owner);
    return this.enter(state, frame.used, frame.spare);
  }

  /** Completes a configuration and, unless it was visited, makes it the top frame; true: done. */
  private enter(state: number, used: Uint16Array, left: number): boolean {
    const { machine, timeline } = this;
    const dark = state === machine.darkState;
    this.liftEach((operation) => {
      if (dark && machine.isDark(operation)) return true;
      return machine.isObserver(operation) && machine.step(state, operation) === state;
    });
    if (timeline.isEmpty) return true;
    const firstReturn = this.firstReturn();
    const spare = firstReturn > this.furthest ? this.allowance : left;
    this.furthest = Math.max(this.furthest, firstReturn);
    const low = timeline.ownerAt[timeline.next[HEAD]!]!;
    if (this.visited.add({ state, used, spare, low, high: timeline.callsBefore[firstReturn]! })) {
      const moves = this.listedMoves(state);
      const lifted = this.lifted.length;
      this.frames.push({ state, used, spare, lifted, moves, tried: 0, waitingTried: false });
    }
    return false;
  }

  private nextMove(frame: Frame): Move | undefined {
    if (frame.tried === frame.moves.length && !frame.waitingTried) {
      frame.waitingTried = true;
      frame.tried = 0;
      frame.moves = this.waitingMoves(frame);
    }
    return frame.moves[frame.tried++];
  }

  private firstReturn(): number {
    const { next, isReturn } = this.timeline;
    let at = next[HEAD]!;
    while (isReturn[at] === 0) at = next[at]!;
    return at;
  }

  /** Lifts all operations that may come next and that `wanted` wants. */
  private liftEach(wanted: (operation: number, owner: number) => boolean): void {
    const { next, isReturn, ownerAt, operations, end } = this.timeline;
    for (let at = next[HEAD]!; at !== end && isReturn[at] === 0; at = next[at]!) {
      const owner = ownerAt[at]!;
      this.steps++;
      if (wanted(operations[owner]!, owner)) this.lift(owner);
    }
  }

  /** The listed operations that may come next and fit: one a class, the first to return first. */
  private listedMoves(state: number): readonly Move[] {
    const { next, isReturn, ownerAt, operations, returnAt } = this.timeline;
    const best = new Map<number, Move>();
    for (let at = next[HEAD]!; isReturn[at] === 0; at = next[at]!) {
      const owner = ownerAt[at]!;
      this.steps++;
      const after = this.machine.step(state, operations[owner]!);
      if (after === REFUSED) continue;
      const own = this.machine.classOf(operations[owner]!);
      const rival = best.get(own);
      if (rival === undefined || returnAt[owner]! < returnAt[rival.owner]!) {
        best.set(own, { owner, waitingClass: -1, state: after });
      }
    }
    return [...best.values()].sort((a, b) => returnAt[a.owner]! - returnAt[b.owner]!);
  }

  private waitingMoves({ state, used, spare }: Frame): readonly Move[] {
    const moves: Move[] = [];
    if (spare === 0) return moves;
    const firstReturn = this.firstReturn();
    this.timeline.waiting.forEach((queue, waitingClass) => {
      const first = queue[used[waitingClass]!];
      if (first === undefined || first.eventsBefore >= firstReturn) return;
      this.steps++;
      const after = this.machine.step(state, first.operation);
      if (after !== REFUSED && after !== state)
        moves.push({ owner: -1, waitingClass, state: after });
    });
    return moves;
  }

  private lift(owner: number): void {
    this.timeline.lift(owner);
    this.visited.toggle(owner);
    this.machine.onPlaced?.(this.timeline.operations[owner]!, -1);
    this.lifted.push(owner);
  }

  private unliftTo(height: number): void {
    while (this.lifted.length > height) {
      const owner = must(this.lifted.pop());
      this.timeline.unlift(owner);
      this.visited.toggle(owner);
      this.machine.onPlaced?.(this.timeline.operations[owner]!, 1);
    }
  }
}
