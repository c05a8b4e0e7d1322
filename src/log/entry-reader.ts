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
import { appendedRun, Item, ITEM, visitItems } from "./batch-format.js";
import { SegmentIndex } from "./segment-index.js";
import type { SegmentIndexes } from "./segment-indexes.js";
import type { Span } from "./shard-record.js";
import type { ShardTable } from "./shard-table.js";

const NO_RUNS: readonly EntryRun[] = [];
/** A read ends with so many bytes of entries, or of the log: what is far apart takes several. */
const ENTRIES_SIZE_BYTES = 128 * 1024;
const LOG_SIZE_BYTES = 1024 * 1024;

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
  readonly #item: Item = new Item();
  /** The index that was read last: who lags reads on in the same segment. */
  #lastRead: { readonly segment: number; readonly index: SegmentIndex } | undefined = undefined;

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

  /**
   * Entries of a shard from `firstIndex` on, none beyond `lastIndex`, as far as they lie close to
   * each other: at least one, or none if the first cannot be read. They must be durable.
   */
  read(shardId: number, firstIndex: number, lastIndex: number): readonly EntryRun[] {
    try {
      const runs = this.#read(shardId, firstIndex, lastIndex);
      if (runs.length === 0) this.#complain(shardId, firstIndex, "not there, or damaged");
      else this.#note(shardId, firstIndex, runs);
      return runs;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#complain(shardId, firstIndex, error.message);
      return NO_RUNS;
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

  #read(shardId: number, firstIndex: number, lastIndex: number): readonly EntryRun[] {
    const record = this.#table.records.get(shardId);
    const span = record?.spanOf(firstIndex);
    if (record === undefined || span === undefined || span.lost) return NO_RUNS;
    const offset = this.#indexOf(span.segment)?.find(shardId, firstIndex);
    if (offset === undefined) return NO_RUNS;
    const last = Math.min(lastIndex, span.lastIndex);
    const wanted = { ...span, shardId, replicaId: record.replicaId, firstIndex, lastIndex: last };
    return this.#collect(wanted, offset);
  }

  /** Entries of one span that batches from `offset` on hold, in order. */
  #collect(wanted: Wanted, offset: number): readonly EntryRun[] {
    const runs: EntryRun[] = [];
    let next = wanted.firstIndex;
    let sizeBytes = 0;
    for (let at = offset; next <= wanted.lastIndex && at < offset + LOG_SIZE_BYTES;) {
      const found = this.#batches.read(wanted.segment, at);
      if (found === undefined) break;
      const { bytes, batch } = found;
      visitItems(bytes, batch, this.#item, (item, from, to) => {
        if (!isOf(item, wanted)) return;
        const run = appendedRun(item, bytes.subarray(from, to));
        const end = Math.min(lastIndexOf(run), wanted.lastIndex);
        if (run.firstIndex > next || end < next) return;
        runs.push(sliceRun(run, next, end));
        sizeBytes += to - from;
        next = end + 1;
      });
      if (sizeBytes >= ENTRIES_SIZE_BYTES) break;
      at += batch.length;
    }
    return runs;
  }

  #indexOf(segment: number): SegmentIndex | undefined {
    const known = this.#indexes.kept(segment);
    if (known !== undefined) return known;
    const offset = this.#indexes.placeOf(segment);
    if (offset === undefined) return this.#indexes.active;
    if (this.#lastRead?.segment !== segment) {
      const index = this.#readIndex(segment, offset);
      this.#lastRead = index === undefined ? undefined : { segment, index };
    }
    return this.#lastRead?.index;
  }

  #readIndex(segment: number, offset: number): SegmentIndex | undefined {
    let index: SegmentIndex | undefined = undefined;
    const found = this.#batches.read(segment, offset);
    if (found === undefined) return index;
    visitItems(found.bytes, found.batch, this.#item, (item, from, to) => {
      if (item.kind === ITEM.index) index = new SegmentIndex(found.bytes.slice(from, to));
    });
    return index;
  }
}

function isOf({ kind, shardId, replicaId, term }: Item, wanted: Wanted): boolean {
  if (kind !== ITEM.append || shardId !== wanted.shardId) return false;
  return replicaId === wanted.replicaId && term === wanted.term;
}
