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
 *  5. Where the machine says what operations wait for, a write is made only when its value is
 *     waited for, is there already, or has to be made now: nothing is lost by making it right
 *     before the first who sees it. Whom nobody sees goes under a write made since its call.
 *  6. There, too, who waits for a value that nobody is left to write in time ends the way.
 *
 * Going back step by step over every choice of (4) takes long where one or two were missing. So the
 * search is run with few of them allowed until it gets further than ever, and again with more.
 *
 * It stops with `unknown` when its steps are used up.
 */
import { AssertionError, must } from "../../src/base/assert.js";
import { ANY_OTHER, REFUSED } from "./model.js";
import type { Machine } from "./model.js";
import { HEAD } from "./timeline.js";
import type { Timeline } from "./timeline.js";
import { Visited } from "./visited.js";
import { addTo } from "../lists.js";

export type Found =
  | { readonly kind: "order" }
  /** `stuckAt`: the operation whose return no order could pass. */
  | { readonly kind: "none"; readonly stuckAt: number }
  | { readonly kind: "unknown" };

/** How many operations that may never have happened are used before the search gets further. */
const ALLOWANCES: readonly number[] = [1, 2, 4, 16, Infinity];

const FIRST_SHARES: readonly number[] = [0.002, 0.02];

const NOBODY: readonly number[] = [];

/** A move: an operation of the list, or the next one of a class of those waiting. */
interface Move {
  readonly owner: number;
  readonly waitingClass: number;
  readonly state: number;
  /** The operation goes under the last write that replaced the state: nobody sees it. */
  readonly hides: boolean;
  /** The return by which it has to be made, or one that waits for what it leads to. */
  readonly before: number;
}

interface Frame {
  readonly state: number;
  readonly used: Uint16Array;
  readonly horizon: number;
  /** How many more of those waiting may be used before the search gets further. */
  readonly spare: number;
  /** How many operations were lifted when this configuration was complete. */
  readonly lifted: number;
  /** See `wantedStates`. */
  readonly wanted: ReadonlyMap<number, number> | undefined;
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
  /** Per state: the listed operations that lead to it, by order of call. */
  private readonly writersOf = new Map<number, number[]>();
  /** Per state: the classes of those that may never have happened and lead to it. */
  private readonly waitingWriters = new Map<number, number[]>();
  private readonly isLifted: Uint8Array;
  private furthest = 0;
  private allowance = 0;
  /** How many operations were tried. */
  steps = 0;

  constructor(timeline: Timeline, machine: Machine) {
    this.timeline = timeline;
    this.machine = machine;
    this.visited = new Visited(timeline.operations.length);
    this.isLifted = new Uint8Array(timeline.operations.length);
    this.noteWriters();
  }

  private noteWriters(): void {
    const { machine, timeline } = this;
    timeline.operations.forEach((operation, owner) => {
      const state = machine.leadsTo?.(operation);
      if (state !== undefined) addTo(this.writersOf, state, owner);
    });
    timeline.waiting.forEach(([first], waitingClass) => {
      const state = machine.leadsTo?.(first!.operation);
      if (state !== undefined) addTo(this.waitingWriters, state, waitingClass);
    });
  }

  run(maxSteps: number): Found {
    const allowances = this.timeline.waiting.length === 0 ? [Infinity] : ALLOWANCES;
    // Where one allowance makes it hard another may make it easy: each is given a little at first.
    for (const share of allowances.length === 1 ? [] : FIRST_SHARES) {
      for (const allowance of allowances) {
        const found = this.runWith(allowance, this.steps + maxSteps * share);
        if (found.kind === "order" || this.isProof(found)) return found;
      }
    }
    const end = this.steps + maxSteps;
    for (const allowance of allowances) {
      const found = this.runWith(allowance, end);
      if (found.kind !== "none" || this.isProof(found)) return found;
    }
    throw new AssertionError("the last allowance is without bound");
  }

  /** Only where nothing was held back. */
  private isProof({ kind }: Found): boolean {
    return kind === "none" && this.allowance === Infinity;
  }

  private runWith(allowance: number, maxSteps: number): Found {
    this.allowance = allowance;
    this.unliftTo(0);
    this.frames.length = 0;
    this.furthest = 0;
    this.visited = new Visited(this.timeline.operations.length);
    return this.runOnce(maxSteps);
  }

  private runOnce(maxSteps: number): Found {
    const none = new Uint16Array(this.timeline.waiting.length);
    if (this.enter(this.machine.initial, none, this.allowance, 0)) return { kind: "order" };
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
  private take(frame: Frame, { owner, waitingClass, state, hides }: Move): boolean {
    const { machine, timeline } = this;
    let { used, horizon, spare } = frame;
    const operation =
      waitingClass < 0
        ? timeline.operations[owner]!
        : timeline.waiting[waitingClass]![used[waitingClass]!]!.operation;
    if (machine.resets(operation) && !hides) {
      horizon = this.firstReturn();
      this.liftEach((one, other) => other !== owner && machine.isDark(one));
    }
    if (waitingClass < 0) this.lift(owner);
    else {
      used = used.slice();
      used[waitingClass]!++;
      spare--;
    }
    return this.enter(state, used, spare, horizon);
  }

  /** Completes a configuration and, unless it was visited, makes it the top frame; true: done. */
  private enter(state: number, used: Uint16Array, left: number, horizon: number): boolean {
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
    const high = timeline.callsBefore[firstReturn]!;
    const wanted = this.wantedStates(state);
    if (wanted !== undefined && this.isHopeless(wanted, { used, spare }, firstReturn)) return false;
    if (this.visited.add({ state, used, spare, low, high, horizon })) {
      const moves = this.listedMoves(state, horizon, wanted);
      const lifted = this.lifted.length;
      this.frames.push({
        state,
        used,
        horizon,
        spare,
        lifted,
        wanted,
        moves,
        tried: 0,
        waitingTried: false,
      });
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
  private listedMoves(
    state: number,
    horizon: number,
    wanted: ReadonlyMap<number, number> | undefined,
  ): readonly Move[] {
    const { next, isReturn, ownerAt, operations, returnAt } = this.timeline;
    const { machine } = this;
    const best = new Map<number, Move>();
    let at = next[HEAD]!;
    for (; isReturn[at] === 0; at = next[at]!) {
      const owner = ownerAt[at]!;
      const operation = operations[owner]!;
      this.steps++;
      const after = machine.step(state, operation);
      if (after === REFUSED) continue;
      const own = machine.classOf(operation);
      const rival = best.get(own);
      if (rival === undefined || returnAt[owner]! < returnAt[rival.owner]!) {
        const before = Math.min(returnAt[owner]!, wanted?.get(after) ?? Infinity);
        best.set(own, { owner, waitingClass: -1, state: after, hides: false, before });
      }
    }
    const forced = ownerAt[at]!;
    const moves = [...best.values()].filter(
      ({ owner, state: after }) =>
        wanted === undefined ||
        owner === forced ||
        after === state ||
        wanted.has(after) ||
        wanted.has(ANY_OTHER) ||
        !machine.resets(operations[owner]!),
    );
    moves.sort((a, b) => a.before - b.before);
    if (this.mayHide(forced, horizon)) {
      moves.unshift({ owner: forced, waitingClass: -1, state, hides: true, before: at });
    }
    return moves;
  }

  /**
   * The states that operations which may come next wait for, and by which return; undefined where
   * the machine does not say. `ANY_OTHER`: one waits for any but this.
   */
  private wantedStates(state: number): ReadonlyMap<number, number> | undefined {
    const { machine, timeline } = this;
    if (machine.needOf === undefined) return undefined;
    const { next, isReturn, ownerAt, operations, returnAt } = timeline;
    const wanted = new Map<number, number>();
    for (let at = next[HEAD]!; isReturn[at] === 0; at = next[at]!) {
      const owner = ownerAt[at]!;
      const operation = operations[owner]!;
      const need = machine.needOf(operation, state);
      if (need === undefined) continue;
      wanted.set(need, Math.min(wanted.get(need) ?? Infinity, returnAt[owner]!));
    }
    for (const [first] of timeline.waiting) {
      const need = machine.needOf(first!.operation, state);
      if (need !== undefined && !wanted.has(need)) wanted.set(need, Infinity);
    }
    return wanted;
  }

  /** Whether one of those that wait has nobody left who could write what it waits for in time. */
  private isHopeless(
    wanted: ReadonlyMap<number, number>,
    { used, spare }: Pick<Frame, "used" | "spare">,
    firstReturn: number,
  ): boolean {
    const { callAt, waiting } = this.timeline;
    for (const [need, before] of wanted) {
      if (need === ANY_OTHER || before === Infinity) continue;
      const owners = this.writersOf.get(need) ?? NOBODY;
      if (owners.some((owner) => this.isLifted[owner] === 0 && callAt[owner]! < before)) continue;
      if (spare === 0 && before === firstReturn) return true;
      const classes = this.waitingWriters.get(need) ?? NOBODY;
      const isThere = (own: number): boolean =>
        (waiting[own]![used[own]!]?.eventsBefore ?? Infinity) < before;
      if (!classes.some(isThere)) return true;
    }
    return false;
  }

  private mayHide(owner: number, horizon: number): boolean {
    const { machine, timeline } = this;
    const operation = timeline.operations[owner]!;
    return timeline.callAt[owner]! < horizon && (machine.mayHide?.(operation) ?? false);
  }

  private waitingMoves({ state, used, spare, wanted }: Frame): readonly Move[] {
    const moves: Move[] = [];
    if (spare === 0) return moves;
    const firstReturn = this.firstReturn();
    this.timeline.waiting.forEach((queue, waitingClass) => {
      const first = queue[used[waitingClass]!];
      if (first === undefined || first.eventsBefore >= firstReturn) return;
      this.steps++;
      const after = this.machine.step(state, first.operation);
      if (after === REFUSED || after === state) return;
      if (wanted === undefined || wanted.has(after) || wanted.has(ANY_OTHER))
        moves.push({ owner: -1, waitingClass, state: after, hides: false, before: Infinity });
    });
    return moves;
  }

  private lift(owner: number): void {
    this.isLifted[owner] = 1;
    this.timeline.lift(owner);
    this.visited.toggle(owner);
    this.machine.onPlaced?.(this.timeline.operations[owner]!, -1);
    this.lifted.push(owner);
  }

  private unliftTo(height: number): void {
    while (this.lifted.length > height) {
      const owner = must(this.lifted.pop());
      this.isLifted[owner] = 0;
      this.timeline.unlift(owner);
      this.visited.toggle(owner);
      this.machine.onPlaced?.(this.timeline.operations[owner]!, 1);
    }
  }
}
