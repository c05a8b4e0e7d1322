/** The process's clock. */
import type { Clock } from "../clock.js";

export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
