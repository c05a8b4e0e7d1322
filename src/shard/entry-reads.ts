/**
 * The reads of entries that leaders want back from the log: a few in each turn, whatever the number
 * of shards, so that a node that comes back costs those that catch it up no heartbeat. What lies
 * first in the log comes first: shards whose entries lie in the same batches read them together.
 */
import type { EntryReader } from "../log/entry-reader.js";
import type { EntriesRequest } from "../raft/types.js";
import type { Replica } from "./replica.js";

/** In one turn: some milliseconds, with what is sent then. */
const READS_MAX = 32;
const LOADED_BYTES_MAX = 1024 * 1024;

interface Waiting {
  readonly replica: Replica;
  readonly request: EntriesRequest;
}

export class EntryReads {
  readonly #entries: EntryReader;
  /** By stretch of the log. */
  readonly #waiting: Map<number, Waiting[]> = new Map();

  constructor(entries: EntryReader) {
    this.#entries = entries;
  }

  get isPending(): boolean {
    return this.#waiting.size > 0;
  }

  add(replica: Replica, request: EntriesRequest): void {
    const stretch = this.#entries.stretchOf(replica.shardId, request.firstIndex);
    const others = this.#waiting.get(stretch);
    if (others === undefined) this.#waiting.set(stretch, [{ replica, request }]);
    else others.push({ replica, request });
  }

  /** Serves what a turn has time for. */
  serve(): void {
    const loadedMax = this.#entries.loadedBytes + LOADED_BYTES_MAX;
    let left = READS_MAX;
    while (left > 0 && this.isPending) {
      const stretch = Math.min(...this.#waiting.keys());
      const waiting = this.#waiting.get(stretch)!;
      for (; left > 0 && waiting.length > 0; left--) {
        if (this.#entries.loadedBytes >= loadedMax) return;
        this.#read(waiting.pop()!);
      }
      if (waiting.length === 0) this.#waiting.delete(stretch);
    }
  }

  #read({ replica, request }: Waiting): void {
    if (replica.closed) return;
    const { firstIndex, lastIndex } = request;
    const runs = this.#entries.read(replica.shardId, firstIndex, lastIndex);
    replica.entriesRead(request, runs);
  }
}
