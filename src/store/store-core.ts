/**
 * What the parts of a store share: its ports, manifest, files, and the few rules that hold for
 * everything in the background (numbers of files, a full disk, a failed disk, the end).
 */
import { must } from "../base/assert.js";
import { utf8 } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import { describeRange } from "../base/key-range.js";
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { MicrosHistogram } from "../log/micros-histogram.js";
import type { SharedLog } from "../log/shared-log.js";
import { SlabPool } from "../lsm/arena.js";
import { BlockCache } from "../lsm/block-cache.js";
import type { Manifest } from "../lsm/manifest.js";
import type { Slice } from "../lsm/slice.js";
import type { TableTarget } from "../lsm/sstable-writer.js";
import { TableSet } from "../lsm/table-set.js";
import type { Tree } from "../lsm/tree.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import type { JobFailure } from "./job-failure.js";
import type { CheckJob, CheckResult, FileJob, FileJobResult, Paced, StoreJob } from "./jobs.js";
import { Pace } from "./pace.js";
import type { PackJob, PackJobResult, PackMember } from "./pack-job.js";
import type { StoreObserver, StoreSettings } from "./store-options.js";

/** Tables in a store before small ones go into packs even where they are alone. */
const OWN_FILES_MAX = 256;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

export interface StorePlace {
  /** Where the tables are. */
  readonly directory: string;
  readonly settings: StoreSettings;
  readonly nextFileNumber: number;
}

export class StoreCore {
  readonly env: Env;
  readonly directory: string;
  readonly settings: StoreSettings;
  readonly manifest: Manifest;
  readonly log: SharedLog;
  readonly cache: BlockCache;
  readonly tables: TableSet;
  readonly pool: SlabPool = new SlabPool();
  readonly pace: Pace;
  readonly trees: Map<number, Tree> = new Map();
  observer: StoreObserver | undefined = undefined;
  isClosing = false;
  /** Background work that waits for room on the disk. */
  waitingForRoom = 0;
  readonly #saltSeed: number;
  /** Files that are being deleted, or wait for it. */
  readonly #removals: string[] = [];
  #removing: Promise<void> = Promise.resolve();
  /** Edits that are in the catalog and not known to be durable yet. */
  readonly #edits: Set<Promise<unknown>> = new Set();
  readonly #commitMicros: MicrosHistogram = new MicrosHistogram();
  readonly #sleepers: Set<() => void> = new Set();
  #nextFileNumber: number;
  #hasFailed = false;

  constructor(env: Env, place: StorePlace, manifest: Manifest, log: SharedLog) {
    this.env = env;
    this.directory = place.directory;
    this.settings = place.settings;
    this.manifest = manifest;
    this.log = log;
    this.pace = new Pace(env.clock);
    this.cache = new BlockCache(place.settings.blockCacheBytes);
    this.tables = new TableSet(
      env.disk,
      place.directory,
      this.cache,
      (path) => this.#removeFile(path),
      place.settings.openFilesMax,
    );
    this.#saltSeed = hash32(utf8(manifest.storeId));
    this.#nextFileNumber = place.nextFileNumber;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Whether nothing new is begun. */
  get isEnding(): boolean {
    return this.isClosing || this.#hasFailed;
  }

  /** Whether there are so many tables that a small one is better not in a file of its own. */
  get isCrowded(): boolean {
    return this.tables.count > OWN_FILES_MAX;
  }

  /** A place for a new table; its number was never used before. */
  newTarget(): TableTarget {
    const fileNumber = this.#nextFileNumber++;
    const salt = (this.#saltSeed ^ Math.imul(fileNumber, 0x9e37_79b1)) >>> 0;
    const { blockSizeBytes } = this.settings;
    return { directory: this.directory, fileNumber, salt, blockSizeBytes };
  }

  async runJob(job: FileJob): Promise<FileJobResult> {
    try {
      return (await this.#run(job)) as FileJobResult;
    } catch (error) {
      return failureOf(error);
    }
  }

  /** Writes a new pack. */
  async runPack(members: readonly PackMember[]): Promise<PackJobResult | JobFailure> {
    const target = { directory: this.directory, packNumber: this.#nextFileNumber++ };
    const job: PackJob = { kind: "pack", target, members };
    try {
      return (await this.#run(job)) as PackJobResult | JobFailure;
    } catch (error) {
      return failureOf(error);
    }
  }

  async runCheck(job: CheckJob): Promise<CheckResult> {
    try {
      return (await this.#run(job)) as CheckResult;
    } catch (error) {
      return failureOf(error);
    }
  }

  #run(job: StoreJob | CheckJob): Promise<unknown> {
    const paced: Paced<StoreJob | CheckJob> = { ...job, pace: this.pace.shared };
    return this.env.jobs.run(paced);
  }

  /** Files that nothing refers to any more and that are still there. */
  get removalCount(): number {
    return this.#removals.length;
  }

  /** Resolves when no file is being deleted. */
  async removalsDone(): Promise<void> {
    while (this.#removals.length > 0) await this.#removing;
  }

  /** Whether this tree is still the one of its shard. */
  isLive(tree: Tree): boolean {
    return !this.isEnding && this.trees.get(tree.shardId) === tree;
  }

  /** The content of the disk is unknown now: nothing is done any more, the owner stops the node. */
  fail(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.env.tracer.trace("error", "the store failed", { error: error.message });
    this.wakeAll();
    this.settings.onFailure(error);
  }

  /** A file of a tree is damaged; its replica is refilled. */
  damaged(tree: Tree, error: Error): void {
    this.observer?.treeDamaged(tree.shardId, error);
  }

  /**
   * Makes an edit of the manifest. Throws DiskError "noSpace" where there is no room for it and
   * nothing has changed; any other error ends the store and is thrown, too.
   */
  append(edit: VersionEdit): void {
    if (this.#hasFailed)
      throw new DiskError("io", this.directory, new Error("the store has ended"));
    const beganMs = this.env.clock.monotonicMs();
    try {
      this.manifest.append(edit);
      this.#committed(beganMs);
    } catch (error) {
      if (!isNoSpace(error)) this.fail(error as Error);
      throw error;
    }
  }

  /** Makes names of tables durable. An error ends the store and is thrown, too. */
  syncTables(): void {
    try {
      this.env.disk.syncDirectory(this.directory);
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
  }

  /** As append, but a full disk is an answer (false) and so is the end of the store. */
  tryAppend(edit: VersionEdit): boolean {
    try {
      this.append(edit);
      return true;
    } catch (error) {
      if (!isNoSpace(error) && !this.#hasFailed) throw error;
      return false;
    }
  }

  /**
   * As tryAppend, without holding up the event loop. The trees may have changed meanwhile: by edits
   * that were appended after this one.
   */
  async tryAppendSoon(edit: VersionEdit): Promise<boolean> {
    const beganMs = this.env.clock.monotonicMs();
    const appended = new Promise<unknown>((resolve) => {
      try {
        this.manifest.appendSoon(edit, (error) => {
          if (error === undefined) this.#committed(beganMs);
          resolve(error);
        });
      } catch (thrown) {
        resolve(thrown);
      }
    });
    this.#edits.add(appended);
    const error = await appended;
    this.#edits.delete(appended);
    if (error === undefined) return true;
    if (!isNoSpace(error)) this.fail(error as Error);
    return false;
  }

  /** How long edits took until they were durable; those that failed do not count. */
  get commitTimes(): MicrosHistogram {
    return this.#commitMicros;
  }

  #committed(beganMs: number): void {
    this.#commitMicros.addMs(this.env.clock.monotonicMs() - beganMs);
  }

  /** Whether a tree has all that the manifest says of it: no edit of it is on its way. */
  isSettled(tree: Tree): boolean {
    const { flushed, slices } = must(this.manifest.catalog.trees.get(tree.shardId), "tree");
    const shown = new Set(tree.version.slices.map(nameOf));
    return (
      flushed.index === tree.flushed.index &&
      slices.length === shown.size &&
      slices.every((slice) => shown.has(nameOf(slice)))
    );
  }

  /**
   * Resolves when the edits that are on their way now are on the disk, and when those who made them
   * have changed their trees: they hear of it first.
   */
  async editsDone(): Promise<void> {
    await Promise.all(this.#edits);
  }

  /** Waits before attempt `attempt` at something for which there was no room. */
  waitForRoom(attempt: number): Promise<void> {
    if (this.isEnding) return Promise.resolve();
    const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** attempt);
    if (this.waitingForRoom++ === 0) this.observer?.becameFull?.();
    return new Promise((resolve) => {
      let timer: Timer | undefined = undefined;
      const wake = (): void => {
        if (!this.#sleepers.delete(wake)) return;
        timer?.cancel();
        this.waitingForRoom--;
        resolve();
      };
      this.#sleepers.add(wake);
      timer = this.env.timers.after(delayMs, wake);
    });
  }

  wakeAll(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Resolves when everything that was given to the log before is durable, or when all ends. */
  logIsDurable(): Promise<void> {
    if (this.isEnding) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        if (this.#sleepers.delete(wake)) resolve();
      };
      this.#sleepers.add(wake);
      this.log.commit(wake);
    });
  }

  /** Files go one at a time, so that flushes and merges need not wait for many of them. */
  #removeFile(path: string): void {
    if (this.isEnding) return;
    this.#removals.push(path);
    if (this.#removals.length === 1) this.#removing = this.#removeAll();
  }

  /** A file that cannot be deleted, or not any more, is a stray that the next start deletes. */
  async #removeAll(): Promise<void> {
    for (let path = this.#removals[0]; path !== undefined; path = this.#removals[0]) {
      const result = await this.runJob({ kind: "remove", path });
      this.#removals.shift();
      if (result.kind === "written") continue;
      this.env.tracer.trace("warn", "a file was not deleted", { path, result: result.kind });
    }
  }
}

/** Of the slices that a tree may have at any time each has another. */
function nameOf({ fileNumber, family, level, range }: Slice): string {
  return `${fileNumber} ${family} ${level} ${describeRange(range)}`;
}

function failureOf(error: unknown): JobFailure {
  if (isNoSpace(error)) return { kind: "noSpace" };
  return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
}

function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === "noSpace";
}
