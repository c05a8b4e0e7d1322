/**
 * A store for one program, without a cluster: the log and one tree of a node's store behind get,
 * put, delete, batches, ranges, snapshots and checkpoints.
 *
 *   write    batch → entry buffer → tree, at once; the buffer goes to the log when the present turn
 *            of promises is over, so that what is written together is one run, one write, one sync
 *   sync     settles when the log has it on disk; other writes settle at once
 *   held     either settles late while more waits for the disk than may be lost or kept in memory,
 *            or more for merges than reads can bear
 *   version  of an entry: its number among all operations; a reader is a version
 *   open     the batches above the tree's flushed index are applied again
 *   rest     what a start would apply again is flushed where it is much (rest-flush.ts)
 *
 * A batch is whole or absent after a crash, and so is everything before it. A write is seen by
 * reads before it is durable. It never retries a failed write: the store then refuses all others.
 */
import { assert, must } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { DecodeError, readU32 } from "../base/coding.js";
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import type { Steps } from "../base/steps.js";
import type { Disk } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { inTurns } from "../env/in-turns.js";
import type { JobRunner } from "../env/jobs.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { BackupReport } from "../store/backup.js";
import type { OpenedStore } from "../store/store.js";
import { Store } from "../store/store.js";
import { applyBatch, OPERATION_OVERHEAD_BYTES, writeDelete, writePut } from "./batch-format.js";
import type {
  BytesLike,
  EmbeddedOptions,
  EmbeddedStats,
  KeyAndValue,
  RangeOptions,
  Reader,
  ScanOptions,
  StoreCursor,
  WriteOptions,
} from "./embedded-types.js";
import {
  BATCH_SIZE_BYTES_MAX,
  bytesOf,
  directoryErrorOf,
  errorOf,
  requireKey,
} from "./embedded-types.js";
import { EntryBuffer } from "./entry-buffer.js";
import { TreeReader } from "./reader.js";
import { recoveredRuns } from "./recovered-runs.js";
import { RestFlush } from "./rest-flush.js";
import type { EmbeddedSettings } from "./settings.js";
import { BATCH_FRAMING_BYTES, requireDirectory, settingsOf } from "./settings.js";
import { Snapshot } from "./snapshot.js";
import { WriteBatch } from "./write-batch.js";

export const SHARD = 1;
const REPLICA = 1;
const TERM = 1;
/**
 * Twice a memtable of the usual size: synced writes of little take a block of the log each, and a
 * start would have to read them all (bench: storage, reopen).
 */
const LOG_SEGMENTS_MAX = 4;
/** More than this of writes that wait for the disk makes the next ones wait, too. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;
/** With so many frozen memtables the active one grows until a flush is through. */
const FROZEN_MAX = 2;

/** A start has much to apply where it is this share of a memtable. */
const MUCH_SHARE_MIN = 1 / 4;

/** A few hundred entries of the usual size: other things of the program go on between. */
const REPLAYED_BYTES_PER_STEP = 64 * 1024;

const SETTLED: Promise<void> = Promise.resolve();

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: KvError) => void;
}

export class EmbeddedStore implements Reader {
  readonly #jobs: JobRunner;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #store: Store;
  readonly #tree: Tree;
  readonly #reader: TreeReader;
  readonly #isSyncDefault: boolean;
  readonly #memtableBytesMax: number;
  readonly #batchBytesMax: number;
  readonly #buffer: EntryBuffer = new EntryBuffer();
  readonly #snapshots: Set<Snapshot> = new Set();
  /** Of the newest entry of the log. */
  #index: number;
  /** Version of the newest operation. */
  #revision: number;
  #isHandOverDue = false;
  /** Bytes of runs that the log has and the disk may not have. */
  #backlogBytes = 0;
  /** Synced writes of the run that is gathered. */
  #syncing: Waiter[] = [];
  /** Writes that wait for room: behind the disk or behind a flush. */
  #delayed: Waiter[] = [];
  /** Runs of synced writes on their way to the disk. */
  readonly #inFlight: Set<readonly Waiter[]> = new Set();
  /** Copies that wait for their flush and are refused on a full disk. */
  readonly #whenFull: Set<() => void> = new Set();
  #failure: KvError | undefined = undefined;
  #damage: string | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  readonly #restFlush: RestFlush;

  private constructor(env: Env, store: Store, tree: Tree, settings: EmbeddedSettings) {
    this.#jobs = env.jobs;
    this.#disk = env.disk;
    this.#directory = settings.directory;
    this.#store = store;
    this.#tree = tree;
    this.#reader = new TreeReader(tree);
    this.#isSyncDefault = settings.isSync;
    this.#memtableBytesMax = settings.memtableBytesMax;
    this.#batchBytesMax = settings.batchBytesMax;
    this.#index = tree.flushed.index;
    this.#revision = tree.flushed.revision;
    this.#restFlush = new RestFlush(env.timers, {
      index: () => this.#index,
      isMuch: () => this.#isMuchToApply(),
      flush: () => void store.flushNow(tree, this.#state()),
    });
  }

  /**
   * Opens or creates the store in a directory of this env, whose job runner it closes in the end.
   * Rejects with KvError.
   */
  static async open(
    env: Env,
    directory: string,
    options: EmbeddedOptions = {},
  ): Promise<EmbeddedStore> {
    let store: Store | undefined = undefined;
    let failed: (error: Error) => void = rethrow;
    try {
      const settings = settingsOf(env.disk, directory, options);
      const { memtableBytesMax, segmentSizeBytes, batchBytesMax } = settings;
      const opened = await Store.open(env, settings.directory, {
        memtableBytesMax,
        memtablesBytesMax: 8 * memtableBytesMax,
        blockCacheBytes: settings.blockCacheBytes,
        scrubBytesPerSecond: settings.scrubBytesPerSecond,
        logOptions: {
          segmentSizeBytes,
          reservedBytes: batchBytesMax + BATCH_FRAMING_BYTES,
          batchSizeBytesMax: BATCH_SIZE_BYTES_MAX + BATCH_FRAMING_BYTES,
        },
        logSegmentsMax: LOG_SEGMENTS_MAX,
        onFailure: (error) => failed(error),
      });
      store = opened.store;
      const embedded = new EmbeddedStore(env, store, treeOf(opened), settings);
      failed = (error) => embedded.#fail(error);
      await inTurns(env, embedded.#recovering(opened));
      embedded.#restFlush.stir();
      return embedded;
    } catch (error) {
      await store?.close();
      await env.jobs.close();
      throw errorOf(error);
    }
  }

  get(key: BytesLike): Uint8Array | undefined {
    return this.#reader.get(key, Infinity);
  }

  range(options: ScanOptions = {}): IterableIterator<KeyAndValue> {
    return this.#reader.range(options, this.#revision);
  }

  cursor(options: RangeOptions = {}): StoreCursor {
    return this.#reader.cursor(options, this.#revision);
  }

  /** The store as it is now, until it is released: meanwhile no version that it shows goes. */
  snapshot(): Snapshot {
    this.#requireOpen();
    const snapshot = new Snapshot(this.#reader, this.#revision, () => {
      this.#snapshots.delete(snapshot);
    });
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  put(key: BytesLike, value: BytesLike, options?: WriteOptions): Promise<void> {
    try {
      const keyBytes = requireKey(key);
      const valueBytes = bytesOf(value);
      const at = this.#begin(keyBytes.length + valueBytes.length + OPERATION_OVERHEAD_BYTES);
      return this.#end(writePut(this.#buffer.bytes, at, keyBytes, valueBytes), options);
    } catch (error) {
      return Promise.reject(errorOf(error));
    }
  }

  delete(key: BytesLike, options?: WriteOptions): Promise<void> {
    try {
      const keyBytes = requireKey(key);
      const at = this.#begin(keyBytes.length + OPERATION_OVERHEAD_BYTES);
      return this.#end(writeDelete(this.#buffer.bytes, at, keyBytes), options);
    } catch (error) {
      return Promise.reject(errorOf(error));
    }
  }

  batch(): WriteBatch {
    return new WriteBatch();
  }

  /** Applies a batch as a whole. The batch may be changed and used again at once. */
  write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
    try {
      if (!(batch instanceof WriteBatch)) throw notABatch();
      const { bytes, length } = batch;
      const at = this.#begin(length);
      if (length > 0) this.#buffer.bytes.set(bytes.subarray(0, length), at);
      return this.#end(at + length, options);
    } catch (error) {
      return Promise.reject(errorOf(error));
    }
  }

  /**
   * Makes a store of its own in `directory`, with everything written before. It must be on the same
   * file system: the tables are linked. A directory that holds anything is refused and left alone.
   */
  async checkpoint(directory: string): Promise<void> {
    try {
      const target = this.#outside(directory);
      await this.#flushAll();
      await this.#store.checkpointTo(target);
    } catch (error) {
      throw directoryErrorOf(error, `${directory} is not an empty directory`);
    }
  }

  /**
   * Adds a backup to a directory of them, with everything written before; what an earlier one there
   * has is not copied again. It may lie on another file system. One at a time in a directory.
   */
  async backup(directory: string): Promise<BackupReport> {
    try {
      const target = this.#outside(directory);
      await this.#flushAll();
      return await this.#store.backupTo(target);
    } catch (error) {
      throw directoryErrorOf(error, `${directory} is a store, and no directory of backups`);
    }
  }

  /** Its own directory is the store's alone, whatever the names in it. */
  #outside(directory: string): string {
    const target = requireDirectory(this.#disk, directory);
    if (!`${target}/`.startsWith(`${this.#directory}/`)) return target;
    throw notApplied("invalidArgument", `${directory} lies in the directory of the store itself`);
  }

  async #flushAll(): Promise<void> {
    this.#requireOpen();
    await this.#flushUnlessFull();
    if (this.#failure !== undefined) throw this.#failure;
    this.#requireOpen();
  }

  /** Rejects where there is no room; the flush itself goes on waiting for some. */
  #flushUnlessFull(): Promise<void> {
    const isWaiting = this.#store.full && !this.#tree.isFlushed;
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(notApplied("noSpace", "the disk has no room for a table"));
      this.#whenFull.add(refuse);
      const flushed = this.#store.flushNow(this.#tree, this.#state());
      void flushed.finally(() => this.#whenFull.delete(refuse)).then(resolve, reject);
      if (isWaiting) refuse();
    });
  }

  stats(): EmbeddedStats {
    const stats = this.#store.stats();
    const log = this.#store.log.stats();
    return {
      memtableBytes: stats.memtableBytes,
      tableBytes: stats.sizeBytes,
      tableCount: stats.tableCount,
      logBytes: log.sizeBytes,
      blockCacheBytes: stats.blockCacheBytes,
      pinnedBytes: stats.pinnedBytes,
      flushes: stats.flushes,
      compactions: stats.compactions,
      tableBytesWritten: stats.flushBytesWritten + stats.mergeBytesWritten,
      logBytesWritten: log.writtenBytes,
      blocksRead: stats.blocksRead,
      runsMax: stats.runsMax,
      isBehind: stats.treesBehind > 0,
      full: stats.full,
      damage: this.#damage,
    };
  }

  /**
   * Resolves when nothing is flushed, merged or deleted in the background, nor put off: what is
   * flushed where nothing is written for a while is flushed now.
   */
  async idle(): Promise<void> {
    await this.#store.idle();
    this.#restFlush.now();
    await this.#store.idle();
  }

  /**
   * Makes everything durable and closes the files. Open cursors and snapshots end. Rejects where
   * writes, even ones that settled without sync, may be lost: the disk is full or failed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#handOver();
    this.#restFlush.close();
    this.#reader.close();
    await this.#store.close();
    await this.#jobs.close();
    const lost = this.#failure ?? this.#leftOut();
    if (lost !== undefined) {
      this.#rejectAll(lost);
      throw lost;
    }
    // Those that waited for room behind a flush: the log has all of them.
    for (const waiter of this.#delayed) waiter.resolve();
    this.#delayed = [];
  }

  /** The closed log has everything, unless it found no space for what it was given last. */
  #leftOut(): KvError | undefined {
    if (this.#inFlight.size === 0) return undefined;
    return new KvError("noSpace", "the disk has no room for the writes made last", "unknown");
  }

  /** Where the payload of a new entry goes, for which there is so much room then. */
  #begin(payloadLength: number): number {
    if (this.#failure !== undefined) throw notApplied("unavailable", this.#failure.message);
    this.#requireOpen();
    if (payloadLength > this.#batchBytesMax) {
      const bound = this.#batchBytesMax;
      throw notApplied("requestTooLarge", `a batch has at most ${bound} bytes`, { bound });
    }
    const { log, full } = this.#store;
    if (full || !log.hasRoom(this.#buffer.runLength + payloadLength)) {
      throw notApplied("noSpace", "the disk has no room for the log or the tables");
    }
    const buffer = this.#buffer;
    if (!buffer.hasRoom(payloadLength)) {
      this.#handOver();
      buffer.renew(payloadLength);
    }
    return buffer.payloadStart;
  }

  /** The payload that was begun ends here: applies it and says when it is done. */
  #end(payloadEnd: number, options: WriteOptions | undefined): Promise<void> {
    const buffer = this.#buffer;
    const start = buffer.payloadStart;
    buffer.endEntry(payloadEnd);
    this.#index++;
    this.#revision = applyBatch(this.#tree, buffer.bytes, start, payloadEnd, this.#revision);
    const isSync = options?.sync ?? this.#isSyncDefault;
    // Whoever waits is named first, because a flush hands over at once.
    const durable = isSync ? this.#waitIn(this.#syncing) : undefined;
    this.#store.maybeFlush(this.#tree, this.#stateNow);
    if (!this.#isHandOverDue) {
      this.#isHandOverDue = true;
      void SETTLED.then(this.#handOver);
    }
    if (this.#mayGoOn()) return durable ?? SETTLED;
    const held = this.#waitIn(this.#delayed);
    return durable === undefined ? held : Promise.all([durable, held]).then(nothing);
  }

  /** Gives what was gathered to the log, and asks for it to be made durable. */
  readonly #handOver = (): void => {
    this.#isHandOverDue = false;
    const buffer = this.#buffer;
    if (buffer.isEmpty) return;
    const length = buffer.runLength;
    const waiters = this.#syncing;
    this.#syncing = [];
    this.#inFlight.add(waiters);
    this.#backlogBytes += length;
    const { log } = this.#store;
    const held = buffer.take(TERM, this.#index);
    log.append(SHARD, REPLICA, held.run);
    log.commit(() => {
      buffer.release(held);
      this.#backlogBytes -= length;
      this.#inFlight.delete(waiters);
      for (const waiter of waiters) waiter.resolve();
      this.#restFlush.stir();
      this.#release();
    });
  };

  #waitIn(waiters: Waiter[]): Promise<void> {
    return new Promise((resolve, reject) => {
      waiters.push({ resolve, reject });
    });
  }

  #mayGoOn(): boolean {
    if (this.#backlogBytes > BACKLOG_BYTES_MAX) return false;
    // No flush comes through, and the next write is refused: this one is in the log.
    if (this.#store.full) return true;
    const tree = this.#tree;
    if (this.#store.isBehind(tree)) return false;
    return tree.frozen.length < FROZEN_MAX || tree.activeBytes() <= this.#memtableBytesMax;
  }

  /** Lets delayed writes go on, where there is room again. */
  #release(): void {
    if (this.#delayed.length === 0 || !this.#mayGoOn()) return;
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const waiter of delayed) waiter.resolve();
  }

  readonly #stateNow = (): FlushedState => this.#state();

  /** What a memtable frozen now makes durable; the log has all of it. */
  #state(): FlushedState {
    this.#handOver();
    let horizon = this.#revision;
    for (const { revision } of this.#snapshots) horizon = Math.min(horizon, revision);
    return stateAt(this.#index, this.#revision, horizon);
  }

  /** Applies what the log holds above the flushed index, and listens to the store. */
  *#recovering(opened: OpenedStore): Steps<void> {
    const { log } = this.#store;
    const shard = opened.recovered.get(SHARD);
    for (const { bytes, count } of recoveredRuns(opened, SHARD, this.#index)) {
      let at = 0;
      let stepEnd = REPLAYED_BYTES_PER_STEP;
      for (let i = 0; i < count; i++) {
        const start = at + ENTRY_HEADER_SIZE_BYTES;
        at = start + readU32(bytes, at);
        if (at > bytes.length) throw new DecodeError("an entry passes the end of its run");
        this.#revision = applyBatch(this.#tree, bytes, start, at, this.#revision);
        this.#index++;
        if (at < stepEnd) continue;
        stepEnd = at + REPLAYED_BYTES_PER_STEP;
        yield;
      }
    }
    // A checkpoint begins without a log; what it holds counts as trimmed.
    if (shard === undefined && this.#index > 0) log.reset(SHARD, REPLICA, this.#index, TERM);
    this.#observe();
    this.#store.maybeFlush(this.#tree, this.#stateNow);
  }

  /** Whether a start would apply a part of a memtable again, or read a segment that was left. */
  #isMuchToApply(): boolean {
    const tree = this.#tree;
    if (tree.frozen.length > 0 || tree.flushed.index >= this.#index) return false;
    const isLarge = tree.activeBytes() >= this.#memtableBytesMax * MUCH_SHARE_MIN;
    return isLarge || this.#store.log.oldestPinned() !== undefined;
  }

  #observe(): void {
    const store = this.#store;
    store.observe({
      flushed: (shardId, { index }) => {
        store.log.trim(shardId, index);
        this.#restFlush.stir();
        this.#release();
      },
      flushWanted: () => {
        if (this.#closing === undefined) store.maybeFlush(this.#tree, this.#stateNow);
      },
      trimWanted: (shardId, upToIndex) => {
        store.log.trim(shardId, upToIndex);
        return true;
      },
      becameFull: () => {
        for (const refuse of this.#whenFull) refuse();
        this.#release();
      },
      treeDamaged: (_shardId, error) => {
        this.#damage = error.message;
        this.#release();
      },
      debtChanged: () => this.#release(),
      treeSound: () => undefined,
    });
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw notApplied("closed", "the store is closed");
  }

  /** The disk failed: what is on it is unknown, and every write that waits is told so. */
  #fail(error: Error): void {
    this.#failure = new KvError("unavailable", `the disk failed: ${error.message}`, "unknown");
    this.#rejectAll(this.#failure);
  }

  #rejectAll(error: KvError): void {
    const waiters = [...this.#inFlight].flat().concat(this.#syncing, this.#delayed);
    this.#inFlight.clear();
    this.#syncing = [];
    this.#delayed = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}

function nothing(): void {}

function notABatch(): KvError {
  return notApplied("invalidArgument", "what is written is a batch that batch() made");
}

/** Before there is a store that could refuse its writes, a failed disk fails the opening. */
function rethrow(error: Error): never {
  throw error;
}

function stateAt(index: number, revision: number, horizon: number): FlushedState {
  return {
    index,
    term: index === 0 ? 0 : TERM,
    revision,
    compactedRevision: horizon,
    closedRevision: 0,
    logicalClock: 0,
    configuration: EMPTY_BYTES,
  };
}

function treeOf({ store, damaged }: OpenedStore): Tree {
  const damage = damaged.get(SHARD);
  if (damage !== undefined) throw damage;
  const all = { start: EMPTY_BYTES, end: undefined };
  const tree = store.tree(SHARD) ?? store.createTree(SHARD, all, stateAt(0, 0, 0));
  assert([...store.trees()].length === 1, "an embedded store has one tree");
  return must(tree);
}
