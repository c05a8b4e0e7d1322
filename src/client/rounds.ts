/**
 * Work that many ask for at a time and all can share, round by round. Who comes during a round
 * waits for the next one: what he hears of was read after he came.
 */
export class Rounds {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** Rejects as the round does. */
  join(run: () => Promise<void>): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#running.then(() => {
      this.#next = undefined;
      return run();
    });
    this.#next = next;
    // How a round ends is the matter of those who wait for it, not of the next one.
    this.#running = next.catch(() => undefined);
    return next;
  }
}
