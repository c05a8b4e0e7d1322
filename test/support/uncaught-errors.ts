/**
 * Errors that nobody caught: in production each would have been the end of a node. The runner
 * fails on them too, but only a test knows which of its steps must not have any.
 */
import { afterEach, beforeEach } from "vitest";

/** To be called once at the top of a test file; the list is empty at the start of every test. */
export function uncaughtErrors(): readonly unknown[] {
  const errors: unknown[] = [];
  const note = (error: unknown): void => {
    errors.push(error);
  };
  beforeEach(() => {
    errors.length = 0;
    process.on("uncaughtException", note);
  });
  afterEach(() => {
    process.off("uncaughtException", note);
  });
  return errors;
}
