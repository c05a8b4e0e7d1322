/**
 * Runs one task for each item, so many at a time and with so many bytes in flight at most. Items
 * are started in order. It never gives up by itself: what a task throws ends the run.
 */
export interface PoolBounds {
  readonly tasksMax: number;
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** Resolves when every started task has ended; stops starting once the signal is aborted. */
export async function runBounded<T>(
  items: AsyncIterable<T> | Iterable<T>,
  sizeOf: (item: T) => number,
  bounds: PoolBounds,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let bytes = 0;
  for await (const item of items) {
    const size = sizeOf(item);
    while (
      running.size >= bounds.tasksMax ||
      (running.size > 0 && bytes + size > bounds.bytesMax)
    ) {
      await Promise.race(running);
    }
    if (failures.length > 0 || bounds.signal.aborted) break;
    bytes += size;
    const one = task(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        bytes -= size;
        running.delete(one);
      });
    running.add(one);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
