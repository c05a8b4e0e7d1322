/**
 * Turns what was gathered into the bytes of a batch, in one buffer that is used again and again,
 * applies each item to the shard table as it goes in, and notes where entries lie. It never writes:
 * the buffer must not be touched until the write of it is over.
 */
import { assert } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import {
  HEADER_SIZE_BYTES,
  ITEM,
  Item,
  ITEM_SIZE_BYTES,
  batchLength,
  sealBatch,
} from "./batch-format.js";
import type { SegmentPlace } from "./batch-format.js";
import type { Gathering } from "./gathering.js";
import { ROW_SIZE_BYTES } from "./segment-index.js";
import type { SegmentIndexes } from "./segment-indexes.js";
import type { ShardTable } from "./shard-table.js";

/** Where a batch goes, and what it may say about what lies before it. */
export interface BatchTarget extends SegmentPlace {
  readonly offset: number;
  readonly room: number;
  /** A batch of this size takes no further item. */
  readonly aimBytes: number;
  /** A segment's first batch carries a checkpoint, and where the previous segment ended. */
  readonly carriesCheckpoint: boolean;
  readonly previousEnd: number;
  /** Bytes of the segment below it are durable. */
  readonly syncedOffset: number;
}

export class BatchBuilder {
  readonly #table: ShardTable;
  readonly #indexes: SegmentIndexes;
  readonly #item: Item = new Item();
  readonly #checkpoint: ByteWriter = new ByteWriter(1024);
  #bytes: Uint8Array = new Uint8Array(64 * 1024);

  constructor(table: ShardTable, indexes: SegmentIndexes) {
    this.#table = table;
    this.#indexes = indexes;
  }

  /** The batch built last; valid until the next is built. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The length of a batch with a checkpoint that holds everything gathered. */
  firstLength(gathering: Gathering): number {
    const items = this.#table.checkpointCount() + gathering.itemCount;
    return batchLength(items, gathering.payloadLength);
  }

  /**
   * Whether a batch at this target would get anywhere: it holds the checkpoint, if it needs one,
   * and at least one item, if any waits.
   */
  fits(gathering: Gathering, target: BatchTarget): boolean {
    const extra = target.carriesCheckpoint ? this.#table.checkpointCount() : 0;
    if (batchLength(extra, 0) > target.room) return false;
    return (
      gathering.itemCount === 0 || gathering.countThatFits(extra, target.room, target.aimBytes) > 0
    );
  }

  /** Builds the next batch of `gathering`, as much as has room. Returns its length. */
  build(gathering: Gathering, target: BatchTarget, dones: (() => void)[]): number {
    this.#checkpoint.reset();
    const { carriesCheckpoint } = target;
    const checkpointCount = carriesCheckpoint ? this.#table.writeCheckpoint(this.#checkpoint) : 0;
    const count = gathering.countThatFits(checkpointCount, target.room, target.aimBytes);
    const itemCount = checkpointCount + count;
    let payloadLength = 0;
    for (let i = 0; i < count; i++) payloadLength += gathering.runAt(i)?.bytes.length ?? 0;
    const length = batchLength(itemCount, payloadLength);
    assert(length <= target.room, "a batch that has no room was begun");
    this.#reserve(length);
    this.#bytes.set(this.#checkpoint.view(), HEADER_SIZE_BYTES);
    this.#fill(gathering, count, checkpointCount, target);
    gathering.take(count, dones);
    return sealBatch(this.#bytes, target, {
      offset: target.offset,
      itemCount,
      carriesCheckpoint,
      checkpointCount,
      payloadLength,
      syncedOffset: target.syncedOffset,
      previousEnd: target.previousEnd,
    });
  }

  /** The length of a batch that holds the index of the segment and of `count` more appends. */
  indexLength(count: number): number {
    return batchLength(1, this.#indexes.active.sizeBytes + count * ROW_SIZE_BYTES);
  }

  /** Builds the last batch of a segment: its index, and nothing else. Returns its length. */
  buildIndex(target: BatchTarget): number {
    const rows = this.#indexes.active.rows();
    this.#reserve(batchLength(1, rows.length));
    const item = new Item();
    item.kind = ITEM.index;
    item.length = rows.length;
    item.extra = rows.length / ROW_SIZE_BYTES;
    item.write(this.#bytes, HEADER_SIZE_BYTES);
    this.#bytes.set(rows, HEADER_SIZE_BYTES + ITEM_SIZE_BYTES);
    return sealBatch(this.#bytes, target, {
      offset: target.offset,
      itemCount: 1,
      carriesCheckpoint: false,
      checkpointCount: 0,
      payloadLength: rows.length,
      syncedOffset: target.syncedOffset,
      previousEnd: 0,
    });
  }

  #fill(
    gathering: Gathering,
    count: number,
    checkpointCount: number,
    { number: segment, offset }: BatchTarget,
  ): void {
    const index = this.#indexes.active;
    const item = this.#item;
    const bytes = this.#bytes;
    let itemAt = HEADER_SIZE_BYTES + checkpointCount * ITEM_SIZE_BYTES;
    let payloadAt = itemAt + count * ITEM_SIZE_BYTES;
    for (let i = 0; i < count; i++) {
      gathering.peek(i, item);
      if (item.kind === ITEM.trim) this.#resolveTrim(item);
      this.#table.apply(item, segment);
      item.write(bytes, itemAt);
      itemAt += ITEM_SIZE_BYTES;
      const run = gathering.runAt(i);
      if (run === undefined) continue;
      index.add(item, offset);
      bytes.set(run.bytes, payloadAt);
      payloadAt += run.bytes.length;
    }
  }

  /** A trim is clipped to what the log holds, and learns the term of its last entry. */
  #resolveTrim(item: Item): void {
    const record = this.#table.records.get(item.shardId);
    if (record === undefined) return;
    item.replicaId = record.replicaId;
    item.index = Math.max(record.baseIndex, Math.min(item.index, record.lastIndex));
    item.term = record.termAt(item.index);
  }

  #reserve(length: number): void {
    if (this.#bytes.length >= length) return;
    this.#bytes = new Uint8Array(Math.max(length, this.#bytes.length * 2));
  }
}
