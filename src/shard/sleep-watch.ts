/**
 * Notices that the machine has slept: a laptop that was closed, a virtual machine that was
 * suspended by its own system. Then the monotonic clock stood still, and what was counted from
 * before the sleep looks younger than it is: a promise of voters that has lapsed long ago, a state
 * that was the newest then.
 *
 * The uptime clock goes on in a sleep, so it gets ahead of the monotonic one by as much. It is read
 * in steps, so a look only tells between which bounds it is ahead. Where the bounds of two looks do
 * not meet, the machine has slept in between; a sleep shorter than UNNOTICED_SLEEP_MS may go
 * unnoticed, and all such sleeps since the last that was noticed are together no longer.
 *
 * It cannot notice a hypervisor that stops all clocks of a machine at once.
 */
import { UPTIME_STEP_MS } from "../env/clock.js";
import type { Clock } from "../env/clock.js";

/** A look that takes longer tells too little. */
const LOOK_MS_MAX = 2;

export const UNNOTICED_SLEEP_MS: number = 2 * (UPTIME_STEP_MS + LOOK_MS_MAX);

/** By how much the uptime clock is ahead of the monotonic one. */
interface Lead {
  readonly minMs: number;
  readonly maxMs: number;
}

export class SleepWatch {
  readonly #clock: Clock;
  /** What the lead was at most, by all looks since the last noticed sleep. */
  #leadMsMax: number = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.look();
  }

  /** Whether the machine may have slept since the last look that said so. Changes nothing. */
  get mayHaveSlept(): boolean {
    return this.#exceeds(this.#leadNow());
  }

  /** The same; and what a look has told is told once. */
  look(): boolean {
    const lead = this.#leadNow();
    const slept = this.#exceeds(lead);
    if (lead !== undefined) {
      this.#leadMsMax = slept ? lead.maxMs : Math.min(this.#leadMsMax, lead.maxMs);
    }
    return slept;
  }

  #exceeds(lead: Lead | undefined): boolean {
    return lead === undefined || lead.minMs > this.#leadMsMax;
  }

  #leadNow(): Lead | undefined {
    const beforeMs = this.#clock.monotonicMs();
    const uptimeMs = this.#clock.uptimeMs();
    const afterMs = this.#clock.monotonicMs();
    if (afterMs - beforeMs > LOOK_MS_MAX) return undefined;
    return { minMs: uptimeMs - afterMs, maxMs: uptimeMs + UPTIME_STEP_MS - beforeMs };
  }
}
