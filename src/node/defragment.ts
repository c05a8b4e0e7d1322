/**
 * Makes a node's files smaller where that is worth while. Whether it is the store knows best, and
 * merges all the time; what it may drop it knows from the compacted revisions of its last flushes.
 * So all trees are flushed, some at a time, and the merges that are then due are waited for, not
 * for ever. Reads and writes go on.
 */
import { notApplied } from "../protocol/errors.js";
import type { Replica } from "../shard/replica.js";
import type { NodeParts } from "./node-parts.js";

/** Flushed together: each freezes a memtable, and too many at once would be a pause. */
const FLUSHED_COUNT_MAX = 256;
/** While writes go on, there are always merges to wait for; of all of it together. */
const WAIT_MS_MAX = 10_000;

export async function defragment(node: NodeParts): Promise<object> {
  const { store, host, env } = node;
  let isLate = false;
  const late = new Promise<void>((resolve) => {
    env.timers.after(WAIT_MS_MAX, () => {
      isLate = true;
      resolve();
    });
  });
  const replicas = [...host.replicas];
  while (replicas.length > 0 && !isLate) {
    const some = replicas.splice(0, FLUSHED_COUNT_MAX);
    await Promise.race([Promise.all(some.map((each) => flush(node, each))), late]);
    // A flush that finds no room waits for it.
    if (store.full) throw notApplied("noSpace", "the disk of this node is full");
  }
  await Promise.race([store.idle(), late]);
  return {};
}

async function flush({ store }: NodeParts, replica: Replica): Promise<void> {
  if (replica.raft.isStateLost || store.tree(replica.shardId) !== replica.tree) return;
  await store.flushNow(replica.tree, replica.flushedState());
}
