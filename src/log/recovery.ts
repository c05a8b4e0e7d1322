/**
 * Reads the log at a start, without changing anything.
 *
 *   1. List the segments; the ones after the last that holds a batch were only prepared. An orderly
 *      close says which is the last, and where it ends: else each is looked at.
 *   2. Read how each begins, from the newest on: where the one before ended, and the checkpoint.
 *      What the newest says to be trimmed is not kept when it is met in an older segment; where a
 *      checkpoint says that all before it is trimmed, or a close did, the segments before are done.
 *   3. Walk the others in order, put every item into the shard table and keep the bytes of the
 *      entries. A flipped bit that a batch can name is flipped back in what was read; the file
 *      stays as it is.
 *   4. The very last batch is held back: unless an orderly close says so, nothing proves that it
 *      was durable. It is handed out to be written again, before anything is built upon it.
 *
 * Where anything is lost, and a segment was left out, all are read from the beginning instead.
 *
 * Each byte that counts is read once: a disk may give something else the next time.
 */
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import { finish } from "../base/steps.js";
import type { Steps } from "../base/steps.js";
import type { Disk } from "../env/disk.js";
import {
  appendedRun,
  BLOCK_SIZE_BYTES,
  isWhole,
  ITEM,
  Item,
  ITEM_SIZE_BYTES,
  readBatch,
  readBatchByCopy,
  traceLength,
  visitItems,
} from "./batch-format.js";
import type { FoundBatch, SegmentPlace } from "./batch-format.js";
import { readStatement } from "./closing-statement.js";
import type { ClosingStatement } from "./closing-statement.js";
import { CorruptionError } from "./corruption-error.js";
import { flipBit } from "./payload-check.js";
import { Gathering } from "./gathering.js";
import type { LogHealth, RecoveredShard } from "./log-types.js";
import { joinRuns, RunSlabs } from "./run-slabs.js";
import type { SealedSegment } from "./segment-files.js";
import {
  decodeSegmentHeader,
  segmentName,
  segmentNumber,
  SEGMENT_FORMAT_VERSION,
  SEGMENT_FORMATS_READ,
  SEGMENT_START,
  storeTagOf,
} from "./segment-format.js";
import { SegmentIndexes } from "./segment-indexes.js";
import { SegmentLoader } from "./segment-loader.js";
import { holdsBatches, walkingSegment } from "./segment-reader.js";
import { UNKNOWN_INDEX } from "./shard-record.js";
import type { RunSource, ShardRecord } from "./shard-record.js";
import { ShardTable } from "./shard-table.js";

/** A bit that was flipped back, counted from the start of the segment. */
export interface MendedBit {
  readonly segment: SealedSegment;
  readonly bit: number;
}

/** What a checkpoint says of a shard: only its replica's entries after the base are needed. */
interface Needed {
  readonly replicaId: number;
  readonly baseIndex: number;
}

export interface RecoveryExtent {
  /** Of this start: a close of the run before may have left a statement. */
  readonly run?: number | undefined;
  /** Also what nobody needs. */
  readonly readsAll?: boolean | undefined;
  /** There is a log, whatever is found of it. */
  readonly isBegun?: boolean | undefined;
}

/** Reads a log for a start: all of it where what is needed does not prove to be sound. */
export function* recovering(
  disk: Disk,
  directory: string,
  storeId: string,
  extent: Omit<RecoveryExtent, "readsAll">,
): Steps<LogRecovery> {
  const recovery = new LogRecovery(disk, directory, storeId, extent);
  yield* recovery.scanning();
  if (!recovery.isInDoubt) return recovery;
  const whole = new LogRecovery(disk, directory, storeId, { ...extent, readsAll: true });
  yield* whole.scanning();
  return whole;
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
  readonly indexes: SegmentIndexes = new SegmentIndexes();
  /** The items of the last batch. */
  readonly unproven: Gathering = new Gathering();
  /** Where the batches of each used segment end. */
  readonly ends: Map<number, number> = new Map();
  /** Where the last used segment ends. */
  end = 0;
  /** The same, the last batch left out. */
  provenEnd = 0;
  /** The bits that had flipped in payloads. */
  readonly mended: MendedBit[] = [];
  #lastRuns: { readonly shardId: number; readonly run: EntryRun }[] = [];
  #held: FoundBatch | undefined;
  readonly #loader: SegmentLoader;
  readonly #slabs: RunSlabs = new RunSlabs();
  readonly #run: number | undefined;
  readonly #readsAll: boolean;
  readonly #isBegun: boolean;
  #firstRead = 0;
  /** The segment that was looked at last is of an earlier version; the last one comes last. */
  #isOld = false;
  #statement: ClosingStatement | undefined = undefined;
  /** The segment written to last is not there: a close names it, or a prepared one follows. */
  #isEndMissing = false;
  /** Of segments before this one only some entries are needed. */
  #checkpointSegment = 0;
  readonly #needed: Map<number, Needed> = new Map();

  constructor(disk: Disk, directory: string, storeId: string, extent: RecoveryExtent = {}) {
    this.#disk = disk;
    this.#run = extent.run;
    this.#readsAll = extent.readsAll ?? false;
    this.#isBegun = extent.isBegun ?? false;
    this.#loader = new SegmentLoader(disk);
    this.#directory = directory;
    this.#storeId = storeId;
    this.#storeTag = storeTagOf(storeId);
    this.table.recovering = true;
  }

  scan(): void {
    finish(this.scanning());
  }

  /** The same in steps; the longest loads a segment. */
  *scanning(): Steps<void> {
    this.#listSegments();
    yield;
    const statedEnds = this.#readBeginnings();
    let expected = this.used[this.#firstRead]?.number ?? 0;
    for (let i = this.#firstRead; i < this.used.length; i++) {
      const segment = this.used[i]!;
      if (segment.number !== expected) this.table.loseBatch();
      expected = segment.number + 1;
      const isLast = i === this.used.length - 1 && !this.#isEndMissing;
      yield* this.#scanningSegment(segment, isLast, statedEnds[i]);
      yield;
    }
    if (this.#isEndMissing) this.table.loseBatch();
    this.table.settle();
  }

  /** Whether something is lost that a segment which was not read might hold. */
  get isInDoubt(): boolean {
    return this.#firstRead > 0 && this.#isDamaged;
  }

  /** Whether an orderly close ended the last segment, and all is as it would be written now. */
  get isClosed(): boolean {
    const isSound = this.mended.length === 0 && !this.#isDamaged;
    return this.#statement?.end === this.end && isSound && !this.#isOld;
  }

  get #isDamaged(): boolean {
    const { records, shardsMayBeMissing } = this.table;
    return shardsMayBeMissing || [...records.values()].some((one) => one.corrupt);
  }

  /** What each shard recovered. `rewritten` is the segment that now holds the last batch. */
  recoverShards(rewritten: number): ReadonlyMap<number, RecoveredShard> {
    const recovered = new Map<number, RecoveredShard>();
    for (const record of this.table.records.values()) {
      const last = this.#lastRuns.filter((one) => one.shardId === record.shardId);
      const folded = foldRuns(last.map((one) => one.run));
      const found = runsOf(record, joinRuns(this.#keptRuns(record)), rewritten, folded);
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
    return recovered;
  }

  /** After a scan, for who only looks: what the next start will have, with the last batch. */
  look(): ReadonlyMap<number, RecoveredShard> {
    const rewritten = (this.used.at(-1)?.number ?? 0) + 1;
    for (let i = 0; i < this.unproven.itemCount; i++) {
      this.unproven.peek(i, this.#item);
      this.table.apply(this.#item, rewritten);
    }
    return this.recoverShards(rewritten);
  }

  #place(number: number): SegmentPlace {
    return { storeTag: this.#storeTag, number };
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
    this.#readStatement(found);
    while (found.length > 0) {
      const last = found.at(-1)!;
      this.#refuseForeign(last, this.#loader.load(last, SEGMENT_START));
      if (this.#isUsed(last)) break;
      this.prepared.unshift(found.pop()!);
    }
    this.used.push(...found);
    const next = 1 + (this.used.at(-1)?.number ?? 0);
    const isNext = this.prepared[0]?.number === next;
    if (this.prepared.length > 0 ? !isNext : this.#isBegun && this.used.length === 0) {
      this.#isEndMissing = true;
    }
  }

  #readStatement(found: readonly SealedSegment[]): void {
    if (this.#run === undefined) return;
    const origin = { storeTag: this.#storeTag, run: this.#run - 1 };
    const statement = readStatement(this.#disk, this.#directory, origin);
    if (statement === undefined) return;
    if (found.some(({ number }) => number === statement.segment)) this.#statement = statement;
    else this.#isEndMissing = true;
  }

  #isUsed(segment: SealedSegment): boolean {
    if (this.#statement !== undefined) return segment.number <= this.#statement.segment;
    const place = this.#place(segment.number);
    const end = this.#loader.traceEnd(segment, place);
    return end > SEGMENT_START && holdsBatches(this.#loader.load(segment, end), place);
  }

  /**
   * Step 2: finds the first of the used segments that may hold anything needed; returns where it
   * and those after it ended, as the next ones say it.
   */
  #readBeginnings(): readonly (number | undefined)[] {
    const statedEnds: (number | undefined)[] = [];
    let first = Math.max(0, this.used.length - 1);
    statedEnds[first] = this.#statement?.end;
    for (; first > 0; first--) {
      const segment = this.used[first]!;
      const { bytes, batch } = this.#firstBatch(segment);
      statedEnds[first - 1] = batch?.previousEnd;
      if (batch === undefined || !batch.carriesCheckpoint || !isWhole(batch)) continue;
      if (this.#checkpointSegment === 0) {
        this.#noteNeeded(bytes, batch);
        this.#checkpointSegment = segment.number;
      }
      if (this.#readsAll) continue;
      const isStated = segment.number <= (this.#statement?.neededFrom ?? 0);
      if (isStated || !this.#isNeededBefore(bytes, batch)) break;
    }
    this.#firstRead = first;
    return statedEnds;
  }

  /** The batch that a segment begins with, and the bytes that it was found in. */
  #firstBatch(segment: SealedSegment): {
    readonly bytes: Uint8Array;
    readonly batch: FoundBatch | undefined;
  } {
    const place = this.#place(segment.number);
    const head = this.#loader.load(segment, SEGMENT_START + BLOCK_SIZE_BYTES);
    const length = head.length > SEGMENT_START ? traceLength(head, place, SEGMENT_START) : 0;
    const end = Math.min(SEGMENT_START + length, segment.sizeBytes);
    const first = this.#loader.load(segment, Math.max(end, SEGMENT_START));
    const batch = readBatch(first, place, SEGMENT_START);
    if (batch !== undefined) return { bytes: first, batch };
    const bytes = this.#loader.load(segment, segment.sizeBytes);
    return { bytes, batch: readBatchByCopy(bytes, place, SEGMENT_START) };
  }

  #noteNeeded(bytes: Uint8Array, batch: FoundBatch): void {
    for (let i = 0; i < batch.checkpointCount; i++) {
      this.#item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
      const { kind, shardId, replicaId, index: baseIndex } = this.#item;
      if (kind === ITEM.base) this.#needed.set(shardId, { replicaId, baseIndex });
    }
  }

  /** Whether anything before this checkpoint may be left behind the newest one. */
  #isNeededBefore(bytes: Uint8Array, batch: FoundBatch): boolean {
    for (let i = 0; i < batch.checkpointCount; i++) {
      this.#item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
      const { kind, shardId, replicaId, index: lastIndex } = this.#item;
      if (kind !== ITEM.tail) continue;
      const needed = this.#needed.get(shardId);
      if (needed?.replicaId === replicaId && lastIndex > needed.baseIndex) return true;
    }
    return false;
  }

  /** Whether anything of an append in this segment may be left behind the checkpoint. */
  #isNeeded({ shardId, replicaId, index, extra }: Item, segment: number): boolean {
    if (segment >= this.#checkpointSegment) return true;
    const needed = this.#needed.get(shardId);
    return needed?.replicaId === replicaId && index + extra - 1 > needed.baseIndex;
  }

  #refuseForeign(segment: SealedSegment, bytes: Uint8Array): void {
    const header = decodeSegmentHeader(bytes.subarray(0, BLOCK_SIZE_BYTES), segment.number);
    if (header === undefined) return;
    if (!SEGMENT_FORMATS_READ.includes(header.version)) {
      throw new CorruptionError(segment.path, 8, `unknown format version ${header.version}`);
    }
    this.#isOld = header.version !== SEGMENT_FORMAT_VERSION;
    if (header.storeId !== this.#storeId) {
      throw new CorruptionError(segment.path, 16, `belongs to store ${header.storeId}`);
    }
  }

  *#scanningSegment(
    segment: SealedSegment,
    isLast: boolean,
    statedEnd: number | undefined,
  ): Steps<void> {
    const place = this.#place(segment.number);
    const loadEnd = Math.min(statedEnd ?? this.#loader.traceEnd(segment, place), segment.sizeBytes);
    const bytes = this.#loader.load(segment, Math.max(loadEnd, SEGMENT_START));
    this.#refuseForeign(segment, bytes);
    yield;
    let proven = SEGMENT_START;
    const end = yield* walkingSegment(bytes, place, statedEnd, {
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
        this.table.loseBatch();
      },
    });
    const isProven = !isLast || this.#statement !== undefined;
    if (isProven) this.#applyHeld(bytes, segment.number);
    else this.#handOut(bytes);
    this.ends.set(segment.number, end);
    this.end = end;
    this.provenEnd = isProven ? end : proven;
  }

  #mend(bytes: Uint8Array, segment: SealedSegment, batch: FoundBatch): FoundBatch {
    const { flippedBit: bit } = batch;
    if (bit === undefined) return batch;
    flipBit(bytes, bit);
    this.mended.push({ segment, bit });
    return { ...batch, payloadIntact: true, flippedBit: undefined };
  }

  #applyCheckpoint(bytes: Uint8Array, batch: FoundBatch, segment: number): void {
    const shardIds = new Set<number>();
    let mayBeMissing = false;
    for (let i = 0; i < batch.checkpointCount; i++) {
      this.#item.read(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES);
      if (this.#item.kind === ITEM.missing) {
        mayBeMissing = true;
        continue;
      }
      this.table.apply(this.#item, segment);
      shardIds.add(this.#item.shardId);
    }
    this.table.keepOnly(shardIds, mayBeMissing);
  }

  #applyHeld(bytes: Uint8Array, segment: number): void {
    const batch = this.#held;
    this.#held = undefined;
    if (batch === undefined) return;
    const isLost = !batch.payloadIntact;
    visitItems(bytes, batch, this.#item, (item, from, to) => {
      if (item.kind === ITEM.index) return;
      if (item.kind === ITEM.append) this.indexes.found(segment, item, batch.offset);
      const isKept = item.kind === ITEM.append && !isLost && this.#isNeeded(item, segment);
      const source = isKept ? this.#keep(item, bytes, from, to) : undefined;
      this.table.apply(item, segment, source, isLost);
    });
  }

  #keep(item: Item, bytes: Uint8Array, from: number, to: number): RunSource {
    const { entryKind: kind, index: firstIndex, extra: count, length } = item;
    const { slab, position } = this.#slabs.add(bytes, from, to);
    return { slab, position, length, kind, firstIndex, count };
  }

  /** Hands the last batch out as items that are to be written again. */
  #handOut(bytes: Uint8Array): void {
    const batch = this.#held;
    this.#held = undefined;
    if (batch === undefined) return;
    visitItems(bytes, batch, this.#item, (item, from, to) => {
      if (item.kind === ITEM.index) return;
      // The checkpoint in front of the batch's new place has to say so.
      this.table.foresee(item);
      if (item.kind !== ITEM.append) {
        this.unproven.add(item, undefined);
        return;
      }
      const run = appendedRun(item, bytes.slice(from, to));
      this.unproven.add(item, run);
      this.#lastRuns.push({ shardId: item.shardId, run });
    });
  }

  /** The runs of a shard in the used segments. */
  #keptRuns(record: ShardRecord): readonly EntryRun[] {
    const runs: EntryRun[] = [];
    const last = this.used.at(-1)?.number ?? 0;
    for (const { source, segment, lost, term, firstIndex, lastIndex } of record.spans) {
      if (lost) continue;
      if (source === undefined) {
        // The beginning of a segment said that nobody needs it; what the walk found says otherwise.
        if (segment < last) this.#refuseChanged(segment);
        continue;
      }
      const { slab, position, length, kind, count } = source;
      const bytes = slab.subarray(position, position + length);
      const whole = { kind, term, firstIndex: source.firstIndex, count, bytes };
      runs.push(sliceRun(whole, firstIndex, lastIndex));
    }
    return runs;
  }

  #refuseChanged(segment: number): never {
    const path = `${this.#directory}/${segmentName(segment)}`;
    throw new CorruptionError(path, 0, "it does not read as it did a moment ago");
  }
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
