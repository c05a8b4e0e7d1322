/**
 * How fast the workers of a store go on, as the store decides it; paced-disk.ts is their side of
 * it. What a disk and a scheduler are given at once, everybody else waits behind: while somebody
 * writes, whoever flushes and merges rests after every piece, as long as that lasts.
 *
 *   at full speed      while nobody writes, so that there is nobody to hold up, and for a while
 *                      after anything pressed: a second memtable waiting for its flush, too much
 *                      in memory, writes that wait for merges or soon would, somebody waiting for
 *                      what is under way
 *   with short rests   for a while after tables piled up: more than long rests can keep up with
 *   with rests         else; debt that grows so presses in the end
 *
 * It knows nothing of jobs, and a job that runs without workers never rests.
 */
import type { Clock } from "../env/clock.js";

/** Between two pieces; bench: storage, steady-sync, whose 99.9 % it brings to about half. */
export const REST_MICROS = 1000;
/** A short one: the same bench, with large values, where it spares most of the full speed. */
export const SHORT_REST_MICROS = 250;
/** So long a reason to go faster holds: what was behind is caught up with first. */
const PRESSED_MS = 2000;

export class Pace {
  /** What each job is given: how long to rest, in microseconds, as one i32. */
  readonly shared: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #restMicros: Int32Array = new Int32Array(this.shared);
  readonly #clock: Clock;
  #pressedUntilMs = -Infinity;
  #hurriedUntilMs = -Infinity;
  /** How many wait for what is under way. */
  #awaited = 0;
  #writtenBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something is behind: nobody rests for a while, whoever does wakes up. */
  press(): void {
    this.#pressedUntilMs = this.#clock.monotonicMs() + PRESSED_MS;
    this.#set(0);
  }

  /** Tables pile up: rests are short for a while. */
  hurry(): void {
    this.#hurriedUntilMs = this.#clock.monotonicMs() + PRESSED_MS;
    if (Atomics.load(this.#restMicros, 0) > SHORT_REST_MICROS) this.#set(SHORT_REST_MICROS);
  }

  /** Nobody rests until what somebody waits for has come about. */
  async awaiting<T>(outcome: Promise<T>): Promise<T> {
    this.#awaited++;
    this.#set(0);
    try {
      return await outcome;
    } finally {
      this.#awaited--;
    }
  }

  /** Looks at how much the log has written in all, and is writing; called a few times a second. */
  review(writtenBytes: number, isWriting: boolean): void {
    const isQuiet = !isWriting && writtenBytes === this.#writtenBytes;
    this.#writtenBytes = writtenBytes;
    const nowMs = this.#clock.monotonicMs();
    const isPressed = this.#awaited > 0 || nowMs < this.#pressedUntilMs;
    if (isQuiet || isPressed) this.#set(0);
    else this.#set(nowMs < this.#hurriedUntilMs ? SHORT_REST_MICROS : REST_MICROS);
  }

  #set(micros: number): void {
    if (Atomics.exchange(this.#restMicros, 0, micros) === micros) return;
    Atomics.notify(this.#restMicros, 0);
  }
}
