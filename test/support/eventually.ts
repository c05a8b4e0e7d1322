/** Waiting in tests for what has no event to wait for, bounded in time. */

/** Tries until `attempt` neither throws nor returns false; then gives the last failure. */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      const value = await attempt();
      if (value !== false) return value as Exclude<T, false>;
      if (performance.now() > deadline) throw new Error("it never became true");
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
