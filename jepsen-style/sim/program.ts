/**
 * One run of a program on a simulated machine: a node from its start to its end, or a client. It
 * gives that program its Env; when it ends, whatever the program still had planned never happens,
 * as after SIGKILL.
 *
 * The program's clock runs at a rate of its own; the rate is what "bounded drift" speaks of. While
 * its machine sleeps that clock and its timers stand still, and only the uptime clock goes on. Its
 * wall clock may be anything.
 */
import type { Prng } from "../../src/base/prng.js";
import { UPTIME_STEP_MS } from "../../src/env/clock.js";
import type { Clock } from "../../src/env/clock.js";
import type { Disk } from "../../src/env/disk.js";
import type { Env } from "../../src/env/env.js";
import type { JobRunner } from "../../src/env/jobs.js";
import type { Network } from "../../src/env/network.js";
import type { Random } from "../../src/env/random.js";
import type { Timer, Timers } from "../../src/env/timers.js";
import type { Tracer } from "../../src/env/tracer.js";
import type { Program, SimEvent, World } from "./world.js";

export interface ProgramSettings {
  /** Local milliseconds that pass in one true millisecond, at first. */
  readonly clockRate: number;
  /** What the wall clock is ahead of true time. */
  readonly wallOffsetMs: number;
  /** A quarter of all timers are late by up to this much, most of them by little. */
  readonly timerDelayMsMax: number;
  /** The longest time from the first input of a turn to its end. */
  readonly turnMsMax: number;
}

export interface ProgramOwner {
  /** Its machine stopped in the middle of what it was doing. */
  halted(program: SimProgram): boolean;
  threw(program: SimProgram, error: unknown): void;
}

export interface ProgramStart {
  readonly name: string;
  readonly machine: string;
  readonly prng: Prng;
  readonly settings: ProgramSettings;
}

const WALL_START_MS = 1_700_000_000_000;
/** Monotonic clocks start anywhere; programs must not compare those of two machines. */
const CLOCK_START_MS_MAX = 1_000_000;
/** What the uptime clock is ahead of the program's own: something, and no whole steps. */
const UPTIME_LEAD_MS = 5000;
const UPTIME_LEAD_RATIO = 0.37;
const LATE_TIMER_PROBABILITY = 0.25;
/** A timer is due when so little is missing: what is left of sums that do not come out even. */
const TIMER_GRAIN_MS = 1e-6;

export class SimProgram implements Program {
  readonly name: string;
  readonly machine: string;
  readonly world: World;
  readonly #settings: ProgramSettings;
  readonly #owner: ProgramOwner;
  readonly #prng: Prng;
  readonly #timing: Prng;
  #rate: number;
  /** What the program's clock said when its rate changed last, or its machine woke, and when. */
  #localMs: number;
  #localAtMs: number;
  /** The uptime clock is ahead by this: it was started elsewhere, and goes on in a sleep. */
  #uptimeLeadMs: number;
  #deferred: SimEvent[] = [];
  #turn: (() => void)[] = [];
  #wallOffsetMs: number;
  /** What the wall clock says while it stands still. */
  #wallFrozenMs: number | undefined;
  #alive = true;
  #paused = false;
  #asleep = false;
  /** When it last went on after a pause. */
  awakeSinceMs = 0;
  /** Told once, when the program ends. */
  readonly #endings: (() => void)[] = [];

  constructor(world: World, owner: ProgramOwner, start: ProgramStart) {
    const { prng, settings } = start;
    this.world = world;
    this.name = start.name;
    this.machine = start.machine;
    this.#prng = prng.split();
    this.#timing = prng.split();
    this.#settings = settings;
    this.#owner = owner;
    this.#wallOffsetMs = settings.wallOffsetMs;
    this.#rate = settings.clockRate;
    this.#localAtMs = world.nowMs;
    this.#localMs = this.#timing.fraction() * CLOCK_START_MS_MAX;
    this.#uptimeLeadMs = UPTIME_LEAD_MS + this.#localMs * UPTIME_LEAD_RATIO;
  }

  get alive(): boolean {
    return this.#alive && !this.#owner.halted(this);
  }

  get paused(): boolean {
    return this.#paused;
  }

  defer(event: SimEvent): void {
    this.#deferred.push(event);
  }

  threw(error: unknown): void {
    if (this.alive) this.#owner.threw(this, error);
  }

  whenEnded(run: () => void): void {
    this.#endings.push(run);
  }

  /** SIGSTOP. */
  pause(): void {
    this.#paused = true;
  }

  /** The machine sleeps: nothing runs, and the clock stands still too. */
  sleep(): void {
    if (this.#asleep) return;
    this.#keepLocal();
    this.#asleep = true;
    this.#paused = true;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  /** SIGCONT, or the machine wakes: what came due meanwhile happens now. */
  resume(): void {
    this.#wake();
    this.#paused = false;
    this.awakeSinceMs = this.world.nowMs;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const event of deferred) if (!event.cancelled) this.world.resume(event);
  }

  stepWallClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  freezeWallClock(): void {
    this.#wallFrozenMs = this.clock.wallMs();
  }

  /** It goes on from where it stood, or catches up. */
  thawWallClock(catchesUp: boolean): void {
    const frozenMs = this.#wallFrozenMs;
    if (frozenMs === undefined) return;
    this.#wallFrozenMs = undefined;
    if (!catchesUp) this.#wallOffsetMs += frozenMs - this.clock.wallMs();
  }

  /** From now on the clock runs at another rate. */
  drift(clockRate: number): void {
    if (!this.#asleep) this.#keepLocal();
    this.#rate = clockRate;
  }

  /** SIGKILL. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#deferred = [];
    this.#turn = [];
    for (const run of this.#endings) run();
  }

  readonly clock: Clock = {
    monotonicMs: () => {
      if (this.#asleep) return this.#localMs;
      return this.#localMs + (this.world.nowMs - this.#localAtMs) * this.#rate;
    },
    uptimeMs: () => {
      const uptimeMs = this.clock.monotonicMs() + this.#uptimeLeadMs;
      return uptimeMs - (uptimeMs % UPTIME_STEP_MS);
    },
    wallMs: () => this.#wallFrozenMs ?? WALL_START_MS + this.world.nowMs + this.#wallOffsetMs,
  };

  readonly timers: Timers = {
    after: (delayMs, run) => {
      let localMs = Math.max(0, delayMs);
      if (this.#timing.chance(LATE_TIMER_PROBABILITY)) {
        localMs += this.#settings.timerDelayMsMax * this.#timing.fraction() ** 16;
      }
      return this.#timerAt(this.clock.monotonicMs() + localMs, run);
    },
    endOfTurn: (run) => {
      this.#turn.push(run);
      if (this.#turn.length > 1) return;
      const delayMs = this.#timing.fraction() * this.#settings.turnMsMax;
      this.world.after(delayMs, "turn", this, () => this.#endTurn());
    },
  };

  readonly random: Random = {
    fraction: () => this.#prng.fraction(),
    uniqueId: () => {
      let id = "";
      for (let i = 0; i < 4; i++) id += this.#prng.u32().toString(16).padStart(8, "0");
      return id;
    },
  };

  /** Runs each job at once on the copy that a worker would get, and answers later. */
  jobs(handler: (job: unknown) => unknown, durationMsMax: number): JobRunner {
    return {
      run: (job) =>
        new Promise((resolve, reject) => {
          const input = structuredClone(job);
          this.world.after(this.#timing.fraction() * durationMsMax, "job", this, () => {
            try {
              resolve(structuredClone(handler(input)));
            } catch (error) {
              reject(error as Error);
            }
          });
        }),
      close: () => Promise.resolve(),
    };
  }

  env(parts: {
    readonly disk: Disk;
    readonly network: Network;
    readonly tracer: Tracer;
    readonly jobs: JobRunner;
  }): Env {
    return { clock: this.clock, timers: this.timers, random: this.random, ...parts };
  }

  /** A timer goes by the program's own clock, whatever that does meanwhile. */
  #timerAt(dueMs: number, run: () => void): Timer {
    const plan = (): Timer => {
      const trueMs = (dueMs - this.clock.monotonicMs()) / this.#rate;
      return this.world.after(trueMs, "timer", this, () => {
        if (this.clock.monotonicMs() < dueMs - TIMER_GRAIN_MS) planned = plan();
        else run();
      });
    };
    let planned = plan();
    return { cancel: () => planned.cancel() };
  }

  #keepLocal(): void {
    this.#localMs = this.clock.monotonicMs();
    this.#localAtMs = this.world.nowMs;
  }

  #wake(): void {
    if (!this.#asleep) return;
    this.#uptimeLeadMs += (this.world.nowMs - this.#localAtMs) * this.#rate;
    this.#localAtMs = this.world.nowMs;
    this.#asleep = false;
  }

  #endTurn(): void {
    const runs = this.#turn;
    this.#turn = [];
    for (const run of runs) {
      if (!this.alive) return;
      run();
    }
  }
}
