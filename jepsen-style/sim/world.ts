/**
 * Virtual time: one queue of events, run one after another, each to its end. Between two events all
 * promises that can go on do so, so that the code of nodes and clients runs as it is written.
 *
 * An event belongs to a program (a run of a node, or a client) or to nobody. Events of a program
 * that has ended never run; those of a paused one wait until it goes on.
 *
 * It asks nothing for time or chance: the same plan gives the same run, which `digest` proves.
 */
import { hash32 } from "../../src/base/hash.js";
import type { Timer } from "../../src/env/timers.js";
import { EventQueue } from "./event-queue.js";
import type { Planned } from "./event-queue.js";

/** Whose event it is. */
export interface Program {
  readonly name: string;
  readonly alive: boolean;
  readonly paused: boolean;
  /** Takes an event that comes due while the program is paused. */
  defer(event: SimEvent): void;
  /** An event threw, or a promise was rejected with nobody to hear it. */
  threw(error: unknown): void;
}

export interface SimEvent extends Planned {
  /** What it is, in few words: part of the digest. */
  readonly label: string;
  readonly program: Program | undefined;
  readonly run: () => void;
  cancelled: boolean;
}

export interface WorldObserver {
  /** An event has run, with all that follows from it at the same time. */
  after(event: SimEvent): void;
}

const FNV_PRIME = 0x0100_0193;

export class World {
  /** True time; programs see their own clocks. */
  nowMs = 0;
  /** Events that have run. */
  events = 0;
  observer: WorldObserver | undefined;
  readonly #queue = new EventQueue<SimEvent>();
  #order = 0;
  #digestLow = 0x811c_9dc5;
  #digestHigh = 0x1234_5678;
  #current: Program | undefined;
  #stopped = false;

  /** Whose event runs now. */
  get current(): Program | undefined {
    return this.#current;
  }

  /** Two runs of one plan end with the same digest. */
  get digest(): string {
    return hex(this.#digestHigh) + hex(this.#digestLow);
  }

  /** Plans an event `delayMs` from now. */
  after(delayMs: number, label: string, program: Program | undefined, run: () => void): Timer {
    const event: SimEvent = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: this.#order++,
      label,
      program,
      run,
      cancelled: false,
    };
    this.#queue.push(event);
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }

  /** Plans an event that was deferred for now, behind what is planned for now already. */
  resume(event: SimEvent): void {
    this.#queue.push({ ...event, atMs: this.nowMs, order: this.#order++ });
  }

  /** Resolves when that much time has passed; for code that belongs to no program. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, "sleep", undefined, resolve);
    });
  }

  /** No further event runs. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs events until `untilMs`, `stop`, or until nothing is planned. */
  run(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        try {
          if (this.#runSome(untilMs)) resolve();
          else setImmediate(go);
        } catch (error) {
          reject(error as Error);
        }
      };
      setImmediate(go);
    });
  }

  /** Adds something that happened to the digest. */
  note(value: number): void {
    this.#digestLow = Math.imul(this.#digestLow ^ (value & 0xffff_ffff), FNV_PRIME);
    this.#digestHigh = Math.imul(this.#digestHigh ^ (this.#digestLow >>> 7), FNV_PRIME);
  }

  /** Runs a bounded number of events; true when nothing is left to do. */
  #runSome(untilMs: number): boolean {
    for (let i = 0; i < EVENTS_A_TURN; i++) {
      if (this.#stopped) return true;
      const next = this.#queue.peek();
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return true;
      }
      this.#queue.pop();
      if (!next.cancelled) this.#run(next);
    }
    return false;
  }

  #run(event: SimEvent): void {
    const { program } = event;
    if (program !== undefined) {
      if (!program.alive) return;
      if (program.paused) return program.defer(event);
    }
    this.nowMs = Math.max(this.nowMs, event.atMs);
    this.events++;
    this.note(Math.round(this.nowMs * 1000));
    this.note(hashOf(event.label));
    if (program !== undefined) this.note(hashOf(program.name));
    this.#current = program;
    try {
      event.run();
    } catch (error) {
      if (program === undefined) throw error;
      program.threw(error);
    }
    settle();
    this.#current = undefined;
    this.observer?.after(event);
  }
}

/** Events between two turns of the real event loop. */
const EVENTS_A_TURN = 5000;

/**
 * Lets every promise that can go on do so, and tells of rejections that nobody heard: what Node
 * does between two callbacks. It works where no microtask is running, as in a callback of
 * setImmediate; a turn of the real loop an event takes several times as long.
 */
const settle: () => void = (process as unknown as { readonly _tickCallback: () => void })
  ._tickCallback;

const hashes = new Map<string, number>();

function hashOf(text: string): number {
  let hash = hashes.get(text);
  if (hash === undefined) {
    hash = hash32(UTF8.encode(text));
    hashes.set(text, hash);
  }
  return hash;
}

const UTF8 = new TextEncoder();

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
