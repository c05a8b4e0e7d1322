/** A batch that was read back: its entries by shard, and the index that it may be. */
import type { EntryRun } from "../base/entry-run.js";
import { appendedRun, Item, ITEM, visitItems } from "./batch-format.js";
import type { FoundBatch } from "./batch-format.js";

/** The run of an append, and whose. */
export interface LoadedAppend {
  readonly replicaId: number;
  readonly run: EntryRun;
}

const NONE: readonly LoadedAppend[] = [];

export class LoadedBatch {
  readonly sizeBytes: number;
  /** By shard: many shards ask for what is in one batch. */
  readonly #appends: Map<number, LoadedAppend[]> = new Map();
  #index: Uint8Array | undefined = undefined;

  /** `batch` was found in `bytes`, which are kept. */
  constructor(bytes: Uint8Array, batch: FoundBatch) {
    this.sizeBytes = batch.length;
    visitItems(bytes, batch, new Item(), (item, from, to) => {
      if (item.kind === ITEM.index) this.#index = bytes.subarray(from, to);
      if (item.kind === ITEM.append) this.#add(item, bytes.subarray(from, to));
    });
  }

  /** The rows of a segment's index, if this batch is one. */
  get index(): Uint8Array | undefined {
    return this.#index;
  }

  appendsOf(shardId: number): readonly LoadedAppend[] {
    return this.#appends.get(shardId) ?? NONE;
  }

  #add(item: Item, bytes: Uint8Array): void {
    const append = { replicaId: item.replicaId, run: appendedRun(item, bytes) };
    const known = this.#appends.get(item.shardId);
    if (known === undefined) this.#appends.set(item.shardId, [append]);
    else known.push(append);
  }
}
