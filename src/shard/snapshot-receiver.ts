/**
 * Takes in Raft snapshots: stages the files as their chunks arrive, and offers the whole to the
 * replica. Nothing of the replica changes before all of it is here; the core decides then, by term
 * and index, whether it still wants it. What the disk does not take is refused, with the reason,
 * and what came of it is removed; the sender tries again later.
 */
import type { KeyRange } from "../base/key-range.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { Message } from "../raft/message.js";
import type { TreeInstall } from "../store/tree-install.js";
import type { Store } from "../store/store.js";
import type { Replica } from "./replica.js";
import { isSameSnapshot } from "./snapshot-messages.js";
import type {
  SnapshotAnswer,
  SnapshotBegin,
  SnapshotChunk,
  SnapshotEnd,
} from "./snapshot-messages.js";
import { configurationOf } from "./snapshot-sender.js";

interface Transfer {
  readonly begin: SnapshotBegin;
  readonly range: KeyRange;
  readonly install: TreeInstall;
}

const OK: SnapshotAnswer = {};

export class SnapshotReceiver {
  readonly #store: Store;
  readonly #replica: (shardId: number) => Replica | undefined;
  readonly #transfers: Map<number, Transfer> = new Map();

  constructor(store: Store, replica: (shardId: number) => Replica | undefined) {
    this.#store = store;
    this.#replica = replica;
  }

  begin(begin: SnapshotBegin): SnapshotAnswer {
    const replica = this.#replica(begin.shardId);
    if (replica === undefined) return { refused: "this node has no replica of the shard" };
    if (replica.replicaId !== begin.toReplica) return { refused: "meant for another replica" };
    if (begin.term < replica.raft.term) return { refused: "from an older term" };
    const { range } = replica.tree;
    const earlier = this.#transfers.get(begin.shardId);
    if (earlier?.range === range && isSameSnapshot(earlier.begin, begin)) {
      this.#transfers.set(begin.shardId, { ...earlier, begin });
      return { received: begin.files.map((_, index) => earlier.install.receivedBytes(index)) };
    }
    earlier?.install.abort();
    const install = this.#store.beginInstall(begin.shardId, range);
    this.#transfers.set(begin.shardId, { begin, range, install });
    return OK;
  }

  chunk(chunk: SnapshotChunk): SnapshotAnswer {
    const transfer = this.#transfers.get(chunk.shardId);
    if (transfer?.begin.transfer !== chunk.transfer) return { refused: "no such transfer" };
    return this.#attempt(chunk.shardId, () => {
      transfer.install.writeChunk(chunk.fileIndex, chunk.offset, chunk.bytes);
    });
  }

  end(end: SnapshotEnd): SnapshotAnswer {
    const transfer = this.#transfers.get(end.shardId);
    if (transfer?.begin.transfer !== end.transfer) return { refused: "no such transfer" };
    const replica = this.#replica(end.shardId);
    if (replica === undefined) {
      this.drop(end.shardId);
      return { refused: "the replica is gone" };
    }
    return this.#attempt(end.shardId, () => {
      const { begin, install } = transfer;
      install.prepare(begin.files);
      const message = messageOf(begin);
      this.#transfers.delete(end.shardId);
      replica.offerSnapshot({ message, state: begin.state, files: begin.files, install });
    });
  }

  /** Gives up what has come for a shard. */
  drop(shardId: number): void {
    this.#transfers.get(shardId)?.install.abort();
    this.#transfers.delete(shardId);
  }

  close(): void {
    for (const transfer of this.#transfers.values()) transfer.install.abort();
    this.#transfers.clear();
  }

  #attempt(shardId: number, step: () => void): SnapshotAnswer {
    try {
      step();
      return OK;
    } catch (error) {
      this.drop(shardId);
      if (!(error instanceof DiskError || error instanceof CorruptionError)) throw error;
      return { refused: error.message };
    }
  }
}

function messageOf({ state, fromReplica, toReplica, term }: SnapshotBegin): Message {
  const mark = { index: state.index, term: state.term, configuration: configurationOf(state) };
  return { kind: "installSnapshot", from: fromReplica, to: toReplica, term, mark };
}
