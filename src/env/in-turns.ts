/** Runs long work in many turns of the event loop, so that none is held up for long. */
import type { Steps } from "../base/steps.js";
import type { Clock } from "./clock.js";
import type { Timers } from "./timers.js";

/** What a turn may be held up, if no single step takes longer. */
const TURN_MS = 5;

export async function inTurns<T>(
  env: { readonly clock: Clock; readonly timers: Timers },
  steps: Steps<T>,
): Promise<T> {
  for (;;) {
    const endMs = env.clock.monotonicMs() + TURN_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (env.clock.monotonicMs() < endMs);
    await new Promise<void>((resolve) => env.timers.endOfTurn(resolve));
  }
}
