/** Time as the rest of Flotilla may ask for it. */
export interface Clock {
  /**
   * Milliseconds since an arbitrary start, never backwards; fractions allowed. It may stand still
   * while the machine sleeps.
   */
  monotonicMs(): number;
  /**
   * Milliseconds since another arbitrary start, at the rate of `monotonicMs`, and going on while
   * the machine sleeps. Read in steps: up to UPTIME_STEP_MS too low. It costs a system call.
   */
  uptimeMs(): number;
  /** Wall-clock milliseconds since 1970: for people and traces only; no guarantee rests on it. */
  wallMs(): number;
}

export const UPTIME_STEP_MS = 10;
