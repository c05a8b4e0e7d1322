/**
 * Assertions: what must hold, said in code. A failed assertion is a bug in Flotilla, never a user's
 * mistake; it throws, and the process entry stops the node. They stay on in production.
 */

/** A broken invariant. Nothing catches this but the process entry, which stops the node. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws unless `condition` holds. `message` may be a function where building the text costs. */
export function assert(
  condition: boolean,
  message: string | (() => string) = "invariant broken",
): asserts condition {
  if (!condition) throw new AssertionError(typeof message === "string" ? message : message());
}

/** Marks a branch that no value can reach; the compiler checks that every case was handled. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${String(value)}`);
}

/** The value, which must be there. */
export function must<T>(value: T | undefined, what = "value"): T {
  if (value === undefined) throw new AssertionError(`${what} is missing`);
  return value;
}
