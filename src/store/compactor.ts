/**
 * Runs compactions: a few jobs at once over all trees, at most one in a tree. A job works on
 * pinned inputs; its outcome replaces them in one manifest edit, provided that the tree still has
 * them. A full disk puts the tree off until its next flush, by which time there may be room.
 */
import { CorruptionError } from "../log/corruption-error.js";
import { pickExpired, sizeOf } from "../lsm/compaction-picker.js";
import { gcPolicyOf } from "../lsm/families.js";
import { LEVEL_BASE } from "../lsm/level.js";
import type { LevelOptions, Merge } from "../lsm/level-picker.js";
import { pickMerge } from "../lsm/level-picker.js";
import { clipOf } from "../lsm/slice.js";
import type { Slice } from "../lsm/slice.js";
import type { Tree } from "../lsm/tree.js";
import type { Run, Version } from "../lsm/version.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { StoreCore } from "./store-core.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";

/** Of a file, how much slices must show for it to be kept as it is. */
const SHOWN_FRACTION = 0.5;

export class Compactor {
  readonly #core: StoreCore;
  readonly #options: LevelOptions;
  readonly #waiting: Set<Tree> = new Set();
  readonly #running: Map<Tree, Promise<void>> = new Map();
  compactionCount = 0;
  writtenBytes = 0;

  constructor(core: StoreCore) {
    this.#core = core;
    this.#options = core.settings.compactionOptions;
  }

  /** The slices of a tree have changed: compacts it where that is due, now or later. */
  consider(tree: Tree): void {
    if (!this.#core.settings.compactionEnabled) return;
    this.#waiting.add(tree);
    this.#startNext();
  }

  /**
   * A tree has let go of these slices: others that show the rest of their files are looked at, for
   * whom it may no longer be worth keeping them.
   */
  released(slices: readonly Slice[]): void {
    const { trees, manifest } = this.#core;
    const files = new Set(slices.map(({ fileNumber }) => fileNumber));
    for (const fileNumber of files) {
      if (!manifest.catalog.files.has(fileNumber)) files.delete(fileNumber);
    }
    if (files.size === 0) return;
    for (const tree of trees.values()) {
      if (tree.version.slices.some(({ fileNumber }) => files.has(fileNumber))) this.consider(tree);
    }
  }

  /** Whether a job works on the tree. */
  isRunning(tree: Tree): boolean {
    return this.#running.has(tree);
  }

  /** Resolves when the job that works on the tree now, if any, is done. */
  async jobDone(tree: Tree): Promise<void> {
    await this.#running.get(tree);
  }

  /**
   * Writes what a tree shows of files that it shares, or of a part of which it was cut, into files
   * of its own, as far as there is room for them and they can be read.
   */
  async rewriteShared(tree: Tree): Promise<void> {
    const tried = new Set<Slice>();
    for (;;) {
      const { slices } = tree.version;
      const slice = slices.find((each) => !tried.has(each) && this.#isShared(each, slices));
      if (slice === undefined || !this.#core.isLive(tree)) return;
      if (!this.isRunning(tree)) {
        tried.add(slice);
        this.#start(tree, this.#merge(tree, rewriting(slice)));
      }
      await this.jobDone(tree);
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #startNext(): void {
    for (const tree of this.#waiting) {
      if (this.#running.size >= this.#core.settings.compactionJobsMax) return;
      if (this.#running.has(tree)) continue;
      this.#waiting.delete(tree);
      if (!this.#core.isLive(tree)) continue;
      this.#start(tree, this.#compact(tree));
    }
  }

  #start(tree: Tree, job: Promise<void>): void {
    const started = job.finally(() => {
      this.#running.delete(tree);
      this.#startNext();
    });
    this.#running.set(tree, started);
  }

  async #compact(tree: Tree): Promise<void> {
    await Promise.resolve();
    if (!this.#core.isLive(tree)) return;
    this.#dropExpired(tree);
    const horizon = tree.flushed.compactedRevision;
    const merge = pickIn(tree.version, this.#options, horizon) ?? this.#pickForeign(tree);
    if (merge === undefined) return;
    return merge.isMove ? this.#move(tree, merge) : this.#merge(tree, merge);
  }

  /** `own`: the slices of the tree that has it. */
  #isShared(slice: Slice, own: readonly Slice[]): boolean {
    const { fileNumber } = slice;
    const ownCount = own.filter((each) => each.fileNumber === fileNumber).length;
    const isOthersToo = this.#core.manifest.catalog.sliceCount(fileNumber) > ownCount;
    return isOthersToo || clipOf(slice) !== undefined;
  }

  /** A slice of a file that is kept for the lesser part of it: rewritten, so that it can go. */
  #pickForeign(tree: Tree): Merge | undefined {
    const { tables, manifest } = this.#core;
    const isForeign = (slice: Slice): boolean => {
      if (clipOf(slice) === undefined) return false;
      const { fileNumber, sizeBytes } = tables.file(slice.fileNumber);
      return manifest.catalog.shownBytes(fileNumber) < sizeBytes * SHOWN_FRACTION;
    };
    const slice = tree.version.slices.find(isForeign);
    return slice === undefined ? undefined : rewriting(slice);
  }

  async #merge(tree: Tree, merge: Merge): Promise<void> {
    const version = tree.version;
    version.retain();
    try {
      await this.#run(tree, merge);
    } finally {
      version.release();
    }
  }

  async #run(tree: Tree, merge: Merge): Promise<void> {
    const core = this.#core;
    const { tableBytesMax } = core.settings;
    const tablesMax = 1 + Math.ceil(sizeOf(merge.inputs) / tableBytesMax);
    const targets = Array.from({ length: tablesMax }, () => core.newTarget());
    const plan = {
      family: merge.inputs[0]!.family,
      inputs: merge.inputs.map((slice) => ({
        file: core.tables.file(slice.fileNumber),
        clip: clipOf(slice),
      })),
      horizon: tree.flushed.compactedRevision,
      isBottom: merge.isBottom,
      tableBytesMax: merge.level < LEVEL_BASE ? Infinity : tableBytesMax,
    };
    const result = await core.runJob({ kind: "compact", targets, plan });
    if (result.kind === "noSpace") return;
    if (result.kind === "failed") {
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return;
    }
    if (result.kind === "corrupt") {
      core.damaged(tree, new CorruptionError(result.path, result.offset, result.message));
      return;
    }
    if (this.#isWanted(tree, merge)) await this.#install(tree, merge, result.tables);
    else this.#remove(result.tables);
  }

  async #install(tree: Tree, merge: Merge, tables: readonly WrittenTable[]): Promise<void> {
    const core = this.#core;
    const { shardId } = tree;
    const added: Slice[] = [];
    const edit: EditOperation[] = [];
    for (const slice of merge.inputs) edit.push({ kind: "removeSlice", shardId, slice });
    for (const { file, sections } of tables) {
      edit.push({ kind: "addFile", file });
      for (const section of sections) {
        const slice = sliceOf(file.fileNumber, section, merge.level);
        added.push(slice);
        edit.push({ kind: "addSlice", shardId, slice });
      }
    }
    if (!(await core.tryAppendSoon(edit))) return this.#remove(tables);
    if (!this.#isWanted(tree, merge)) {
      // Dropped or replaced meanwhile, by an edit that took these files out of the manifest again.
      const { files } = core.manifest.catalog;
      return this.#remove(tables.filter(({ file }) => !files.has(file.fileNumber)));
    }
    for (const { file } of tables) {
      core.tables.add(file);
      this.writtenBytes += file.sizeBytes;
    }
    this.#installed(tree, merge, added);
  }

  /** The table changes its place in the tree and is not written anew. */
  async #move(tree: Tree, merge: Merge): Promise<void> {
    const { shardId } = tree;
    const [slice] = merge.inputs;
    const moved = { ...slice!, level: merge.level };
    const edit: EditOperation[] = [
      { kind: "removeSlice", shardId, slice: slice! },
      { kind: "addSlice", shardId, slice: moved },
    ];
    const isDone = await this.#core.tryAppendSoon(edit);
    if (isDone && this.#isWanted(tree, merge)) this.#installed(tree, merge, [moved]);
  }

  #installed(tree: Tree, merge: Merge, added: readonly Slice[]): void {
    tree.installCompaction(merge.inputs, added);
    this.compactionCount++;
    this.released(merge.inputs);
    this.#waiting.add(tree);
  }

  /** Whether the tree is as it was when the merge was picked, apart from what came to it. */
  #isWanted(tree: Tree, merge: Merge): boolean {
    const { slices } = tree.version;
    return this.#core.isLive(tree) && merge.inputs.every((slice) => slices.includes(slice));
  }

  /** A store that has ended leaves them to the next start. */
  #remove(tables: readonly WrittenTable[]): void {
    if (this.#core.hasFailed) return;
    for (const { file } of tables) this.#core.tables.remove(file.fileNumber);
  }

  /** Slices of which nothing is left go without a job. */
  #dropExpired(tree: Tree): void {
    const horizon = tree.flushed.compactedRevision;
    for (const runs of tree.version.runs) {
      if (runs.length === 0 || gcPolicyOf(runs[0]!.slice.family) !== "dropBelow") continue;
      const expired = pickExpired(slicesOf(runs), horizon);
      if (expired.length === 0) continue;
      const { shardId } = tree;
      if (this.#core.tryAppend(expired.map((slice) => ({ kind: "removeSlice", shardId, slice })))) {
        tree.installCompaction(expired, []);
      }
    }
  }
}

/** What a slice shows goes into a file of its own, in its place. */
function rewriting(slice: Slice): Merge {
  return { inputs: [slice], level: slice.level, isBottom: false, isMove: false };
}

function slicesOf(runs: readonly Run[]): Slice[] {
  return runs.map((run) => run.slice);
}

function pickIn(version: Version, options: LevelOptions, horizon: number): Merge | undefined {
  for (const runs of version.runs) {
    const slices = slicesOf(runs);
    if (slices.length === 0) continue;
    const merge = pickMerge(slices, gcPolicyOf(slices[0]!.family), horizon, options);
    if (merge !== undefined) return merge;
  }
  return undefined;
}
