/**
 * Reads entries back that nobody keeps in memory any more. The table says in which segment they are
 * and of which term, the index of the segment in which batch; batches are read from there on, and
 * only what passes its checksums counts. Nothing is mended here and nothing judged: what cannot be
 * read is traced, and whoever asked has to do without it.
 */
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import type { Tracer } from "../env/tracer.js";
import { appendedRun, Item, ITEM, readBatch, traceLength, visitItems } from "./batch-format.js";
import type { FoundBatch } from "./batch-format.js";
import { segmentName } from "./segment-format.js";
import { SegmentIndex } from "./segment-index.js";
import type { SegmentIndexes } from "./segment-indexes.js";
import type { Span } from "./shard-record.js";
import type { ShardTable } from "./shard-table.js";

const NO_RUNS: readonly EntryRun[] = [];
/** Read at once: enough for many small batches, and soon read. */
const READ_SIZE_BYTES = 256 * 1024;

/** What a reader needs of its log. */
export interface ReaderParts {
  readonly disk: Disk;
  readonly tracer: Tracer;
  readonly directory: string;
  readonly storeTag: number;
  readonly table: ShardTable;
  readonly indexes: SegmentIndexes;
}

/** The bytes of a segment from a batch on; places count from there. */
interface Part {
  readonly bytes: Uint8Array;
  readonly segment: number;
  readonly base: number;
}

export class EntryReader {
  readonly #parts: ReaderParts;
  readonly #item: Item = new Item();
  /** The index that was read last: who lags reads on in the same segment. */
  #lastRead: { readonly segment: number; readonly index: SegmentIndex } | undefined = undefined;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /**
   * Entries of a shard from `firstIndex` on, none beyond `lastIndex`, as many as lie close to each
   * other: at least one, or none if the first cannot be read. They must be durable.
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
    const { tracer } = this.#parts;
    tracer.trace("debug", "entries are read from the log", { shardId, index, runs: runs.length });
  }

  #complain(shardId: number, index: number, reason: string): void {
    const { tracer } = this.#parts;
    tracer.trace("warn", "entries of the log cannot be read", { shardId, index, reason });
  }

  #read(shardId: number, firstIndex: number, lastIndex: number): readonly EntryRun[] {
    const record = this.#parts.table.records.get(shardId);
    const span = record?.spanOf(firstIndex);
    if (record === undefined || span === undefined || span.lost) return NO_RUNS;
    const offset = this.#indexOf(span.segment)?.find(shardId, firstIndex);
    if (offset === undefined) return NO_RUNS;
    const part = this.#load(span.segment, offset);
    const { replicaId } = record;
    return this.#collect(part, { ...span, shardId, replicaId, firstIndex }, lastIndex);
  }

  /** The entries of one span that the batches of a part hold, in order. */
  #collect(
    part: Part,
    wanted: Span & { readonly shardId: number; readonly replicaId: number },
    lastIndex: number,
  ): readonly EntryRun[] {
    const runs: EntryRun[] = [];
    const last = Math.min(lastIndex, wanted.lastIndex);
    let next = wanted.firstIndex;
    for (let at = 0; next <= last;) {
      const batch = this.#batchAt(part, at);
      if (batch === undefined) break;
      visitItems(part.bytes, batch, this.#item, (item, from, to) => {
        const { kind, shardId, replicaId, term } = item;
        if (kind !== ITEM.append || shardId !== wanted.shardId) return;
        if (replicaId !== wanted.replicaId || term !== wanted.term) return;
        const run = appendedRun(item, part.bytes.subarray(from, to));
        const end = Math.min(lastIndexOf(run), last);
        if (run.firstIndex > next || end < next) return;
        runs.push(sliceRun(run, next, end));
        next = end + 1;
      });
      at += batch.length;
    }
    return runs;
  }

  #indexOf(segment: number): SegmentIndex | undefined {
    const { indexes } = this.#parts;
    const known = indexes.kept(segment);
    if (known !== undefined) return known;
    const offset = indexes.placeOf(segment);
    if (offset === undefined) return indexes.active;
    if (this.#lastRead?.segment !== segment) {
      const index = this.#readIndex(segment, offset);
      this.#lastRead = index === undefined ? undefined : { segment, index };
    }
    return this.#lastRead?.index;
  }

  #readIndex(segment: number, offset: number): SegmentIndex | undefined {
    const part = this.#load(segment, offset);
    const batch = this.#batchAt(part, 0);
    let index: SegmentIndex | undefined = undefined;
    if (batch === undefined) return index;
    visitItems(part.bytes, batch, this.#item, (item, from, to) => {
      if (item.kind === ITEM.index) index = new SegmentIndex(part.bytes.slice(from, to));
    });
    return index;
  }

  #batchAt({ bytes, segment, base }: Part, at: number): FoundBatch | undefined {
    const place = { storeTag: this.#parts.storeTag, number: segment, base };
    const batch = readBatch(bytes, place, at);
    return batch?.payloadIntact === true ? batch : undefined;
  }

  /** Reads a batch, and what follows it as far as a read goes. */
  #load(segment: number, base: number): Part {
    const { disk, directory, storeTag } = this.#parts;
    const file = disk.open(`${directory}/${segmentName(segment)}`, { readOnly: true });
    try {
      for (let sizeBytes = READ_SIZE_BYTES; ;) {
        const buffer = new Uint8Array(sizeBytes);
        const bytes = buffer.subarray(0, file.readSync(buffer, 0, sizeBytes, base));
        const length = traceLength(bytes, { storeTag, number: segment }, 0);
        if (length <= sizeBytes || bytes.length < sizeBytes) return { bytes, segment, base };
        sizeBytes = length;
      }
    } finally {
      file.close();
    }
  }
}
