/**
 * The log of a node: the Raft logs and hard states of all its shards in one stream of batches, so
 * that whatever the shards of one turn have to save costs one write and one sync.
 *
 *   append, saveHardState, reset, clean, trim   add to what gathers
 *   commit(done)                                asks for it to be made durable
 *
 * Without a write in flight, a commit writes at once; otherwise changes gather until that write is
 * done. There is no timer in between: the slower the disk, the larger the batches, up to a size: to
 * put together and sum up a mebibyte holds up the event loop for about 3 ms.
 *
 * A segment that is full ends with an index of its entries, by which entry-reader.ts finds them.
 *
 * It never retries a failed write, and never drops bytes that are proven corrupt.
 */
import { finish } from "../base/steps.js";
import type { Steps } from "../base/steps.js";
import { assert } from "../base/assert.js";
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import { DiskError } from "../env/disk.js";
import type { Timer } from "../env/timers.js";
import { BatchBuilder } from "./batch-builder.js";
import type { BatchTarget } from "./batch-builder.js";
import { BatchReader } from "./batch-reader.js";
import { batchLength, BLOCK_SIZE_BYTES, ITEM, Item, ITEM_SIZE_BYTES } from "./batch-format.js";
import { writeStatement } from "./closing-statement.js";
import { EntryReader } from "./entry-reader.js";
import type { Gathering } from "./gathering.js";
import { settingsOf } from "./log-settings.js";
import type { LogSettings } from "./log-settings.js";
import type {
  LogEnv,
  LogHardState,
  LogPin,
  LogStats,
  OpenedLog,
  SharedLogOptions,
} from "./log-types.js";
import { MicrosHistogram } from "./micros-histogram.js";
import { recovering } from "./recovery.js";
import type { LogRecovery } from "./recovery.js";
import type { SegmentCheck } from "./segment-check.js";
import { SegmentFiles } from "./segment-files.js";
import type { SealedSegment } from "./segment-files.js";
import { SEGMENT_START, storeTagOf } from "./segment-format.js";
import type { SegmentIndexes } from "./segment-indexes.js";
import type { ShardTable } from "./shard-table.js";

/** On a full disk the entries of one election take one part in this many of what is left. */
const ELECTION_SHARE = 4;

export class SharedLog {
  readonly #env: LogEnv;
  readonly #directory: string;
  readonly #settings: LogSettings;
  readonly #onFailure: (error: DiskError) => void;
  readonly #storeTag: number;
  readonly #table: ShardTable;
  readonly #indexes: SegmentIndexes;
  /** What is not kept in memory of the entries that are durable. */
  readonly entries: EntryReader;
  readonly #gathering: Gathering;
  readonly #builder: BatchBuilder;
  readonly #files: SegmentFiles;
  readonly #item: Item = new Item();
  /** Largest run that is written whole; larger ones are cut between entries. */
  readonly #runSizeBytesMax: number;

  /** Where the active segment's next batch goes. */
  #offset = SEGMENT_START;
  /** Where the segment before the active one ended. */
  #previousEnd = 0;
  /** Where the batches of segments before the active one end. */
  readonly #ends: Map<number, number>;
  /** Segments up to this one have rotted: their entries are to be let go of. */
  #condemnedTo = 0;
  #writing = false;
  #writeLength = 0;
  #writeStartMs = 0;
  #inFlight: (() => void)[] = [];
  #spare: (() => void)[] = [];
  /** Callbacks of commits that had nothing to wait for. */
  #ready: (() => void)[] = [];
  /** The last batch holds something, and nothing after it proves that it was durable. */
  #unproven = false;
  #markerWanted = false;
  #idleTimer: Timer | undefined;
  #lastWriteMs = 0;
  #full = false;
  #retryTimer: Timer | undefined;
  #failed = false;
  #closing: (() => void) | undefined;
  #closed = false;
  #pin: (LogPin & { readonly segment: number }) | undefined;
  #writtenBytes = 0;
  #syncs = 0;
  #commits = 0;
  readonly #syncMicros: MicrosHistogram = new MicrosHistogram();

  /**
   * Opens or creates the log in `directory`, which exists. When it returns, everything recovered
   * is durable again. Throws CorruptionError for a log of another store or version, DiskError
   * where the disk fails.
   */
  static open(
    env: LogEnv,
    directory: string,
    storeId: string,
    options: SharedLogOptions = {},
  ): OpenedLog<SharedLog> {
    return finish(SharedLog.opening(env, directory, storeId, options));
  }

  /** The same in steps; nothing is written before the last. */
  static *opening(
    env: LogEnv,
    directory: string,
    storeId: string,
    options: SharedLogOptions,
  ): Steps<OpenedLog<SharedLog>> {
    const recovery = yield* recovering(env.disk, directory, storeId, options);
    const log = new SharedLog(env, { directory, storeId }, recovery, options);
    const recovered = log.#start(recovery);
    log.#reportMended(recovery);
    const { shardsMayBeMissing } = recovery.table;
    env.tracer.trace("info", "log opened", {
      shards: recovered.size,
      segments: recovery.used.length,
      shardsMayBeMissing,
    });
    return { log, recovered, shardsMayBeMissing, mendedBatches: recovery.mended.length };
  }

  private constructor(
    env: LogEnv,
    place: { readonly directory: string; readonly storeId: string },
    recovery: LogRecovery,
    options: SharedLogOptions,
  ) {
    this.#env = env;
    this.#directory = place.directory;
    this.#settings = settingsOf(options);
    this.#onFailure = options.onFailure ?? rethrow;
    this.#storeTag = storeTagOf(place.storeId);
    this.#table = recovery.table;
    this.#ends = recovery.ends;
    this.#gathering = recovery.unproven;
    this.#indexes = recovery.indexes;
    this.#builder = new BatchBuilder(this.#table, this.#indexes);
    this.entries = new EntryReader(env.tracer, {
      table: this.#table,
      indexes: this.#indexes,
      batches: new BatchReader(env.disk, place.directory, this.#storeTag),
    });
    const sizeBytes = this.#settings.segmentSizeBytes;
    this.#runSizeBytesMax = Math.min(
      Math.floor((sizeBytes - SEGMENT_START) / 2),
      this.#settings.batchSizeBytesMax - BLOCK_SIZE_BYTES,
    );
    this.#files = new SegmentFiles(env.disk, { ...place, sizeBytes }, recovery.used, {
      prepared: () => this.#prepared(),
      full: () => this.#becameFull(),
      failed: (error) => {
        this.#fail(error);
        this.#closeWhenIdle();
      },
    });
  }

  /** Adds entries; at an index that exists they replace the log's tail from there on. */
  append(shardId: number, replicaId: number, run: EntryRun): void {
    if (this.#failed) return;
    if (run.bytes.length > this.#runSizeBytesMax) {
      if (run.count > 1) {
        const middle = run.firstIndex + Math.floor(run.count / 2);
        this.append(shardId, replicaId, sliceRun(run, run.firstIndex, middle - 1));
        this.append(shardId, replicaId, sliceRun(run, middle, lastIndexOf(run)));
        return;
      }
      assert(false, "an entry is larger than a batch of the log may be");
    }
    const item = this.#begin(ITEM.append, shardId, replicaId);
    item.entryKind = run.kind;
    item.length = run.bytes.length;
    item.term = run.term;
    item.index = run.firstIndex;
    item.extra = run.count;
    this.#gathering.add(item, run);
  }

  /** A hard state that goes with entries is saved before they are appended. */
  saveHardState(shardId: number, replicaId: number, hardState: LogHardState): void {
    const item = this.#begin(ITEM.hardState, shardId, replicaId);
    item.term = hardState.term;
    item.index = hardState.commitIndex;
    item.extra = hardState.vote;
    this.#add(item);
  }

  /** After the install of a snapshot: the log is empty and goes on after `index`. */
  reset(shardId: number, replicaId: number, index: number, term: number): void {
    const item = this.#begin(ITEM.reset, shardId, replicaId);
    item.term = term;
    item.index = index;
    this.#add(item);
  }

  /** The shard has left this node. */
  clean(shardId: number): void {
    this.#add(this.#begin(ITEM.clean, shardId, 0));
  }

  /**
   * The shard needs no entry up to this one any more, because what they did is durable elsewhere.
   * It is written along with the next batch, or when the log has been idle for a while.
   */
  trim(shardId: number, upToIndex: number): void {
    const item = this.#begin(ITEM.trim, shardId, 0);
    item.index = upToIndex;
    this.#add(item);
    if (!this.#writing) this.#watchIdle();
  }

  /** Every shard that there is has its record: what was lost had no other. */
  nothingIsMissing(): void {
    this.#table.shardsMayBeMissing = false;
  }

  /** Calls `done` once everything added before is durable; callbacks come in order of commits. */
  commit(done: () => void): void {
    if (this.#failed || this.#closing !== undefined) return;
    if (this.#gathering.itemCount > 0) {
      this.#gathering.whenDurable(done);
      this.#pump();
    } else if (this.#writing) {
      this.#inFlight.push(done);
    } else {
      this.#ready.push(done);
      if (this.#ready.length === 1) this.#env.timers.endOfTurn(() => this.#callReady());
    }
  }

  /**
   * Whether `bytes` more may be proposed or accepted. False only on a full disk, and early enough
   * that hard states can still be saved.
   */
  hasRoom(bytes: number): boolean {
    if (this.#failed) return false;
    if (!this.#full) return true;
    return this.#roomThereIs() - this.#settings.reservedBytes >= this.#lengthWith(bytes);
  }

  /**
   * Whether there is room for `bytes` that an election needs. On a full disk they may take a part
   * of what is kept for hard states: a vote that is saved for a leader that can commit nothing
   * helps nobody.
   */
  hasRoomForElection(bytes: number): boolean {
    if (this.#failed) return false;
    if (!this.#full) return true;
    return this.#roomThereIs() / ELECTION_SHARE >= this.#lengthWith(bytes);
  }

  /** The length of the next batch if `bytes` more are in it. */
  #lengthWith(bytes: number): number {
    const { itemCount, payloadLength } = this.#gathering;
    return batchLength(itemCount + 1, payloadLength + bytes);
  }

  /**
   * Whether more waits for the disk than there is room for: the next writes should wait or be
   * refused, before anything is known of the disk's being full.
   */
  get isBehind(): boolean {
    const { segmentSizeBytes, reservedBytes } = this.#settings;
    const { sizeBytes } = this.#files.active;
    const isPaced = !this.#files.nextReady && sizeBytes === segmentSizeBytes;
    const room = isPaced ? sizeBytes - this.#offset : segmentSizeBytes;
    return this.#gathering.payloadLength + this.#inFlightBytes > room - reservedBytes;
  }

  get #inFlightBytes(): number {
    return this.#writing ? this.#writeLength : 0;
  }

  /** What can be written whatever the disk says: to this segment, or all of the next one. */
  #roomThereIs(): number {
    const rest = this.#files.active.sizeBytes - this.#offset - this.#inFlightBytes;
    if (!this.#files.nextReady) return rest;
    const checkpoint = batchLength(this.#table.checkpointCount(), 0);
    return Math.max(rest, this.#settings.segmentSizeBytes - SEGMENT_START - checkpoint);
  }

  /** Segments in use. */
  get segmentCount(): number {
    return this.#files.count;
  }

  /** All shards whose entries keep the oldest segment: flush their trees and trim them. */
  oldestPins(): readonly LogPin[] {
    const segment = this.#table.oldestPin()?.segment ?? Infinity;
    return segment < this.#files.active.number ? this.#table.pinsOf(segment) : [];
  }

  /** One of the shards whose entries keep the oldest segment. */
  oldestPinned(): LogPin | undefined {
    const pin = this.#table.oldestPin();
    if (pin === undefined || pin.segment >= this.#files.active.number) return undefined;
    return { shardId: pin.shardId, index: pin.index };
  }

  /** What may be checked in the background: segments that nothing is written to any more. */
  sealedSegments(): readonly SegmentCheck[] {
    const checks: SegmentCheck[] = [];
    for (const { number, path } of this.#files.sealed()) {
      const endOffset = this.#ends.get(number);
      if (endOffset === undefined) continue;
      checks.push({ number, path, storeTag: this.#storeTag, endOffset });
    }
    return checks;
  }

  /**
   * A segment has rotted. Its entries, or what they did, are in memory and have to go to the trees
   * soon. Returns whether that is news.
   */
  condemn(number: number): boolean {
    if (number <= this.#condemnedTo) return false;
    this.#condemnedTo = number;
    return true;
  }

  /** Whether entries in condemned segments are still kept. */
  get isCondemned(): boolean {
    if (this.#condemnedTo === 0) return false;
    return (this.#table.oldestPin()?.segment ?? Infinity) <= this.#condemnedTo;
  }

  /** Since the log was opened; what is on its way does not count yet. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get isWriting(): boolean {
    return this.#writing;
  }

  stats(): LogStats {
    return {
      segments: this.#files.count,
      sizeBytes: this.#files.totalBytes(),
      writtenBytes: this.#writtenBytes,
      syncs: this.#syncs,
      commits: this.#commits,
      syncMicros: this.#syncMicros.counts(),
      syncTotalMs: this.#syncMicros.totalMs,
      pinnedBy: this.oldestPinned(),
      full: this.#full,
    };
  }

  describe(): string {
    const { number } = this.#files.active;
    const state = this.#failed ? "failed" : this.#writing ? "writing" : "idle";
    return `log: ${state}, segment ${number} at ${this.#offset}, ${this.#table.records.size} shards`;
  }

  /**
   * Writes what has gathered and closes the files. What finds no space is left out: its commits
   * are never called back.
   */
  async close(): Promise<void> {
    if (this.#closing !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#closing = resolve;
      this.#idleTimer?.cancel();
      this.#retryTimer?.cancel();
      this.#markerWanted = this.#unproven || !this.#gathering.empty;
      this.#pump();
      // A disk that was full may have room by now.
      if (!this.#gathering.empty && !this.#failed) this.#files.prepare();
      this.#closeWhenIdle();
    });
  }

  /** Makes what was recovered durable in a segment of its own, unless it is so for certain. */
  #start(recovery: LogRecovery): ReturnType<LogRecovery["recoverShards"]> {
    const last = recovery.used.at(-1);
    const recovered =
      last !== undefined && recovery.isClosed && this.#isRoomy(last, recovery.end)
        ? this.#resume(recovery, last)
        : this.#rewrite(recovery);
    this.#files.prepare();
    this.#collect();
    return recovered;
  }

  /** Whether a start need not leave a segment behind, which would be mostly zeros. */
  #isRoomy({ sizeBytes }: SealedSegment, end: number): boolean {
    return sizeBytes - end >= this.#settings.firstSegmentSizeBytes / 2;
  }

  /** After an orderly close: nothing is written, the next batch follows the last one. */
  #resume(recovery: LogRecovery, last: SealedSegment): ReturnType<LogRecovery["recoverShards"]> {
    this.#files.resumeLast();
    const next = this.#withoutOthers(recovery.prepared, last.number + 1);
    if (next !== undefined) this.#files.resumeNext(next);
    this.#offset = recovery.end;
    this.#files.advance(this.#offset);
    this.#indexes.begin(last.number);
    return recovery.recoverShards(last.number);
  }

  #rewrite(recovery: LogRecovery): ReturnType<LogRecovery["recoverShards"]> {
    this.#openFirst(recovery);
    this.#indexes.begin(this.#files.active.number);
    const target: BatchTarget = {
      storeTag: this.#storeTag,
      number: this.#files.active.number,
      offset: this.#offset,
      room: this.#files.active.sizeBytes - this.#offset,
      aimBytes: Infinity,
      carriesCheckpoint: true,
      previousEnd: recovery.provenEnd,
      syncedOffset: this.#offset === SEGMENT_START ? SEGMENT_START : recovery.provenEnd,
    };
    const length = this.#builder.build(this.#gathering, target, this.#inFlight);
    assert(this.#gathering.empty, "the last batch is written again as one");
    this.#files.active.file.writeSync(this.#builder.bytes, 0, length, this.#offset);
    this.#writeLength = length;
    this.#offset += length;
    this.#writtenBytes += length;
    this.#syncs++;
    const recovered = recovery.recoverShards(target.number);
    this.#unproven = true;
    this.#watchIdle();
    return recovered;
  }

  /** Of what was prepared, only the next segment is of use. */
  #withoutOthers(prepared: readonly SealedSegment[], next: number): SealedSegment | undefined {
    for (const { number, path } of prepared) if (number !== next) this.#env.disk.remove(path);
    return prepared.find(({ number }) => number === next);
  }

  /** The bits are right in memory and wrong on the disk: what lies there has to go, as with rot. */
  #reportMended({ mended }: LogRecovery): void {
    for (const { segment, bit } of mended) {
      const { path, number } = segment;
      const offset = Math.floor(bit / 8);
      this.#env.tracer.trace("warn", "a flipped bit in the log was mended", { path, offset });
      if (number < this.#files.active.number) this.condemn(number);
    }
  }

  /**
   * Opens the segment to start with. On a full disk it is the last one, where that has room, or
   * one that is just large enough; starting again and again must not use up what is left.
   */
  #openFirst(recovery: LogRecovery): void {
    const { used, prepared } = recovery;
    const previous = used.at(-1);
    const number = previous === undefined ? (prepared[0]?.number ?? 1) : previous.number + 1;
    const reusable = this.#withoutOthers(prepared, number);
    const length = this.#builder.firstLength(this.#gathering);
    const needed = SEGMENT_START + length;
    const wanted = Math.max(this.#settings.firstSegmentSizeBytes, 2 * needed);
    try {
      this.#files.openFirst(number, wanted, reusable);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "noSpace") throw error;
      if (previous !== undefined && recovery.end + length <= previous.sizeBytes) {
        this.#files.resumeLast();
        this.#offset = recovery.end;
      } else {
        this.#files.openFirst(number, needed, undefined);
      }
    }
  }

  #begin(kind: number, shardId: number, replicaId: number): Item {
    const item = this.#item;
    item.kind = kind;
    item.entryKind = "command";
    item.flags = 0;
    item.length = 0;
    item.shardId = shardId;
    item.replicaId = replicaId;
    item.term = 0;
    item.index = 0;
    item.extra = 0;
    return item;
  }

  #add(item: Item): void {
    if (!this.#failed) this.#gathering.add(item, undefined);
  }

  #target(): BatchTarget {
    const { number, sizeBytes } = this.#files.active;
    const first = this.#offset === SEGMENT_START;
    const room = sizeBytes - this.#offset;
    // Where no next segment is there yet, nothing is kept back: the disk may be full.
    const isSealable = this.#files.nextReady && !first;
    const reserved = isSealable ? this.#indexLengthMax() : 0;
    return {
      storeTag: this.#storeTag,
      number,
      offset: this.#offset,
      room: first ? room : Math.min(room - reserved, this.#settings.batchSizeBytesMax),
      aimBytes: this.#settings.batchSizeBytesAimed,
      carriesCheckpoint: first,
      previousEnd: first ? this.#previousEnd : 0,
      syncedOffset: this.#offset,
    };
  }

  /** How long the index may be when the next batch is in the segment. */
  #indexLengthMax(): number {
    const most = Math.ceil(this.#settings.batchSizeBytesMax / (2 * ITEM_SIZE_BYTES));
    return this.#builder.indexLength(Math.min(this.#gathering.itemCount, most));
  }

  /** Writes the next batch, if one is wanted and none is in flight. */
  #pump(): void {
    if (this.#writing || this.#failed) return;
    if (!this.#gathering.wanted && !this.#markerWanted) return;
    let target = this.#target();
    if (!this.#builder.fits(this.#gathering, target)) {
      if (this.#writeIndex() || !this.#rotate()) return;
      target = this.#target();
      assert(this.#builder.fits(this.#gathering, target), "an empty segment is too small");
    }
    this.#unproven = this.#gathering.itemCount > 0 || target.carriesCheckpoint;
    this.#markerWanted = false;
    this.#write(this.#builder.build(this.#gathering, target, this.#inFlight));
  }

  /** Ends the active segment, if the next one is there. */
  #rotate(): boolean {
    // The index is no part of it: nobody needs that to be there.
    const end = this.#indexes.activePlace ?? this.#offset;
    if (!this.#files.rotate() || this.#failed) return false;
    const { number } = this.#files.active;
    this.#ends.set(number - 1, end);
    this.#indexes.sealed(number);
    this.#offset = SEGMENT_START;
    this.#previousEnd = end;
    return true;
  }

  /** Writes the index of a segment that is full, once, where there is room; returns whether. */
  #writeIndex(): boolean {
    const { active, activePlace } = this.#indexes;
    if (!this.#files.nextReady || activePlace !== undefined || active.sizeBytes === 0) return false;
    if (this.#builder.indexLength(0) > this.#files.active.sizeBytes - this.#offset) return false;
    this.#indexes.write(this.#offset);
    this.#write(this.#builder.buildIndex(this.#target()));
    return true;
  }

  #write(length: number): void {
    this.#writeLength = length;
    this.#writing = true;
    this.#writeStartMs = this.#env.clock.monotonicMs();
    const { file } = this.#files.active;
    file.write(this.#builder.bytes, this.#writeLength, this.#offset, this.#written);
  }

  readonly #written = (error: DiskError | undefined): void => {
    this.#writing = false;
    if (this.#failed || error !== undefined) {
      if (error !== undefined) this.#fail(error);
      this.#closeWhenIdle();
      return;
    }
    this.#lastWriteMs = this.#env.clock.monotonicMs();
    this.#syncMicros.addMs(this.#lastWriteMs - this.#writeStartMs);
    this.#syncs++;
    this.#offset += this.#writeLength;
    this.#writtenBytes += this.#writeLength;
    const dones = this.#inFlight;
    this.#inFlight = this.#spare;
    this.#spare = dones;
    this.#collect();
    this.#pump();
    this.#files.advance(this.#offset);
    this.#callReady();
    this.#call(dones);
    if (!this.#writing) this.#watchIdle();
    this.#closeWhenIdle();
  };

  #call(dones: (() => void)[]): void {
    this.#commits += dones.length;
    for (const done of dones) done();
    dones.length = 0;
  }

  #callReady(): void {
    if (this.#ready.length === 0 || this.#failed) return;
    const ready = this.#ready;
    this.#ready = [];
    this.#call(ready);
  }

  /**
   * Lets go of segments that no shard needs. It runs when no write is in flight, so that the table
   * says exactly what is durable.
   */
  #collect(): void {
    if (this.#files.sealedCount === 0) return;
    const pin = this.#pin;
    const holder = pin === undefined ? undefined : this.#table.records.get(pin.shardId);
    if (pin !== undefined && holder?.oldestSegment === pin.segment) return;
    this.#pin = this.#table.oldestPin();
    const active = this.#files.active.number;
    const neededFrom = Math.min(this.#pin?.segment ?? active, active);
    this.#files.release(neededFrom);
    this.#indexes.forgetBelow(neededFrom);
  }

  /** A marker, or a trim that nobody committed, is written when nothing happens for a while. */
  #watchIdle(): void {
    if (this.#idleTimer !== undefined || this.#closing !== undefined || this.#failed) return;
    if (!this.#unproven && this.#gathering.empty) return;
    this.#idleTimer = this.#env.timers.after(this.#settings.idleMarkerMs, () => {
      this.#idleTimer = undefined;
      const idleMs = this.#env.clock.monotonicMs() - this.#lastWriteMs;
      if (this.#writing || idleMs < this.#settings.idleMarkerMs / 2) {
        this.#watchIdle();
        return;
      }
      // On a full disk a marker is worth its block only if it spares a start a larger one.
      const worthwhile = !this.#full || this.#writeLength > BLOCK_SIZE_BYTES;
      this.#markerWanted = worthwhile || !this.#gathering.empty;
      this.#pump();
    });
  }

  #prepared(): void {
    if (this.#files.nextReady) this.#full = false;
    this.#pump();
    this.#closeWhenIdle();
  }

  #becameFull(): void {
    if (!this.#full) this.#env.tracer.trace("warn", "no space for the next log segment");
    this.#full = true;
    if (this.#closing !== undefined) {
      // It is said in the middle of a rotation, too, which a write follows.
      this.#env.timers.endOfTurn(() => this.#closeWhenIdle());
      return;
    }
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = this.#env.timers.after(this.#settings.fullRetryMs, () => {
      this.#retryTimer = undefined;
      this.#files.prepare();
    });
  }

  /** All that was written is durable; what found no space was not. */
  #leaveStatement(): void {
    const { run } = this.#settings;
    if (run === undefined) return;
    const segment = this.#files.active.number;
    const neededFrom = Math.min(this.#table.oldestPin()?.segment ?? segment, segment);
    const origin = { storeTag: this.#storeTag, run };
    const statement = { segment, end: this.#offset, neededFrom };
    writeStatement(this.#env.disk, this.#directory, origin, statement);
  }

  #fail(error: DiskError): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#idleTimer?.cancel();
    this.#retryTimer?.cancel();
    this.#inFlight.length = 0;
    this.#ready.length = 0;
    this.#env.tracer.trace("error", "log write failed", { error: error.message });
    this.#onFailure(error);
  }

  /** Ends a close once nothing is in flight; what cannot be written for want of space is left. */
  #closeWhenIdle(): void {
    if (this.#closing === undefined || this.#closed || this.#writing) return;
    if (this.#gathering.empty || this.#failed) this.#files.stopPreparing();
    if (this.#files.preparing) return;
    this.#closed = true;
    this.#files.close();
    if (!this.#failed) this.#leaveStatement();
    this.#closing();
  }
}

function rethrow(error: DiskError): void {
  throw error;
}
