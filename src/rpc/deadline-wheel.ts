/**
 * Deadlines without a timer each: entries hang in the slot of the tick at which they expire, one
 * timer visits a slot a tick, and only while there are entries. Adding and removing are a few
 * pointer writes. An entry expires at its time or up to two ticks later, never earlier.
 */
import type { Clock } from "../env/clock.js";
import type { Timers } from "../env/timers.js";

const TICK_MS = 5;
const SLOT_COUNT = 1024;

/** What can expire. The fields belong to the wheel; a new entry has them as `freshDeadline`. */
export interface DeadlineEntry {
  deadlineTick: number;
  previousDeadline: DeadlineEntry | undefined;
  nextDeadline: DeadlineEntry | undefined;
  /** Called once, after the entry has left the wheel. */
  expired(): void;
}

/** deadlineTick of an entry that hangs in no slot. */
export const NO_DEADLINE = -1;

export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #startMs: number;
  readonly #slots: (DeadlineEntry | undefined)[] = [];
  readonly #tickRun: () => void;
  #count = 0;
  /** All ticks up to this one have been visited. */
  #visitedTick = 0;
  #armed = false;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
    this.#startMs = clock.monotonicMs();
    for (let i = 0; i < SLOT_COUNT; i++) this.#slots.push(undefined);
    this.#tickRun = () => this.#tick();
  }

  get count(): number {
    return this.#count;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Has `entry`, which hangs in no slot, expire `delayMs` from now. */
  add(entry: DeadlineEntry, delayMs: number): void {
    const nowMs = this.#clock.monotonicMs() - this.#startMs;
    if (this.#count === 0) this.#visitedTick = Math.floor(nowMs / TICK_MS);
    const tick = Math.max(Math.ceil((nowMs + delayMs) / TICK_MS), this.#visitedTick + 1);
    const slot = tick % SLOT_COUNT;
    const first = this.#slots[slot];
    entry.deadlineTick = tick;
    entry.previousDeadline = undefined;
    entry.nextDeadline = first;
    if (first !== undefined) first.previousDeadline = entry;
    this.#slots[slot] = entry;
    this.#count++;
    if (!this.#armed) this.#arm();
  }

  /** Takes the entry out, if it is in. */
  remove(entry: DeadlineEntry): void {
    if (entry.deadlineTick === NO_DEADLINE) return;
    const previous = entry.previousDeadline;
    const next = entry.nextDeadline;
    if (next !== undefined) next.previousDeadline = previous;
    if (previous !== undefined) previous.nextDeadline = next;
    else this.#slots[entry.deadlineTick % SLOT_COUNT] = next;
    entry.deadlineTick = NO_DEADLINE;
    entry.previousDeadline = undefined;
    entry.nextDeadline = undefined;
    this.#count--;
  }

  #arm(): void {
    this.#armed = true;
    this.#timers.after(TICK_MS, this.#tickRun);
  }

  #tick(): void {
    this.#armed = false;
    const nowTick = Math.floor((this.#clock.monotonicMs() - this.#startMs) / TICK_MS);
    // After a long stall one round over all slots sees every entry.
    const from = Math.max(this.#visitedTick + 1, nowTick - SLOT_COUNT + 1);
    this.#visitedTick = Math.max(nowTick, this.#visitedTick);
    const due: DeadlineEntry[] = [];
    for (let tick = from; tick <= nowTick; tick++) this.#collect(tick % SLOT_COUNT, nowTick, due);
    for (const entry of due) {
      if (entry.deadlineTick === NO_DEADLINE) continue;
      this.remove(entry);
      entry.expired();
    }
    if (this.#count > 0 && !this.#armed) this.#arm();
  }

  /** Entries of later rounds share the slot and stay. */
  #collect(slot: number, nowTick: number, due: DeadlineEntry[]): void {
    let entry = this.#slots[slot];
    while (entry !== undefined) {
      if (entry.deadlineTick <= nowTick) due.push(entry);
      entry = entry.nextDeadline;
    }
  }
}
