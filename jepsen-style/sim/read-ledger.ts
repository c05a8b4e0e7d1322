/**
 * What must hold of every index at which a replica is told that it may serve reads: it covers all
 * that anybody had committed when the replica asked. That is stronger than what clients can see,
 * for nobody needs to have written the key that is read.
 *
 * It listens at the Raft core of each replica, to what is asked and what is answered.
 */
import type { Replica } from "../../src/shard/replica.js";

export class ReadLedger {
  readonly #violated: (what: string) => void;
  readonly #heard: WeakSet<Replica> = new WeakSet();

  constructor(violated: (what: string) => void) {
    this.#violated = violated;
  }

  /** Listens to this replica from now on; `committed` tells the newest index of its shard. */
  watch(replica: Replica, machine: string, committed: () => number): void {
    if (this.#heard.has(replica)) return;
    this.#heard.add(replica);
    const { raft, shardId } = replica;
    const asked = new Map<number, number>();
    const readIndex = raft.readIndex.bind(raft);
    raft.readIndex = (context, nowMs) => {
      asked.set(context, committed());
      readIndex(context, nowMs);
    };
    const ready = raft.ready.bind(raft);
    raft.ready = () => {
      const done = ready();
      for (const context of done.readsFailed) asked.delete(context);
      for (const { context, index } of done.reads) {
        const needed = asked.get(context) ?? 0;
        asked.delete(context);
        if (index >= needed) continue;
        const what = `may read shard ${shardId} at ${index} and asked when ${needed} was committed`;
        this.#violated(`${machine} ${what}`);
      }
      return done;
    };
  }
}
