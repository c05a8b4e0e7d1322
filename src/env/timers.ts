/** Things that happen later. */
export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Runs once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Timer;
  /**
   * Runs once at the end of this turn of the event loop, after the input that is ready now has
   * been handled. What gathered meanwhile is then written, synced and sent as one batch.
   */
  endOfTurn(run: () => void): void;
}
