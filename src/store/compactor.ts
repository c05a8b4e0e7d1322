/**
 * Runs compactions: a few jobs at once over all trees, at most one in a tree. A job works on
 * pinned inputs; its outcome replaces them in one manifest edit, provided that the tree still has
 * them. A full disk puts the tree off until its next flush, by which time there may be room.
 *
 * Debt is what flushes left and merges have not taken yet. A tree with twice the tiers that force a
 * merge is behind: whoever writes to it is held back at the door (the apply never is), and so gives
 * the merges the time that they lack. Nobody is held back for merges that cannot be done.
 *
 * Small merges of many trees are one job beside these, with one pack as its outcome; while none is
 * due, packs that are mostly garbage are written anew in the same way (pack-round.ts).
 */
import type { CompactionPlan } from "../lsm/compaction.js";
import { pickExpired, sizeOf } from "../lsm/compaction-picker.js";
import { gcPolicyOf } from "../lsm/families.js";
import { LEVEL_BASE } from "../lsm/level.js";
import type { LevelOptions, Merge } from "../lsm/level-picker.js";
import { pickMerge } from "../lsm/level-picker.js";
import { pickPacks } from "../lsm/pack-picker.js";
import { clipOf } from "../lsm/slice.js";
import type { Slice } from "../lsm/slice.js";
import type { Tree } from "../lsm/tree.js";
import type { Run, Version } from "../lsm/version.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { corruptionOf } from "./job-failure.js";
import { PackRound } from "./pack-round.js";
import type { Replacement } from "./pack-round.js";
import type { StoreCore } from "./store-core.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";

/** Tiers of a tree that is behind, in terms of those that are merged whatever their sizes. */
const BEHIND_FACTOR = 2;
/** How long a tree that is behind waits for room on the disk: the attempt that it counts as. */
const BEHIND_ATTEMPT = 3;
/** Of a table, how much slices must show for it to be kept as it is. */
const SHOWN_FRACTION = 0.5;
/** Trees that are looked at in one turn. */
const LOOKED_COUNT_MAX = 256;
/** What goes into one pack. */
const GROUP_COUNT_MAX = 256;
const GROUP_SIZE_BYTES_MAX = 16 * 1024 * 1024;

interface Picked {
  readonly tree: Tree;
  readonly merge: Merge;
}

export class Compactor {
  readonly #core: StoreCore;
  readonly #options: LevelOptions;
  readonly #waiting: Set<Tree> = new Set();
  /** Those of which a table is damaged: they cannot be merged. */
  readonly #stuck: WeakSet<Tree> = new WeakSet();
  /** Trees with a merge that is due: small ones for the next group, others for a job. */
  readonly #small: Set<Tree> = new Set();
  readonly #large: Set<Tree> = new Set();
  /** Trees whose slices are an input of a job. */
  readonly #busy: Set<Tree> = new Set();
  readonly #jobs: Set<Promise<void>> = new Set();
  #group: Promise<void> | undefined = undefined;
  #look: Promise<void> | undefined = undefined;
  /** Packs of which something could not be read: it is as it is until its trees are refilled. */
  readonly #unreadable: Set<number> = new Set();
  /** There was no room for a group: nothing is written anew before something is flushed. */
  #isFull = false;
  compactionCount = 0;
  writtenBytes = 0;

  constructor(core: StoreCore) {
    this.#core = core;
    this.#options = core.settings.compactionOptions;
  }

  /** The slices of a tree have changed: compacts it where that is due, now or later. */
  consider(tree: Tree): void {
    if (!this.#core.settings.compactionEnabled) return;
    this.#isFull = false;
    this.#waiting.add(tree);
    this.#lookSoon();
  }

  /** Whether writes to this tree should wait for its merges. On a full disk they are refused. */
  isBehind(tree: Tree): boolean {
    const isDone = this.#core.settings.compactionEnabled && !this.#stuck.has(tree);
    const hasRoom = this.#core.waitingForRoom === 0 && !this.#isFull;
    return isDone && hasRoom && this.#hasDebt(tree);
  }

  #hasDebt({ version }: Tree): boolean {
    return version.tiersMax >= this.#options.runsMax * BEHIND_FACTOR;
  }

  /** A tree is gone: what it had in packs may be most of them. */
  considerPacks(): void {
    if (this.#core.settings.compactionEnabled) this.#lookSoon();
  }

  /**
   * A tree has let go of these slices: others that show the rest of their tables are looked at, for
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
    return this.#busy.has(tree);
  }

  /** Resolves when one of the jobs that run now is done. */
  async jobDone(): Promise<void> {
    await Promise.race([...this.#jobs, this.#group].filter((each) => each !== undefined));
  }

  /**
   * Writes what a tree shows of tables that it shares, or of a part of which it was cut, into
   * tables of its own, as far as there is room for them and they can be read.
   */
  async rewriteShared(tree: Tree): Promise<void> {
    const tried = new Set<Slice>();
    for (;;) {
      const { slices } = tree.version;
      const slice = slices.find((each) => !tried.has(each) && this.#isShared(each, slices));
      if (slice === undefined || !this.#core.isLive(tree)) return;
      if (!this.isRunning(tree)) {
        tried.add(slice);
        this.#start(tree, rewriting(slice));
      }
      while (this.isRunning(tree)) await this.jobDone();
    }
  }

  async idle(): Promise<void> {
    for (;;) {
      const all = [...this.#jobs, this.#group, this.#look];
      const running = all.filter((each) => each !== undefined);
      if (running.length === 0) return;
      await Promise.all(running);
    }
  }

  /** Looks at the end of the turn: whoever calls may be about to change more trees. */
  #lookSoon(): void {
    if (this.#look !== undefined) return;
    this.#look = new Promise((resolve) => {
      this.#core.env.timers.endOfTurn(() => {
        this.#look = undefined;
        this.#startNext();
        resolve();
      });
    });
  }

  #startNext(): void {
    for (const tree of take(this.#large, this.#slotsLeft)) this.#sort(tree);
    let left = LOOKED_COUNT_MAX;
    for (const tree of this.#waiting) {
      if (this.#busy.has(tree)) continue;
      if (left-- === 0) {
        this.#lookSoon();
        break;
      }
      this.#waiting.delete(tree);
      this.#sort(tree);
    }
    if (this.#group === undefined) this.#startGroup(this.#gather());
  }

  get #slotsLeft(): number {
    return Math.max(0, this.#core.settings.compactionJobsMax - this.#jobs.size);
  }

  /** Picks what is due in a tree: it begins at once, or the tree waits with others of its kind. */
  #sort(tree: Tree): void {
    const merge = this.#pick(tree);
    if (merge === undefined) return;
    if (this.#isSmall(merge)) this.#small.add(tree);
    else if (this.#slotsLeft > 0 && !this.#busy.has(tree)) this.#start(tree, merge);
    else this.#large.add(tree);
  }

  /** Picks once more: what was due may be more by now. */
  #gather(): Picked[] {
    const group: Picked[] = [];
    for (const tree of this.#small) {
      if (isFull(group)) break;
      this.#small.delete(tree);
      if (this.#busy.has(tree)) {
        this.#waiting.add(tree);
        continue;
      }
      const merge = this.#pick(tree);
      if (merge === undefined) continue;
      if (this.#isSmall(merge)) group.push({ tree, merge });
      else this.#start(tree, merge);
    }
    return group;
  }

  #pick(tree: Tree): Merge | undefined {
    if (!this.#core.isLive(tree)) return undefined;
    this.#dropExpired(tree);
    const merge = pickIn(tree.version, this.#options, tree.flushed.compactedRevision);
    return merge ?? this.#pickForeign(tree);
  }

  /** `own`: the slices of the tree that has it. */
  #isShared(slice: Slice, own: readonly Slice[]): boolean {
    const { fileNumber } = slice;
    const ownCount = own.filter((each) => each.fileNumber === fileNumber).length;
    const isOthersToo = this.#core.manifest.catalog.sliceCount(fileNumber) > ownCount;
    return isOthersToo || clipOf(slice) !== undefined;
  }

  /** A slice of a table that is kept for the lesser part of it: rewritten, so that it can go. */
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

  #isSmall({ inputs, level, isMove }: Merge): boolean {
    const isTier = level < LEVEL_BASE && !isMove;
    return isTier && sizeOf(inputs) <= this.#core.settings.sharedTableBytesMax;
  }

  #start(tree: Tree, merge: Merge): void {
    this.#busy.add(tree);
    const job = this.#compact(tree, merge).finally(() => {
      this.#busy.delete(tree);
      this.#jobs.delete(job);
      this.#startNext();
    });
    this.#jobs.add(job);
  }

  /** A group of one is a job as any other, unless there are too many files already. */
  #startGroup(group: readonly Picked[]): void {
    const [first] = group;
    if (first !== undefined && group.length === 1 && !this.#core.isCrowded) {
      if (this.#slotsLeft > 0) this.#start(first.tree, first.merge);
      else this.#small.add(first.tree);
      return;
    }
    const merges = group.map(({ tree, merge }) => this.#replacementOf(tree, merge));
    const replacements = merges.length > 0 ? merges : this.#garbage();
    if (replacements.length === 0) return;
    const trees = new Set(replacements.flatMap(({ owners }) => owners.map(({ tree }) => tree)));
    for (const tree of trees) this.#busy.add(tree);
    this.#group = this.#runGroup(replacements).finally(() => {
      this.#group = undefined;
      for (const tree of trees) this.#busy.delete(tree);
      this.#lookSoon();
    });
  }

  async #runGroup(replacements: readonly Replacement[]): Promise<void> {
    const round = new PackRound(this.#core, replacements);
    const outcome = await round.run();
    this.writtenBytes += round.writtenBytes;
    this.#isFull = outcome === "noSpace";
    for (const { member, owners } of round.damaged) {
      const home = member.kind === "copy" ? member.file.home : undefined;
      if (home !== undefined) this.#unreadable.add(home.packNumber);
      if (member.kind === "merge") for (const { tree } of owners) this.#stuck.add(tree);
    }
    for (const { member, owners } of round.replaced) {
      if (member.kind === "copy") continue;
      this.compactionCount++;
      for (const { tree, removed } of owners) {
        this.#stuck.delete(tree);
        this.released(removed);
        this.#waiting.add(tree);
      }
    }
    // Whoever waits for one of these merges may look again, and for one that cannot be done, too.
    for (const { member, owners } of replacements) {
      if (member.kind === "copy") continue;
      for (const { tree } of owners) this.#core.observer?.debtChanged?.(tree.shardId);
    }
  }

  #replacementOf(tree: Tree, merge: Merge): Replacement {
    const { inputs, level } = merge;
    const added = ({ file, sections }: WrittenTable): Slice[] =>
      sections.map((section) => sliceOf(file.fileNumber, section, level));
    const plan = this.#planOf(tree, merge);
    const member = { kind: "merge", target: this.#core.newTarget(), plan } as const;
    return { member, owners: [{ tree, removed: inputs, added }] };
  }

  /** The tables of packs that are worth writing anew, each with all trees that have slices. */
  #garbage(): Replacement[] {
    const { catalog } = this.#core.manifest;
    if (this.#core.isEnding || this.#isFull || catalog.packs.size === 0) return [];
    const tables = new Map<number, Map<Tree, Slice[]>>();
    for (const number of pickPacks(catalog.packs.values(), this.#unreadable)) {
      for (const fileNumber of catalog.packs.get(number)!.tables) tables.set(fileNumber, new Map());
    }
    if (tables.size === 0) return [];
    for (const tree of this.#core.trees.values()) {
      for (const slice of tree.version.slices) {
        const trees = tables.get(slice.fileNumber);
        const slices = trees?.get(tree);
        if (slices === undefined) trees?.set(tree, [slice]);
        else slices.push(slice);
      }
    }
    const replacements: Replacement[] = [];
    for (const [fileNumber, trees] of tables) {
      const isBusy = [...trees.keys()].some((tree) => this.#busy.has(tree));
      if (trees.size > 0 && !isBusy) replacements.push(this.#copyOf(fileNumber, trees));
    }
    return replacements;
  }

  #copyOf(fileNumber: number, trees: ReadonlyMap<Tree, readonly Slice[]>): Replacement {
    const target = this.#core.newTarget();
    const file = this.#core.tables.file(fileNumber);
    const owners = [...trees].map(([tree, removed]) => ({
      tree,
      removed,
      added: (table: WrittenTable) =>
        removed.map((slice) => ({ ...slice, fileNumber: table.file.fileNumber })),
    }));
    return { member: { kind: "copy", target, file }, owners };
  }

  async #compact(tree: Tree, merge: Merge): Promise<void> {
    if (merge.isMove) return this.#move(tree, merge);
    const version = tree.version;
    version.retain();
    try {
      await this.#run(tree, merge);
    } finally {
      version.release();
    }
  }

  #planOf(tree: Tree, { inputs, level, isBottom }: Merge): CompactionPlan {
    const { tables, settings } = this.#core;
    return {
      family: inputs[0]!.family,
      inputs: inputs.map((slice) => ({
        file: tables.file(slice.fileNumber),
        clip: clipOf(slice),
      })),
      horizon: tree.flushed.compactedRevision,
      isBottom,
      tableBytesMax: level < LEVEL_BASE ? Infinity : settings.tableBytesMax,
    };
  }

  async #run(tree: Tree, merge: Merge): Promise<void> {
    const core = this.#core;
    const { tableBytesMax } = core.settings;
    const tablesMax = 1 + Math.ceil(sizeOf(merge.inputs) / tableBytesMax);
    const targets = Array.from({ length: tablesMax }, () => core.newTarget());
    const plan = this.#planOf(tree, merge);
    const result = await core.runJob({ kind: "compact", targets, plan });
    if (result.kind === "noSpace") return this.#waitForRoom(tree);
    if (result.kind === "failed") {
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return;
    }
    if (result.kind === "corrupt") {
      this.#stuck.add(tree);
      core.damaged(tree, corruptionOf(result));
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
    this.released(merge.inputs);
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

/** The first ones, which leave the set. */
function take(trees: Set<Tree>, count: number): readonly Tree[] {
  const taken = [...trees].slice(0, count);
  for (const tree of taken) trees.delete(tree);
  return taken;
}

function isFull(group: readonly Picked[]): boolean {
  let sizeBytes = 0;
  for (const { merge } of group) sizeBytes += sizeOf(merge.inputs);
  return group.length >= GROUP_COUNT_MAX || sizeBytes >= GROUP_SIZE_BYTES_MAX;
}

/** What a slice shows goes into a table of its own, in its place. */
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
