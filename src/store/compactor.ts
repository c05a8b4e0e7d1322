/**
 * Runs compactions: a few jobs at once over all trees, at most one in a tree. A job works on
 * pinned inputs; its outcome replaces them in one manifest edit, provided that the tree still has
 * them. A full disk puts the tree off until its next flush, by which time there may be room.
 */
import { CorruptionError } from "../log/corruption-error.js";
import type { PickOptions } from "../lsm/compaction-picker.js";
import { isBottom, pickCompaction, pickExpired, pickGarbage } from "../lsm/compaction-picker.js";
import type { FamilyId } from "../lsm/families.js";
import { gcPolicyOf } from "../lsm/families.js";
import type { Slice } from "../lsm/slice.js";
import type { Tree } from "../lsm/tree.js";
import type { Run, Version } from "../lsm/version.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { StoreCore } from "./store-core.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";

interface Pick {
  readonly family: FamilyId;
  readonly inputs: readonly Slice[];
  readonly isBottom: boolean;
}

export class Compactor {
  readonly #core: StoreCore;
  readonly #options: PickOptions;
  readonly #waiting: Set<Tree> = new Set();
  readonly #running: Map<Tree, Promise<void>> = new Map();
  compactionCount = 0;

  constructor(core: StoreCore) {
    this.#core = core;
    const { compactionFanIn, compactionRunsMax } = core.settings;
    this.#options = { fanIn: compactionFanIn, runsMax: compactionRunsMax };
  }

  /** The slices of a tree have changed: compacts it where that is due, now or later. */
  consider(tree: Tree): void {
    if (!this.#core.settings.compactionEnabled) return;
    this.#waiting.add(tree);
    this.#startNext();
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
    const pick = pickIn(tree.version, this.#options, horizon);
    if (pick === undefined) return;
    const version = tree.version;
    version.retain();
    try {
      await this.#run(tree, pick);
    } finally {
      version.release();
    }
  }

  async #run(tree: Tree, pick: Pick): Promise<void> {
    const core = this.#core;
    const target = core.newTarget();
    const plan = {
      family: pick.family,
      inputs: pick.inputs.map((slice) => core.tables.file(slice.fileNumber)),
      horizon: tree.flushed.compactedRevision,
      isBottom: pick.isBottom,
    };
    const result = await core.runJob({ kind: "compact", target, plan });
    if (result.kind === "noSpace") return;
    if (result.kind === "failed") {
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return;
    }
    if (result.kind === "corrupt") {
      core.damaged(tree, new CorruptionError(result.path, result.offset, result.message));
      return;
    }
    const slices = tree.version.slices;
    if (core.isLive(tree) && pick.inputs.every((slice) => slices.includes(slice))) {
      await this.#install(tree, pick, result.table);
    } else if (result.table !== undefined) {
      core.tables.remove(target.fileNumber);
    }
  }

  async #install(tree: Tree, pick: Pick, table: WrittenTable | undefined): Promise<void> {
    const core = this.#core;
    const { shardId } = tree;
    const level = 1 + Math.max(...pick.inputs.map((slice) => slice.level));
    const added: Slice[] = [];
    const edit: EditOperation[] = [];
    for (const slice of pick.inputs) edit.push({ kind: "removeSlice", shardId, slice });
    if (table !== undefined) {
      edit.push({ kind: "addFile", file: table.file });
      for (const section of table.sections) {
        const slice = sliceOf(table.file.fileNumber, section, Math.min(level, 255));
        added.push(slice);
        edit.push({ kind: "addSlice", shardId, slice });
      }
    }
    if (!(await core.tryAppendSoon(edit))) {
      if (table !== undefined && !core.hasFailed) core.tables.remove(table.file.fileNumber);
      return;
    }
    const slices = tree.version.slices;
    if (!core.isLive(tree) || !pick.inputs.every((slice) => slices.includes(slice))) {
      // Dropped or replaced meanwhile, by an edit that took this file out of the manifest again.
      if (table !== undefined && !core.manifest.catalog.files.has(table.file.fileNumber)) {
        core.tables.remove(table.file.fileNumber);
      }
      return;
    }
    if (table !== undefined) core.tables.add(table.file);
    tree.installCompaction(pick.inputs, added);
    this.compactionCount++;
    this.#waiting.add(tree);
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

function slicesOf(runs: readonly Run[]): Slice[] {
  return runs.map((run) => run.slice);
}

function pickIn(version: Version, options: PickOptions, horizon: number): Pick | undefined {
  for (const runs of version.runs) {
    const slices = slicesOf(runs);
    if (slices.length === 0) continue;
    let inputs = pickCompaction(slices, options);
    if (gcPolicyOf(slices[0]!.family) === "mvcc") inputs ??= pickGarbage(slices, horizon);
    if (inputs === undefined) continue;
    return { family: inputs[0]!.family, inputs, isBottom: isBottom(inputs, slices) };
  }
  return undefined;
}
