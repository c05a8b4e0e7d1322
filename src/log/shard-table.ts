/**
 * All shards of the log, as the items written so far leave them. Live writing and recovery put
 * every item through the same `apply`, so that what is recovered cannot differ from what was held.
 * A segment begins with a checkpoint: the table as items, so that no older segment is needed for
 * anything but entries.
 */
import { assert } from "../base/assert.js";
import type { ByteWriter } from "../base/coding.js";
import { FLAG_HARD_STATE_LOST, ITEM, Item, ITEM_SIZE_BYTES } from "./batch-format.js";
import type { LogPin } from "./log-types.js";
import { ShardRecord } from "./shard-record.js";
import type { RunSource } from "./shard-record.js";

export class ShardTable {
  readonly records: Map<number, ShardRecord> = new Map();
  /** Only while recovering may entries be missing in the middle; they become lost ones. */
  recovering = false;
  /** Whether a shard without a record may have had one, in what was lost at any time. */
  shardsMayBeMissing = false;
  /** A batch was lost since the last checkpoint: it may have held the hard state of any shard. */
  #isDoubtful = false;

  /** Applies one item that lies in `segment`. `lost`: its payload is gone. */
  apply(item: Item, segment: number, source?: RunSource, lost = false): void {
    switch (item.kind) {
      case ITEM.append:
        this.#append(item, segment, source, lost);
        return;
      case ITEM.hardState:
        this.#hardState(item);
        return;
      case ITEM.reset:
        this.#ensure(item).reset(item.index, item.term);
        return;
      case ITEM.clean:
        this.records.delete(item.shardId);
        return;
      case ITEM.trim:
        this.records.get(item.shardId)?.trimTo(item.index, item.term);
        return;
      default:
        this.#checkpointItem(item, segment);
    }
  }

  /** After a checkpoint's items: only the shards it named exist, as far as it knew. */
  keepOnly(shardIds: ReadonlySet<number>, mayBeMissing: boolean): void {
    for (const shardId of this.records.keys()) {
      if (!shardIds.has(shardId)) this.records.delete(shardId);
    }
    this.#isDoubtful = false;
    this.shardsMayBeMissing = mayBeMissing;
  }

  /**
   * A batch is gone of which nothing is known. It may have replaced entries that were not yet
   * known to be committed, appended more, and changed any hard state.
   */
  loseBatch(): void {
    this.#isDoubtful = true;
    this.shardsMayBeMissing = true;
    for (const record of this.records.values()) {
      record.hardStateLost = true;
      record.tailUnknown = true;
      const commitIndex = record.hardState?.commitIndex ?? 0;
      record.lose(Math.max(commitIndex, record.baseIndex) + 1, record.lastIndex);
    }
  }

  /** This item will be applied later: a shard it is the first of may have lost something before. */
  foresee(item: Item): void {
    if (this.#isDoubtful) this.#ensure(item);
  }

  /** Everything was read. */
  settle(): void {
    for (const record of this.records.values()) record.settle();
  }

  /** The table as checkpoint items; returns how many. */
  writeCheckpoint(target: ByteWriter): number {
    const before = target.length;
    const item = new Item();
    for (const record of this.records.values()) writeRecord(record, item, target);
    if (this.shardsMayBeMissing) writeMissing(target);
    return (target.length - before) / ITEM_SIZE_BYTES;
  }

  /** Exactly how many items `writeCheckpoint` would write. */
  checkpointCount(): number {
    let count = this.shardsMayBeMissing ? 1 : 0;
    for (const record of this.records.values()) {
      count += record.hardState === undefined ? 2 : 3;
      if (record.floor !== undefined) count++;
      for (const span of record.spans) if (span.lost) count++;
    }
    return count;
  }

  /** A shard that holds on to the oldest segment, if any holds on to one. */
  oldestPin(): (LogPin & { readonly segment: number }) | undefined {
    let oldest: ShardRecord | undefined;
    for (const record of this.records.values()) {
      if (record.oldestSegment < (oldest?.oldestSegment ?? Infinity)) oldest = record;
    }
    if (oldest === undefined) return undefined;
    const segment = oldest.oldestSegment;
    return { ...pinOf(oldest, segment), segment };
  }

  /** All shards that hold on to this segment and to none before it. */
  pinsOf(segment: number): LogPin[] {
    const pins: LogPin[] = [];
    for (const record of this.records.values()) {
      if (record.oldestSegment === segment) pins.push(pinOf(record, segment));
    }
    return pins;
  }

  #append(item: Item, segment: number, source: RunSource | undefined, lost: boolean): void {
    const record = this.#ensure(item);
    const lastIndex = item.index + item.extra - 1;
    this.#fillHole(record, item.index - 1, item.term, segment);
    const firstIndex = item.index;
    record.append({ segment, firstIndex, lastIndex, term: item.term, lost, source });
  }

  /** Adds entries that should be there and are not, up to `lastIndex`. */
  #fillHole(record: ShardRecord, lastIndex: number, term: number, segment: number): void {
    const firstIndex = record.lastIndex + 1;
    if (firstIndex > lastIndex) return;
    assert(this.recovering, "an append beyond the end of the log");
    record.append({ segment, firstIndex, lastIndex, term, lost: true, source: undefined });
  }

  #hardState(item: Item): void {
    const record = this.#ensure(item);
    record.hardState = { term: item.term, vote: item.extra, commitIndex: item.index };
    record.hardStateLost = (item.flags & FLAG_HARD_STATE_LOST) !== 0;
  }

  #checkpointItem(item: Item, segment: number): void {
    const record = this.#ensure(item);
    switch (item.kind) {
      case ITEM.base:
        if (item.index > record.lastIndex) record.reset(item.index, item.term);
        else record.trimTo(item.index, item.term);
        record.hardStateLost = (item.flags & FLAG_HARD_STATE_LOST) !== 0;
        record.floor = undefined;
        return;
      case ITEM.lost: {
        this.#fillHole(record, item.index - 1, item.term, segment);
        const lastIndex = item.index + item.extra - 1;
        record.lose(item.index, lastIndex);
        this.#fillHole(record, lastIndex, item.term, segment);
        return;
      }
      case ITEM.tail:
        this.#fillHole(record, item.index, item.term, segment);
        record.truncateFrom(item.index + 1);
        if (record.lastTerm !== item.term) record.lose(record.baseIndex + 1, record.lastIndex);
        record.tailUnknown = false;
        return;
      case ITEM.floor:
        record.floor = { index: item.index, term: item.term };
        return;
      default:
        assert(false, () => `an item of kind ${item.kind}`);
    }
  }

  /** The record of the item's replica; another replica of the shard begins from nothing. */
  #ensure(item: Item): ShardRecord {
    const known = this.records.get(item.shardId);
    if (known !== undefined && known.replicaId === item.replicaId) return known;
    const record = new ShardRecord(item.shardId, item.replicaId);
    record.hardStateLost = this.#isDoubtful;
    this.records.set(item.shardId, record);
    return record;
  }
}

function pinOf({ shardId, baseIndex, spans }: ShardRecord, segment: number): LogPin {
  let index = baseIndex;
  for (const span of spans) if (span.segment === segment) index = span.lastIndex;
  return { shardId, index };
}

/** Room is taken first: that may put the bytes elsewhere. */
function append(item: Item, target: ByteWriter): void {
  const at = target.reserve(ITEM_SIZE_BYTES);
  item.write(target.bytes, at);
}

function writeMissing(target: ByteWriter): void {
  const item = new Item();
  item.kind = ITEM.missing;
  append(item, target);
}

function writeRecord(record: ShardRecord, item: Item, target: ByteWriter): void {
  const hardStateLost = record.hardStateLost ? FLAG_HARD_STATE_LOST : 0;
  item.entryKind = "command";
  item.length = 0;
  item.shardId = record.shardId;
  item.replicaId = record.replicaId;
  const put = (kind: number, flags: number, term: number, index: number, extra: number): void => {
    item.kind = kind;
    item.flags = flags;
    item.term = term;
    item.index = index;
    item.extra = extra;
    append(item, target);
  };
  put(ITEM.base, hardStateLost, record.baseTerm, record.baseIndex, 0);
  if (record.hardState !== undefined) {
    const { term, vote, commitIndex } = record.hardState;
    put(ITEM.hardState, hardStateLost, term, commitIndex, vote);
  }
  for (const { lost, term, firstIndex, lastIndex } of record.spans) {
    if (lost) put(ITEM.lost, 0, term, firstIndex, lastIndex - firstIndex + 1);
  }
  put(ITEM.tail, 0, record.lastTerm, record.lastIndex, 0);
  const { floor } = record;
  if (floor !== undefined) put(ITEM.floor, 0, floor.term, floor.index, 0);
}
