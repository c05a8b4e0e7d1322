/**
 * Reads the log at a start, without changing anything.
 *
 *   1. List the segments; the ones after the last that holds a batch were only prepared.
 *   2. Walk them in order and put every item into the shard table. A flipped bit that a batch can
 *      name is flipped back in what was read; the file stays as it is.
 *   3. The very last batch is held back: nothing proves that it was durable, so it is handed out
 *      to be written again, before anything is built upon it.
 *   4. Later (`readRuns`), read the bytes of the entries that nobody has trimmed.
 */
import { concatBytes } from "../base/bytes.js";
import { crc32 } from "../base/checksum.js";
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import type { Disk } from "../env/disk.js";
import {
  BLOCK_SIZE_BYTES,
  ITEM,
  Item,
  ITEM_SIZE_BYTES,
  readBatch,
  readBatchByCopy,
} from "./batch-format.js";
import type { FoundBatch, SegmentPlace } from "./batch-format.js";
import { CorruptionError } from "./corruption-error.js";
import { flipBit } from "./payload-check.js";
import { Gathering } from "./gathering.js";
import type { LogHealth, RecoveredShard } from "./log-types.js";
import type { SealedSegment } from "./segment-files.js";
import {
  decodeSegmentHeader,
  segmentName,
  segmentNumber,
  SEGMENT_FORMAT_VERSION,
  SEGMENT_START,
  storeTagOf,
} from "./segment-format.js";
import { holdsBatches, walkSegment } from "./segment-reader.js";
import { UNKNOWN_INDEX } from "./shard-record.js";
import type { RunSource, ShardRecord, Span } from "./shard-record.js";
import { ShardTable } from "./shard-table.js";

const JOINED_SIZE_BYTES_MAX = 1024 * 1024;

/** A bit that was flipped back, counted from the start of the segment. */
export interface MendedBit {
  readonly segment: SealedSegment;
  readonly bit: number;
}

/** The batches of a segment, up to where they end. */
interface Judged {
  readonly end: number;
  readonly checksum: number;
}

export class LogRecovery {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #storeId: string;
  readonly #storeTag: number;
  readonly #item: Item = new Item();
  readonly table: ShardTable = new ShardTable();
  /** Segments that hold batches, oldest first. */
  readonly used: SealedSegment[] = [];
  /** Segments that were prepared and never written to. */
  readonly prepared: SealedSegment[] = [];
  /** The items of the last batch. */
  readonly unproven: Gathering = new Gathering();
  /** Where the batches of each used segment end. */
  readonly ends: Map<number, number> = new Map();
  /** Where the last used segment ends. */
  end = 0;
  /** The same, the last batch left out. */
  provenEnd = 0;
  shardsMayBeMissing = false;
  /** The bits that had flipped in payloads. */
  readonly mended: MendedBit[] = [];
  #lastRuns: { readonly shardId: number; readonly run: EntryRun }[] = [];
  #held: FoundBatch | undefined;
  readonly #kept = new Map<number, Uint8Array>();
  /** What the scan has judged, mended bits included, of segments that are read again. */
  readonly #judged = new Map<number, Judged>();

  constructor(disk: Disk, directory: string, storeId: string) {
    this.#disk = disk;
    this.#directory = directory;
    this.#storeId = storeId;
    this.#storeTag = storeTagOf(storeId);
    this.table.recovering = true;
  }

  /** Steps 1 to 3. */
  scan(): void {
    this.#listSegments();
    let expected = this.used[0]?.number ?? 0;
    for (let i = 0; i < this.used.length; i++) {
      const segment = this.used[i]!;
      if (segment.number !== expected) this.#loseBatch();
      expected = segment.number + 1;
      this.#scanSegment(segment, this.used[i + 1]);
    }
    this.table.settle();
  }

  /**
   * Step 4: what each shard recovered. `rewritten` is the segment that now holds the entries of
   * the last batch.
   */
  recoverShards(rewritten: number): ReadonlyMap<number, RecoveredShard> {
    const runs = this.#readRuns();
    const recovered = new Map<number, RecoveredShard>();
    for (const record of this.table.records.values()) {
      const last = this.#lastRuns.filter((one) => one.shardId === record.shardId);
      const folded = foldRuns(last.map((one) => one.run));
      const found = runsOf(record, runs.get(record) ?? [], rewritten, folded);
      const { replicaId, hardState, baseIndex, baseTerm } = record;
      const firstLost = record.firstLostIndex ?? Infinity;
      const lastLost = record.lastLostIndex ?? Infinity;
      recovered.set(record.shardId, {
        replicaId,
        hardState,
        baseIndex,
        baseTerm,
        runs: found.filter((run) => run.firstIndex < firstLost),
        runsAfterLoss: found.filter((run) => run.firstIndex > lastLost),
        health: healthOf(record),
      });
      record.compact();
    }
    this.table.recovering = false;
    this.#kept.clear();
    this.#judged.clear();
    return recovered;
  }

  #place(number: number): SegmentPlace {
    return { storeTag: this.#storeTag, number };
  }

  /** The bytes of a segment. Two are kept: a segment and the next, whose start is needed early. */
  #read(segment: SealedSegment): Uint8Array {
    const kept = this.#kept.get(segment.number);
    if (kept !== undefined) return kept;
    const judged = this.#judged.get(segment.number);
    const bytes = judged === undefined ? this.#load(segment) : this.#loadAgain(segment, judged);
    for (const number of this.#kept.keys()) if (this.#kept.size > 1) this.#kept.delete(number);
    this.#kept.set(segment.number, bytes);
    return bytes;
  }

  #load(segment: SealedSegment): Uint8Array {
    const file = this.#disk.open(segment.path, { readOnly: true });
    try {
      const bytes = new Uint8Array(segment.sizeBytes);
      const count = file.readSync(bytes, 0, segment.sizeBytes, 0);
      return bytes.subarray(0, count - (count % BLOCK_SIZE_BYTES));
    } finally {
      file.close();
    }
  }

  /** What the scan saw: a read may differ from the next, and a bit may have flipped in one only. */
  #loadAgain(segment: SealedSegment, { end, checksum }: Judged): Uint8Array {
    for (let attempt = 0; attempt < 2; attempt++) {
      const bytes = this.#load(segment);
      if (crc32(bytes.subarray(0, end)) === checksum) return bytes;
      for (const mended of this.mended) if (mended.segment === segment) flipBit(bytes, mended.bit);
      if (crc32(bytes.subarray(0, end)) === checksum) return bytes;
    }
    throw new CorruptionError(segment.path, 0, "it does not read as it did a moment ago");
  }

  #listSegments(): void {
    const found: SealedSegment[] = [];
    for (const name of this.#disk.list(this.#directory)) {
      const number = segmentNumber(name);
      if (number === undefined) continue;
      const path = `${this.#directory}/${segmentName(number)}`;
      const file = this.#disk.open(path, { readOnly: true });
      found.push({ number, path, sizeBytes: file.sizeBytes() });
      file.close();
    }
    while (found.length > 0) {
      const last = found.at(-1)!;
      const bytes = this.#read(last);
      this.#refuseForeign(last, bytes);
      if (holdsBatches(bytes, this.#place(last.number))) break;
      this.prepared.unshift(found.pop()!);
    }
    this.used.push(...found);
  }

  #refuseForeign(segment: SealedSegment, bytes: Uint8Array): void {
    const header = decodeSegmentHeader(bytes.subarray(0, BLOCK_SIZE_BYTES), segment.number);
    if (header === undefined) return;
    if (header.version !== SEGMENT_FORMAT_VERSION) {
      throw new CorruptionError(segment.path, 8, `unknown format version ${header.version}`);
    }
    if (header.storeId !== this.#storeId) {
      throw new CorruptionError(segment.path, 16, `belongs to store ${header.storeId}`);
    }
  }

  #scanSegment(segment: SealedSegment, next: SealedSegment | undefined): void {
    const bytes = this.#read(segment);
    this.#refuseForeign(segment, bytes);
    const place = this.#place(segment.number);
    let proven = SEGMENT_START;
    const end = walkSegment(bytes, place, this.#statedEnd(next), {
      batch: (found) => {
        const batch = this.#mend(bytes, segment, found);
        // A start that went on in this segment wrote the batch before again, in this one.
        if (this.#held !== undefined && batch.syncedOffset <= this.#held.offset) {
          this.#held = undefined;
        }
        this.#applyHeld(bytes, segment.number);
        proven = batch.syncedOffset;
        if (batch.carriesCheckpoint) this.#applyCheckpoint(bytes, batch, segment.number);
        this.#held = batch;
      },
      lost: () => {
        this.#applyHeld(bytes, segment.number);
        this.#loseBatch();
      },
    });
    if (next !== undefined) this.#applyHeld(bytes, segment.number);
    else this.#handOut(bytes);
    // Two are kept: with more, this one is read again.
    if (this.used.length > 2) {
      this.#judged.set(segment.number, { end, checksum: crc32(bytes.subarray(0, end)) });
    }
    this.ends.set(segment.number, end);
    this.end = end;
    this.provenEnd = next === undefined ? proven : end;
  }

  #mend(bytes: Uint8Array, segment: SealedSegment, batch: FoundBatch): FoundBatch {
    const { flippedBit: bit } = batch;
    if (bit === undefined) return batch;
    flipBit(bytes, bit);
    this.mended.push({ segment, bit });
    return { ...batch, payloadIntact: true, flippedBit: undefined };
  }

  /** Where a segment ended, according to the first batch of the next one. */
  #statedEnd(next: SealedSegment | undefined): number | undefined {
    if (next === undefined) return undefined;
    const bytes = this.#read(next);
    const place = this.#place(next.number);
    const first =
      readBatch(bytes, place, SEGMENT_START) ?? readBatchByCopy(bytes, place, SEGMENT_START);
    return first?.previousEnd;
  }

  #loseBatch(): void {
    this.table.loseBatch();
    this.shardsMayBeMissing = true;
  }

  #applyCheckpoint(bytes: Uint8Array, batch: FoundBatch, segment: number): void {
    const shardIds = new Set<number>();
    for (let i = 0; i < batch.checkpointCount; i++) {
      this.#item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
      this.table.apply(this.#item, segment);
      shardIds.add(this.#item.shardId);
    }
    this.table.keepOnly(shardIds);
    this.shardsMayBeMissing = false;
  }

  #applyHeld(bytes: Uint8Array, segment: number): void {
    const batch = this.#held;
    this.#held = undefined;
    if (batch === undefined) return;
    visitItems(bytes, batch, this.#item, (item, source) => {
      this.table.apply(item, segment, source, !batch.payloadIntact);
    });
  }

  /** Hands the last batch out as items that are to be written again. */
  #handOut(bytes: Uint8Array): void {
    const batch = this.#held;
    this.#held = undefined;
    if (batch === undefined) return;
    visitItems(bytes, batch, this.#item, (item, source) => {
      // The checkpoint in front of the batch's new place has to say so.
      this.table.foresee(item);
      if (source === undefined) {
        this.unproven.add(item, undefined);
        return;
      }
      const run = runFrom(bytes, source, item.term);
      this.unproven.add(item, run);
      this.#lastRuns.push({ shardId: item.shardId, run });
    });
  }

  /** The runs in the used segments. */
  #readRuns(): ReadonlyMap<ShardRecord, EntryRun[]> {
    const runs = new Map<ShardRecord, EntryRun[]>();
    for (const segment of this.used) {
      for (const record of this.table.records.values()) {
        const spans = record.spans.filter((span) => span.segment === segment.number && !span.lost);
        const found = runs.get(record) ?? [];
        runs.set(record, found);
        if (spans.length > 0) joinRuns(viewsOf(this.#read(segment), spans), found);
      }
    }
    return runs;
  }
}

/** The runs of spans as views of a segment's bytes. */
function viewsOf(bytes: Uint8Array, spans: readonly Span[]): readonly EntryRun[] {
  const views: EntryRun[] = [];
  for (const { source, term, firstIndex, lastIndex } of spans) {
    if (source === undefined) continue;
    const { position, length } = source;
    const whole = { ...source, term, bytes: bytes.subarray(position, position + length) };
    views.push(sliceRun(whole, firstIndex, lastIndex));
  }
  return views;
}

/** Copies neighbours of one term into runs of moderate size: far fewer objects than were logged. */
function joinRuns(views: readonly EntryRun[], target: EntryRun[]): void {
  let start = 0;
  while (start < views.length) {
    const { kind, term, firstIndex, bytes } = views[start]!;
    let length = bytes.length;
    let end = start + 1;
    for (; end < views.length && kind === "command"; end++) {
      const next = views[end]!;
      if (next.kind !== kind || next.term !== term) break;
      if (next.firstIndex !== lastIndexOf(views[end - 1]!) + 1) break;
      if (length + next.bytes.length > JOINED_SIZE_BYTES_MAX) break;
      length += next.bytes.length;
    }
    const joined = views.slice(start, end);
    const count = lastIndexOf(joined.at(-1)!) - firstIndex + 1;
    const copy = concatBytes(...joined.map((view) => view.bytes));
    target.push({ kind, term, firstIndex, count, bytes: copy });
    start = end;
  }
}

/** Visits the items of a batch that are not its checkpoint. */
function visitItems(
  bytes: Uint8Array,
  batch: FoundBatch,
  item: Item,
  visit: (item: Item, source: RunSource | undefined) => void,
): void {
  let position = batch.payloadOffset;
  for (let i = batch.checkpointCount; i < batch.itemCount; i++) {
    item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
    if (item.kind !== ITEM.append) {
      visit(item, undefined);
      continue;
    }
    const { entryKind: kind, length, index: firstIndex, extra: count } = item;
    visit(item, { position, length, kind, firstIndex, count });
    position += length;
  }
}

function runFrom(bytes: Uint8Array, source: RunSource, term: number): EntryRun {
  const { kind, firstIndex, count, position, length } = source;
  return { kind, term, firstIndex, count, bytes: bytes.slice(position, position + length) };
}

/** Runs appended one after the other, each replacing the tail from its first index on. */
function foldRuns(appended: readonly EntryRun[]): readonly EntryRun[] {
  const folded: EntryRun[] = [];
  for (const run of appended) {
    while (folded.length > 0 && folded.at(-1)!.firstIndex >= run.firstIndex) folded.pop();
    const last = folded.at(-1);
    if (last !== undefined && lastIndexOf(last) >= run.firstIndex) {
      folded[folded.length - 1] = sliceRun(last, last.firstIndex, run.firstIndex - 1);
    }
    folded.push(run);
  }
  return folded;
}

/** What was read, and what of the last batch's runs the record still holds. */
function runsOf(
  record: ShardRecord,
  read: readonly EntryRun[],
  rewritten: number,
  lastRuns: readonly EntryRun[],
): readonly EntryRun[] {
  const found = [...read];
  for (const span of record.spans) {
    if (span.lost || span.segment !== rewritten || span.source !== undefined) continue;
    for (const last of lastRuns) {
      const from = Math.max(last.firstIndex, span.firstIndex);
      const to = Math.min(lastIndexOf(last), span.lastIndex);
      if (from <= to) found.push(sliceRun(last, from, to));
    }
  }
  return found;
}

function healthOf(record: ShardRecord): LogHealth {
  if (!record.corrupt) return { kind: "intact" };
  const { hardStateLost, firstLostIndex, floor } = record;
  const tailUnknown = floor?.index === UNKNOWN_INDEX;
  return {
    kind: "corrupt",
    hardStateLost,
    tailUnknown,
    firstLostIndex,
    lastIndex: tailUnknown ? record.lastIndex : (floor?.index ?? record.lastIndex),
    lastTerm: floor?.term ?? record.lastTerm,
  };
}
