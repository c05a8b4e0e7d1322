/**
 * What nodes had committed in their logs at some moments of a run, kept because they let go of it
 * as they go on. A node is held while its log is read: what lies on its disk then is what a crash
 * would have left.
 */
import type { Cluster } from "./cluster.js";
import { entriesOf, readNodeLog } from "./node-logs.js";
import type { LogEntry, NodeLog } from "./node-logs.js";

export class LogArchive {
  readonly #shards = new Map<number, Map<number, LogEntry>>();
  /** Two nodes had committed different things. */
  fault: string | undefined;

  /** Of all that run; those that do not are read another time. */
  async collect(cluster: Cluster): Promise<void> {
    for (const node of cluster.nodes) {
      await node.whileHeld(() => this.keepOf(node.name, cluster.directoryOf(node.name)));
    }
  }

  /** Of a node that does not run now. */
  keepOf(node: string, directory: string): void {
    const log = readNodeLog(node, directory);
    if (log !== undefined) this.keep(log);
  }

  keep({ node, shards }: NodeLog): void {
    for (const [shardId, shard] of shards) {
      const commitIndex = shard.hardState?.commitIndex ?? 0;
      const kept = this.#shards.get(shardId) ?? new Map<number, LogEntry>();
      this.#shards.set(shardId, kept);
      for (const [index, entry] of entriesOf(node, shard)) {
        if (index > commitIndex) break;
        const known = kept.get(index);
        if (known === undefined) {
          // Its own bytes: the others of its segment go.
          kept.set(index, { ...entry, payload: entry.payload.slice() });
        } else if (known.hash !== entry.hash || known.term !== entry.term) {
          this.fault ??= `${known.node} and ${node} committed other entries ${index} of shard ${shardId}`;
        }
      }
    }
  }

  of(shardId: number): ReadonlyMap<number, LogEntry> {
    return this.#shards.get(shardId) ?? new Map<number, LogEntry>();
  }
}
