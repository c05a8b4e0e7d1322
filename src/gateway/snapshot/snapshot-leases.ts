/** The leases of a snapshot: those that there are, and those of its keys that have ended since. */
const ASKED_MAX = 64;
/** What a page has room for: a key and a value of 32 bytes at most, and an element. */
export const LEASES_PER_LEAF = 80;

export interface LeaseSource {
  ids(): Promise<readonly bigint[]>;
  /** As granted, in seconds; 0 for a lease that has ended. */
  ttlOf(id: bigint): Promise<number>;
}

/** In the order in which etcd keeps them; some are asked at a time. */
export async function leaseTtls(
  ofKeys: ReadonlySet<bigint>,
  source: LeaseSource,
): Promise<readonly (readonly [id: bigint, ttlSeconds: number])[]> {
  const ids = new Set([...ofKeys, ...(await source.ids())]);
  const sorted = [...ids].sort((a, b) => (a < b ? -1 : 1));
  const ttls: [bigint, number][] = [];
  for (let from = 0; from < sorted.length; from += ASKED_MAX) {
    const some = sorted.slice(from, from + ASKED_MAX);
    const found = await Promise.all(some.map((id) => source.ttlOf(id)));
    for (const [i, id] of some.entries()) ttls.push([id, found[i]!]);
  }
  return ttls.filter(([id, ttlSeconds]) => ttlSeconds > 0 || ofKeys.has(id));
}
