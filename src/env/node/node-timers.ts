/**
 * The event loop's timers. setImmediate is the end of the turn: it runs after the poll phase has
 * handed out the input that was ready.
 */
import type { Timers } from "../timers.js";

export const nodeTimers: Timers = {
  after: (delayMs, run) => {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  endOfTurn: (run) => {
    setImmediate(run);
  },
};
