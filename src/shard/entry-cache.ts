/**
 * Bounds the memory of the Raft entries of a node's replicas. What it lets go of is on the disk and
 * read again where a follower lacks it. What nobody is going to ask for goes first: at a follower
 * everything, at a leader what all have. Then those with most give up, all down to the same size,
 * so that a busy shard does not cost the others the entries that their followers need next. What
 * is not applied or not durable yet stays, and is bounded by the flow limits.
 */

/** A replica's log, as far as it matters here: see Raft. */
export interface CachedLog {
  readonly cachedBytes: number;
  evictUnneeded(): void;
  evictEntries(sizeBytes: number): void;
}

export function boundEntries(logs: readonly CachedLog[], bytesMax: number): void {
  if (totalOf(logs) <= bytesMax) return;
  for (const log of logs) log.evictUnneeded();
  if (totalOf(logs) <= bytesMax) return;
  const ascending = logs.toSorted((a, b) => a.cachedBytes - b.cachedBytes);
  let left = bytesMax;
  let count = ascending.length;
  for (const log of ascending) {
    const share = left / count;
    const over = log.cachedBytes - share;
    if (over > 0) log.evictEntries(over);
    left -= Math.min(log.cachedBytes, share);
    count--;
  }
}

function totalOf(logs: readonly CachedLog[]): number {
  let total = 0;
  for (const { cachedBytes } of logs) total += cachedBytes;
  return total;
}
