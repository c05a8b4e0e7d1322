/**
 * A node's store: the shared log and the trees of all its shards, in one directory.
 *
 *   identity        which store this is; written last when a directory is formatted
 *   manifest-N, current-N   what the trees consist of
 *   tables/         sstables
 *   log/            segments of the shared log
 *
 * Open: lock, identity, manifest (a new run starts there), files that nothing refers to are
 * deleted, log. Memtables start empty: what is above a tree's flushed index is in the log, and the
 * owner applies it again.
 */
import { assert, must } from "../base/assert.js";
import type { KeyRange } from "../base/key-range.js";
import type { Steps } from "../base/steps.js";
import { DiskError } from "../env/disk.js";
import type { Disk, DirectoryLock } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { inTurns } from "../env/in-turns.js";
import type { Timer } from "../env/timers.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { RecoveredShard } from "../log/log-types.js";
import { SharedLog } from "../log/shared-log.js";
import type { FlushedState } from "../lsm/entry.js";
import { Manifest } from "../lsm/manifest.js";
import { fileNumberOf, packNumber, pathOfTable } from "../lsm/table-set.js";
import { Tree } from "../lsm/tree.js";
import { makeBackup } from "./backup.js";
import type { BackupReport } from "./backup.js";
import { BackupPin } from "./backup-pin.js";
import { writeCheckpoint } from "./checkpoint-directory.js";
import type { PinnedTree } from "./checkpoint-edit.js";
import { Compactor } from "./compactor.js";
import { FlushAdvisor } from "./flush-advisor.js";
import { Flusher } from "./flusher.js";
import { readIdentity, writeIdentity } from "./identity.js";
import type { FoundIdentity } from "./identity.js";
import { isPilingUp, nearsDebt } from "./merge-choice.js";
import { MergeRoom } from "./merge-room.js";
import { Scrubber } from "./scrubber.js";
import { Standstill } from "./standstill.js";
import { StoreCore } from "./store-core.js";
import type { StorePlace } from "./store-core.js";
import type { StoreObserver, StoreOptions } from "./store-options.js";
import { settingsOf } from "./store-options.js";
import { statsOf } from "./store-stats.js";
import type { StoreStats } from "./store-stats.js";
import { TreeCheckpoint } from "./tree-checkpoint.js";
import { TableIngester } from "./table-ingest.js";
import type { IngestOutcome, TableIngest } from "./table-ingest.js";
import { TreeCutter } from "./tree-cut.js";
import type { NewTree, TreeExcision, TreeSplit } from "./tree-cut.js";
import { TreeInstall } from "./tree-install.js";

export interface OpenedStore {
  readonly store: Store;
  readonly recovered: ReadonlyMap<number, RecoveredShard>;
  /** Trees whose shards the log does not have, but may have had and lost. */
  readonly logsLost: ReadonlySet<number>;
  /** Trees that lack a file: their replicas must be refilled before they serve. */
  readonly damaged: ReadonlyMap<number, CorruptionError>;
}

const HOUSEKEEPING_MS = 200;
/** Frozen memtables of a tree; with more the active one grows until a flush is through. */
const FROZEN_MAX = 2;

export class Store {
  /** Made when the directory was formatted; it is the directory's incarnation. */
  readonly storeId: string;
  /** Raised and synced at each open. */
  readonly run: number;
  readonly log: SharedLog;
  readonly #core: StoreCore;
  readonly #lock: DirectoryLock;
  readonly #flusher: Flusher;
  readonly #compactor: Compactor;
  readonly #advisor: FlushAdvisor;
  readonly #scrubber: Scrubber;
  readonly #cutter: TreeCutter;
  readonly #ingester: TableIngester;
  /** Trees that were behind when somebody asked, who waits for them since. */
  readonly #heldUp: Set<Tree> = new Set();
  #housekeeping: Timer | undefined = undefined;

  private constructor(core: StoreCore, lock: DirectoryLock) {
    this.storeId = core.manifest.storeId;
    this.run = core.manifest.catalog.run;
    this.log = core.log;
    this.#core = core;
    this.#lock = lock;
    this.#compactor = new Compactor(core);
    this.#flusher = new Flusher(core, new MergeRoom(core, this.#compactor), (trees) => {
      for (const tree of trees) this.#advisor.forget(tree);
      this.#advisor.review();
      for (const tree of trees) this.#compactor.consider(tree);
      if (trees.some((tree) => nearsDebt(core, tree))) core.pace.press();
      else if (trees.some((tree) => isPilingUp(core, tree))) core.pace.hurry();
    });
    this.#advisor = new FlushAdvisor(core);
    this.#scrubber = new Scrubber(core);
    const standstill = new Standstill(core, this.#flusher, this.#compactor);
    this.#cutter = new TreeCutter(core, standstill);
    this.#ingester = new TableIngester(core, standstill);
    for (const tree of core.trees.values()) this.#compactor.consider(tree);
    this.#scheduleHousekeeping();
  }

  static async open(env: Env, directory: string, options: StoreOptions): Promise<OpenedStore> {
    const { disk } = env;
    disk.makeDirectory(directory);
    const locks = [await disk.lock(directory)];
    const release = (): void => {
      for (const lock of locks) lock.release();
    };
    try {
      disk.makeDirectory(tablesOf(directory));
      disk.makeDirectory(logOf(directory));
      const identity = readIdentity(disk, directory);
      const storeId = storeIdOf(env, directory, identity);
      locks.push(await disk.lock(directory, storeId));
      if (identity.kind === "damaged") restoreIdentity(disk, directory, storeId);
      return await openLocked(
        env,
        { directory, storeId },
        options,
        (core) => new Store(core, { release }),
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Says who is told about flushes and damage. */
  observe(observer: StoreObserver): void {
    this.#core.observer = observer;
  }

  trees(): Iterable<Tree> {
    return this.#core.trees.values();
  }

  tree(shardId: number): Tree | undefined {
    return this.#core.trees.get(shardId);
  }

  /** As createTrees, of one. */
  createTree(shardId: number, range: KeyRange, initial: FlushedState): Tree {
    this.createTrees([{ shardId, range, flushed: initial }]);
    return must(this.tree(shardId), "tree");
  }

  /**
   * All of them or none, durable in the manifest when it returns: one sync, however many there are.
   * Throws DiskError "noSpace" on a full disk.
   */
  createTrees(added: readonly NewTree[]): void {
    const { trees, tables, pool } = this.#core;
    assert(!added.some(({ shardId }) => trees.has(shardId)), "the tree exists");
    this.#core.append(added.map((tree) => ({ kind: "createTree", ...tree })));
    for (const { shardId, range, flushed } of added) {
      trees.set(shardId, new Tree(shardId, { range, flushed, slices: [], tables, pool }));
    }
  }

  /** Durable when it returns; the caller then cleans the shard's log. */
  dropTree(shardId: number): void {
    const tree = must(this.tree(shardId), "tree");
    const { slices } = tree.version;
    this.#core.append([{ kind: "dropTree", shardId }]);
    this.#core.trees.delete(shardId);
    this.#advisor.forget(tree);
    tree.drop();
    this.#compactor.released(slices);
    this.#compactor.considerPacks();
  }

  /**
   * One tree becomes several by one edit, which is durable when this resolves; no table is written.
   * The caller applies nothing to the tree meanwhile, and then makes the logs of the new ones.
   */
  async splitTree(split: TreeSplit): Promise<readonly Tree[]> {
    const trees = await this.#cutter.split(split);
    for (const tree of trees) this.#compactor.consider(tree);
    return trees;
  }

  /**
   * Takes all entries with keys of a range out of a tree, old versions too, by one edit, which is
   * durable when this resolves. The caller applies nothing to the tree meanwhile.
   */
  async exciseRange(excision: TreeExcision): Promise<void> {
    this.#compactor.released(await this.#cutter.excise(excision));
  }

  /**
   * Takes tables that a TableStage wrote into a tree, all or none, by one edit, which is durable
   * when this resolves; says which of them does not fit and why. They must lie on the file system
   * of the store. The caller applies nothing to the tree meanwhile.
   */
  async ingestTables(ingest: TableIngest): Promise<IngestOutcome> {
    const outcome = await this.#ingester.ingest(ingest);
    if (outcome.kind === "ingested") this.#compactor.consider(must(this.tree(ingest.shardId)));
    return outcome;
  }

  /**
   * Called between two entries of the log: freezes and flushes the tree where that is due.
   * `currentState` is what was applied so far; it is asked for only then.
   */
  maybeFlush(tree: Tree, currentState: () => FlushedState): void {
    const isDue =
      tree.activeBytes() > this.#core.settings.memtableBytesMax || this.#advisor.wants(tree);
    if (!isDue || tree.frozen.length >= FROZEN_MAX || !this.#core.isLive(tree)) return;
    this.#advisor.forget(tree);
    void this.#flush(tree, currentState());
  }

  /** Freezes the tree at `state`; resolves when that is durable, or the tree or store is gone. */
  flushNow(tree: Tree, state: FlushedState): Promise<void> {
    return this.#core.pace.awaiting(this.#flush(tree, state));
  }

  #flush(tree: Tree, state: FlushedState): Promise<void> {
    if (!tree.isFrozenAt(state)) tree.freeze(state);
    return this.#flusher.flush(tree);
  }

  /**
   * Pins the tree's files as of its flushed state, once what is frozen now is flushed. What it
   * shares with other trees is written anew first, so that what goes out is its own. Throws
   * where the tree was dropped or the store ended meanwhile: neither is a mistake of the caller.
   */
  async checkpointTree(shardId: number): Promise<TreeCheckpoint> {
    const tree = this.tree(shardId);
    const { pace } = this.#core;
    if (tree !== undefined) await pace.awaiting(this.#compactor.rewriteShared(tree));
    return this.#pinTree(shardId);
  }

  async #pinTree(shardId: number): Promise<TreeCheckpoint> {
    const tree = this.tree(shardId);
    if (tree !== undefined) await this.#core.pace.awaiting(this.#flusher.flush(tree));
    if (tree === undefined || !this.#core.isLive(tree)) {
      throw new Error(`there is no tree ${shardId} any more`);
    }
    return new TreeCheckpoint(tree);
  }

  /**
   * Writes a store of its own into `directory`: each tree as of its flushed state, once what is
   * frozen now is flushed. Tables are linked, not copied. Rejects with DiskError "exists" unless
   * the directory is empty or not there.
   */
  async checkpointTo(directory: string): Promise<void> {
    const { env, tables } = this.#core;
    await this.#withPinned((pinned) => writeCheckpoint(env, tables, directory, pinned));
  }

  /**
   * Adds a backup to a directory of them: as checkpointTo, but the tables are copied, and only
   * those that are not there yet. It needs the only hand in there. Nothing that goes wrong with it
   * is the store's failure.
   */
  async backupTo(directory: string): Promise<BackupReport> {
    const { env, tables } = this.#core;
    const { storeId } = this;
    return this.#withPinned((trees) => makeBackup(env, directory, { storeId, tables, trees }));
  }

  /**
   * Pins trees, each as of its flushed state, for somebody who backs them up; to be released.
   * Throws where one of them was dropped or the store ended meanwhile.
   */
  async pinForBackup(shardIds: readonly number[]): Promise<BackupPin> {
    return new BackupPin(this.#core.tables, await this.#pinTrees(shardIds));
  }

  async #withPinned<T>(use: (pinned: readonly PinnedTree[]) => T | Promise<T>): Promise<T> {
    const pinned = await this.#pinTrees([...this.#core.trees.keys()]);
    try {
      return await use(pinned);
    } finally {
      for (const { checkpoint } of pinned) checkpoint.release();
    }
  }

  /** All of them, or none. */
  async #pinTrees(shardIds: readonly number[]): Promise<readonly PinnedTree[]> {
    const pinned: PinnedTree[] = [];
    try {
      for (const shardId of shardIds) {
        const checkpoint = await this.#pinTree(shardId);
        pinned.push({ shardId, range: must(this.tree(shardId), "tree").range, checkpoint });
      }
      return pinned;
    } catch (error) {
      for (const { checkpoint } of pinned) checkpoint.release();
      throw error;
    }
  }

  beginInstall(shardId: number, range: KeyRange): TreeInstall {
    return new TreeInstall(this.#core, shardId, range);
  }

  /**
   * A tree is called damaged and nobody refills it: says `treeSound` once all of it can be read.
   * It never does where nothing looks for rot.
   */
  recheck(shardId: number): void {
    this.#scrubber.suspect(must(this.tree(shardId), "tree"));
  }

  /** Whether the store has failed and said so through `onFailure`. */
  get failed(): boolean {
    return this.#core.hasFailed;
  }

  /** Whether a flush waits for room on the disk. */
  get full(): boolean {
    return this.#core.waitingForRoom > 0;
  }

  /** Whether any flush is under way. */
  get isFlushing(): boolean {
    return this.#flusher.isBusy;
  }

  /** Flushes that have ended since the store was opened. */
  get flushCount(): number {
    return this.#flusher.flushCount;
  }

  /**
   * Whether a leader may propose more: there is room on the disk and in memory, and the disk keeps
   * up with the log.
   */
  hasRoom(bytes: number): boolean {
    if (this.full || this.isMemoryFull || this.log.isBehind) return false;
    return this.log.hasRoom(bytes);
  }

  /**
   * Whether the merges of this tree are so far behind that writes to it should wait. Whoever is
   * told so waits, and there may be no flush that presses: the asking does, until they are not.
   */
  isBehind(tree: Tree): boolean {
    const is = this.lags(tree);
    if (is) {
      this.#heldUp.add(tree);
      this.#core.pace.press();
    }
    return is;
  }

  /** The same, for who only looks. */
  lags(tree: Tree): boolean {
    return this.#compactor.isBehind(tree);
  }

  #holdsUp(tree: Tree): boolean {
    return this.#core.isLive(tree) && this.lags(tree);
  }

  /** Whether the memtables take more than they may. */
  get isMemoryFull(): boolean {
    return this.#advisor.isMemoryFull;
  }

  /** Resolves when no flush, compaction or deletion runs or waits. */
  idle(): Promise<void> {
    return this.#core.pace.awaiting(this.#becomingIdle());
  }

  async #becomingIdle(): Promise<void> {
    await this.#flusher.idle();
    await this.#compactor.idle();
    await this.#core.removalsDone();
  }

  stats(): StoreStats {
    return statsOf({ core: this.#core, flusher: this.#flusher, compactor: this.#compactor });
  }

  /** Ends the background work and closes all files. What is not flushed is in the log. */
  close(): Promise<void> {
    return this.#core.pace.awaiting(this.#close());
  }

  async #close(): Promise<void> {
    this.#core.isClosing = true;
    this.#housekeeping?.cancel();
    this.#core.wakeAll();
    await this.#scrubber.close();
    await this.#becomingIdle();
    await this.log.close();
    this.#core.manifest.close();
    this.#core.tables.close();
    this.#lock.release();
  }

  /** One line for people. */
  describe(): string {
    const { memtableBytes, sizeBytes, tableCount, full } = this.stats();
    return (
      `store ${this.storeId} run=${this.run} trees=${this.#core.trees.size} ` +
      `memtables=${memtableBytes} tables=${tableCount} bytes=${sizeBytes}${full ? " full" : ""}`
    );
  }

  #scheduleHousekeeping(): void {
    this.#housekeeping = this.#core.env.timers.after(HOUSEKEEPING_MS, () => {
      const { pace, log } = this.#core;
      this.#advisor.review();
      for (const tree of this.#heldUp) if (!this.#holdsUp(tree)) this.#heldUp.delete(tree);
      if (this.#advisor.isMemoryFilling || this.#heldUp.size > 0) pace.press();
      pace.review(log.writtenBytes, log.isWriting);
      this.#scheduleHousekeeping();
    });
  }
}

function tablesOf(directory: string): string {
  return `${directory}/tables`;
}

function logOf(directory: string): string {
  return `${directory}/log`;
}

/** Which store the directory holds; makes one where there is none. */
function storeIdOf(env: Env, directory: string, identity: FoundIdentity): string {
  switch (identity.kind) {
    case "none":
      return format(env, directory);
    case "intact":
      return identity.storeId;
    case "damaged":
      return Manifest.storeIdOf(env.disk, directory);
  }
}

/** Without room for it, the manifest has to do until the next start. */
function restoreIdentity(disk: Disk, directory: string, storeId: string): void {
  try {
    writeIdentity(disk, directory, storeId);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "noSpace")) throw error;
  }
}

/** Makes an empty store; a format that was interrupted before its identity starts over. */
function format(env: Env, directory: string): string {
  const { disk } = env;
  const leftover = [...disk.list(tablesOf(directory)), ...disk.list(logOf(directory))];
  if (leftover.length > 0) {
    throw new CorruptionError(directory, 0, "there is data here, but no identity of a store");
  }
  const storeId = env.random.uniqueId();
  Manifest.create(disk, directory, storeId);
  writeIdentity(disk, directory, storeId);
  return storeId;
}

/** Where it throws, no file of the manifest and the log is written any more. */
async function openLocked(
  env: Env,
  place: { readonly directory: string; readonly storeId: string },
  options: StoreOptions,
  make: (core: StoreCore) => Store,
): Promise<OpenedStore> {
  const { directory, storeId } = place;
  let core: StoreCore | undefined = undefined;
  let isGivenUp = false;
  const onFailure = (error: Error): void => {
    // What is given up has an error already, and that is thrown.
    if (isGivenUp) return;
    if (core === undefined) throw error;
    core.fail(error);
  };
  const manifest = await inTurns(
    env,
    Manifest.opening(env.disk, directory, onFailure, {
      rotateSizeBytes: options.manifestBytesMax,
      ownerId: storeId,
    }),
  );
  let log: SharedLog | undefined = undefined;
  try {
    const { run, trees } = manifest.catalog;
    // A tree is made when there is a log, be it one that nobody has written to.
    const logOptions = { ...options.logOptions, run, isBegun: trees.size > 0, onFailure };
    const {
      log: openedLog,
      recovered,
      shardsMayBeMissing,
    } = await inTurns(env, SharedLog.opening(env, logOf(directory), storeId, logOptions));
    log = openedLog;
    core = openCore(
      env,
      { directory: tablesOf(directory), settings: settingsOf(options) },
      manifest,
      log,
    );
    await inTurns(env, openingTrees(core));
    const unrecorded = [...core.trees.keys()].filter((shardId) => !recovered.has(shardId));
    if (unrecorded.length === 0) log.nothingIsMissing();
    const logsLost = new Set(shardsMayBeMissing ? unrecorded : []);
    const damaged = missingFiles(env.disk, tablesOf(directory), manifest);
    env.tracer.trace("info", "store opened", { storeId, run, trees: core.trees.size });
    return { store: make(core), recovered, logsLost, damaged };
  } catch (error) {
    isGivenUp = true;
    await log?.close();
    manifest.close();
    core?.tables.close();
    throw error;
  }
}

/** What the store's parts share; deletes what an earlier run left behind. */
function openCore(
  env: Env,
  place: Omit<StorePlace, "nextFileNumber">,
  manifest: Manifest,
  log: SharedLog,
): StoreCore {
  const largest = removeStrays(env.disk, place.directory, manifest);
  const next = Math.max(manifest.catalog.nextFileNumber, largest + 1);
  return new StoreCore(env, { ...place, nextFileNumber: next }, manifest, log);
}

/** Deletes the files that the manifest does not name; returns the largest number seen. */
function removeStrays(disk: Disk, directory: string, manifest: Manifest): number {
  const { files, packs } = manifest.catalog;
  let largest = 0;
  let removed = 0;
  for (const name of disk.list(directory)) {
    const number = fileNumberOf(name);
    if (number === undefined) continue;
    largest = Math.max(largest, number);
    const table = packNumber(name) === undefined ? files.get(number) : undefined;
    const isKnown = table === undefined ? packs.has(number) : table.home === undefined;
    if (isKnown) continue;
    disk.remove(`${directory}/${name}`);
    removed++;
  }
  if (removed > 0) disk.syncDirectory(directory);
  return largest;
}

/** A tree or some tables a step. */
function* openingTrees(core: StoreCore): Steps<void> {
  const { tables, pool } = core;
  const { catalog } = core.manifest;
  for (const pack of catalog.packs.values()) tables.addPack(pack);
  for (const file of catalog.files.values()) {
    tables.add(file);
    yield;
  }
  for (const [shardId, { range, flushed, slices }] of catalog.trees) {
    core.trees.set(shardId, new Tree(shardId, { range, flushed, slices, tables, pool }));
    yield;
  }
}

function missingFiles(
  disk: Disk,
  directory: string,
  manifest: Manifest,
): Map<number, CorruptionError> {
  const present = new Set(disk.list(directory).map((name) => `${directory}/${name}`));
  const missing = new Map<number, string>();
  for (const file of manifest.catalog.files.values()) {
    const path = pathOfTable(directory, file);
    if (!present.has(path)) missing.set(file.fileNumber, path);
  }
  const damaged = new Map<number, CorruptionError>();
  for (const [shardId, { slices }] of manifest.catalog.trees) {
    for (const { fileNumber } of slices) {
      const path = missing.get(fileNumber);
      if (path === undefined) continue;
      damaged.set(shardId, new CorruptionError(path, 0, "the file is not there"));
    }
  }
  return damaged;
}
