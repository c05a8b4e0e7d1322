/** The leases of a snapshot's keys, asked for some at a time when all keys are written. */
import type { SnapshotWriter } from "../protocol/snapshot-format.js";

const ASKED_MAX = 64;

/** `ttlOf` gives 0 for a lease that has ended, and whose keys have, too. */
export async function addLeases(
  writer: SnapshotWriter,
  ttlOf: (id: bigint) => Promise<number>,
): Promise<void> {
  const ids = [...writer.leaseIds];
  for (let from = 0; from < ids.length; from += ASKED_MAX) {
    const some = ids.slice(from, from + ASKED_MAX);
    const ttls = await Promise.all(some.map(ttlOf));
    for (const [i, id] of some.entries()) writer.addLease(id, ttls[i]!);
  }
}
