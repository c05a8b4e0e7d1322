/**
 * Attempts of which one has to succeed: the next begins once the one before has failed, or has not
 * ended within `pauseMs`. One that is silent so costs a moment and not its whole time. All that
 * have begun go on; what comes of them later is theirs.
 */
import type { Timers } from "../env/timers.js";

/** Resolves with the first success; rejects as the last failure where there is none. */
export function staggered<Result>(
  timers: Timers,
  pauseMs: number,
  attempts: readonly (() => Promise<Result>)[],
): Promise<Result> {
  return new Promise((resolve, reject) => {
    let failures = 0;
    let begun = 0;
    const begin = (): void => {
      const at = begun++;
      const timer = timers.after(pauseMs, () => beginNext(at));
      attempts[at]!().then(
        (result) => {
          timer.cancel();
          begun = attempts.length;
          resolve(result);
        },
        (error: unknown) => {
          timer.cancel();
          if (++failures === attempts.length) reject(error);
          else beginNext(at);
        },
      );
    };
    /** Once for each: by its failure or by its silence, whichever comes first. */
    const beginNext = (at: number): void => {
      if (begun === at + 1 && begun < attempts.length) begin();
    };
    begin();
  });
}
