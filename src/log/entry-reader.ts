/**
 * Reads entries back that nobody keeps in memory any more. The table says in which segment they are
 * and of which term, the index of the segment in which batch; batches are read from there on, and
 * only what passes its checksums counts. Nothing is mended here and nothing judged: what cannot be
 * read is traced, and whoever asked has to do without it.
 */
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import { DiskError } from "../env/disk.js";
import type { Tracer } from "../env/tracer.js";
import type { BatchReader } from "./batch-reader.js";
import { SegmentIndex } from "./segment-index.js";
import type { SegmentIndexes } from "./segment-indexes.js";
import type { Span } from "./shard-record.js";
import type { ShardTable } from "./shard-table.js";

const NO_RUNS: readonly EntryRun[] = [];
/** A read ends with so many bytes of entries. */
const ENTRIES_SIZE_BYTES = 128 * 1024;
/** Or with a stretch of the log: many shards that lag are read stretch by stretch. */
const STRETCH_SIZE_BYTES = 1024 * 1024;
const INDEXES_MAX = 4;
/** More than a segment has: offsets are u32. */
const STRETCHES_MAX = 2 ** 32 / STRETCH_SIZE_BYTES;

/** Entries of one replica, in one segment and of one term. */
interface Wanted extends Span {
  readonly shardId: number;
  readonly replicaId: number;
}

export class EntryReader {
  readonly #tracer: Tracer;
  readonly #table: ShardTable;
  readonly #indexes: SegmentIndexes;
  readonly #batches: BatchReader;
  /** By segment; those who lag read on in a few. */
  readonly #indexesRead: Map<number, SegmentIndex> = new Map();

  constructor(
    tracer: Tracer,
    parts: {
      readonly table: ShardTable;
      readonly indexes: SegmentIndexes;
      readonly batches: BatchReader;
    },
  ) {
    this.#tracer = tracer;
    this.#table = parts.table;
    this.#indexes = parts.indexes;
    this.#batches = parts.batches;
  }

  /** What was read from the disk for it, all in all. */
  get loadedBytes(): number {
    return this.#batches.loadedBytes;
  }

  /**
   * Entries of a shard from `firstIndex` on, none beyond `lastIndex`, as far as they lie close to
   * each other: at least one, or none if the first cannot be read. They must be durable.
   */
  read(shardId: number, firstIndex: number, lastIndex: number): readonly EntryRun[] {
    const read = (): readonly EntryRun[] => this.#read(shardId, firstIndex, lastIndex);
    const runs = this.#unlessFailed(shardId, firstIndex, read) ?? NO_RUNS;
    if (runs.length > 0) this.#note(shardId, firstIndex, runs);
    else this.#complain(shardId, firstIndex, "not there, or damaged");
    return runs;
  }

  /** Counts the stretches of the log up to the one that an entry lies in; 0 where it is unknown. */
  stretchOf(shardId: number, index: number): number {
    return this.#unlessFailed(shardId, index, () => this.#stretchOf(shardId, index)) ?? 0;
  }

  #unlessFailed<T>(shardId: number, index: number, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#complain(shardId, index, error.message);
      return undefined;
    }
  }

  #note(shardId: number, index: number, runs: readonly EntryRun[]): void {
    this.#tracer.trace("debug", "entries are read from the log", {
      shardId,
      index,
      runs: runs.length,
    });
  }

  #complain(shardId: number, index: number, reason: string): void {
    this.#tracer.trace("warn", "entries of the log cannot be read", { shardId, index, reason });
  }

  #stretchOf(shardId: number, index: number): number | undefined {
    const span = this.#table.records.get(shardId)?.spanOf(index);
    const offset = span === undefined ? undefined : this.#offsetOf(span, shardId, index);
    if (span === undefined || offset === undefined) return undefined;
    return span.segment * STRETCHES_MAX + Math.floor(offset / STRETCH_SIZE_BYTES);
  }

  #read(shardId: number, firstIndex: number, lastIndex: number): readonly EntryRun[] {
    const record = this.#table.records.get(shardId);
    const span = record?.spanOf(firstIndex);
    if (record === undefined || span === undefined || span.lost) return NO_RUNS;
    const offset = this.#offsetOf(span, shardId, firstIndex);
    if (offset === undefined) return NO_RUNS;
    const last = Math.min(lastIndex, span.lastIndex);
    const wanted = { ...span, shardId, replicaId: record.replicaId, firstIndex, lastIndex: last };
    return this.#collect(wanted, offset);
  }

  #offsetOf({ segment }: Span, shardId: number, index: number): number | undefined {
    return this.#indexOf(segment)?.find(shardId, index);
  }

  /** Entries of one span that batches from `offset` on hold, in order. */
  #collect(wanted: Wanted, offset: number): readonly EntryRun[] {
    const runs: EntryRun[] = [];
    let next = wanted.firstIndex;
    let sizeBytes = 0;
    const end = offset - (offset % STRETCH_SIZE_BYTES) + STRETCH_SIZE_BYTES;
    for (let at = offset; next <= wanted.lastIndex && at < end;) {
      const batch = this.#batches.read(wanted.segment, at);
      if (batch === undefined || sizeBytes >= ENTRIES_SIZE_BYTES) break;
      for (const { replicaId, run } of batch.appendsOf(wanted.shardId)) {
        if (replicaId !== wanted.replicaId || run.term !== wanted.term) continue;
        const last = Math.min(lastIndexOf(run), wanted.lastIndex);
        if (run.firstIndex > next || last < next) continue;
        runs.push(sliceRun(run, next, last));
        sizeBytes += run.bytes.length;
        next = last + 1;
      }
      at += batch.sizeBytes;
    }
    return runs;
  }

  #indexOf(segment: number): SegmentIndex | undefined {
    const known = this.#indexes.inMemory(segment);
    const offset = this.#indexes.placeOf(segment);
    if (known !== undefined || offset === undefined) return known;
    return this.#indexesRead.get(segment) ?? this.#readIndex(segment, offset);
  }

  #readIndex(segment: number, offset: number): SegmentIndex | undefined {
    const rows = this.#batches.readOnce(segment, offset)?.index;
    if (rows === undefined) return undefined;
    const index = new SegmentIndex(rows.slice());
    const [oldest] = this.#indexesRead.keys();
    if (oldest !== undefined && this.#indexesRead.size >= INDEXES_MAX) {
      this.#indexesRead.delete(oldest);
    }
    this.#indexesRead.set(segment, index);
    return index;
  }
}
