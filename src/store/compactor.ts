/**
 * Runs compactions: a few jobs at once over all trees, at most one in a tree. A job works on
 * pinned inputs; its outcome replaces them in one manifest edit, provided that the tree still has
 * them. A full disk puts the tree off until its next flush, by which time there may be room.
 *
 * Debt is what flushes left and merges have not taken yet. A tree with twice the tiers that force a
 * merge is behind: whoever writes to it is held back at the door (the apply never is), and so gives
 * the merges the time that they lack. Nobody is held back for merges that cannot be done.
 */
import { CorruptionError } from "../log/corruption-error.js";
import { pickExpired, sizeOf } from "../lsm/compaction-picker.js";
import { gcPolicyOf } from "../lsm/families.js";
import { LEVEL_BASE } from "../lsm/level.js";
import type { LevelOptions, Merge } from "../lsm/level-picker.js";
import { pickMerge } from "../lsm/level-picker.js";
import type { Slice } from "../lsm/slice.js";
import type { Tree } from "../lsm/tree.js";
import type { Run, Version } from "../lsm/version.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { StoreCore } from "./store-core.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";

/** Tiers of a tree that is behind, in terms of those that are merged whatever their sizes. */
const BEHIND_FACTOR = 2;
/** How long a tree that is behind waits for room on the disk: the attempt that it counts as. */
const BEHIND_ATTEMPT = 3;

export class Compactor {
  readonly #core: StoreCore;
  readonly #options: LevelOptions;
  readonly #waiting: Set<Tree> = new Set();
  readonly #running: Map<Tree, Promise<void>> = new Map();
  /** Those of which a table is damaged: they cannot be merged. */
  readonly #stuck: WeakSet<Tree> = new WeakSet();
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

  /** Whether writes to this tree should wait for its merges. On a full disk they are refused. */
  isBehind(tree: Tree): boolean {
    const isDone = this.#core.settings.compactionEnabled && !this.#stuck.has(tree);
    return isDone && this.#core.waitingForRoom === 0 && this.#hasDebt(tree);
  }

  #hasDebt({ version }: Tree): boolean {
    return version.tiersMax >= this.#options.runsMax * BEHIND_FACTOR;
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
      const started = this.#compact(tree).finally(() => {
        this.#running.delete(tree);
        this.#startNext();
      });
      this.#running.set(tree, started);
    }
  }

  async #compact(tree: Tree): Promise<void> {
    await Promise.resolve();
    if (!this.#core.isLive(tree)) return;
    this.#dropExpired(tree);
    const horizon = tree.flushed.compactedRevision;
    const merge = pickIn(tree.version, this.#options, horizon);
    if (merge === undefined) return;
    if (merge.isMove) return this.#move(tree, merge);
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
      inputs: merge.inputs.map((slice) => core.tables.file(slice.fileNumber)),
      horizon: tree.flushed.compactedRevision,
      isBottom: merge.isBottom,
      tableBytesMax: merge.level < LEVEL_BASE ? Infinity : tableBytesMax,
    };
    const result = await core.runJob({ kind: "compact", targets, plan });
    if (result.kind === "noSpace") return this.#waitForRoom(tree);
    if (result.kind === "failed") {
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return;
    }
    if (result.kind === "corrupt") {
      this.#stuck.add(tree);
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
    if (!(await core.tryAppendSoon(edit))) {
      this.#remove(tables);
      return this.#waitForRoom(tree);
    }
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

  /** Where writes have to wait for this tree, there may be no flush that looks at it again. */
  async #waitForRoom(tree: Tree): Promise<void> {
    if (!this.#hasDebt(tree) || !this.#core.isLive(tree)) return;
    const room = this.#core.waitForRoom(BEHIND_ATTEMPT);
    this.#core.observer?.debtChanged?.(tree.shardId);
    await room;
    this.#waiting.add(tree);
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
    if (!(await this.#core.tryAppendSoon(edit))) return this.#waitForRoom(tree);
    if (this.#isWanted(tree, merge)) this.#installed(tree, merge, [moved]);
  }

  #installed(tree: Tree, merge: Merge, added: readonly Slice[]): void {
    tree.installCompaction(merge.inputs, added);
    this.compactionCount++;
    this.#stuck.delete(tree);
    this.#waiting.add(tree);
    this.#core.observer?.debtChanged?.(tree.shardId);
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
        this.#core.observer?.debtChanged?.(shardId);
      }
    }
  }
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
