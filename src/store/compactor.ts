/**
 * Runs compactions: a few jobs at once over all trees, at most one in a tree (tree-merge.ts). What
 * is due in a tree is decided when its turn comes (merge-choice.ts). A full disk puts the tree off
 * until its next flush, by which time there may be room.
 *
 * Debt is what flushes left and merges have not taken yet. A tree with twice the tiers that force a
 * merge is behind: whoever writes to it is held back at the door (the apply never is), and so gives
 * the merges the time that they lack. Nobody is held back for merges that cannot be done.
 *
 * Small merges of many trees are one job beside these, with one pack as its outcome; while none is
 * due, packs that are mostly garbage are written anew in the same way (pack-round.ts).
 */
import { assert } from "../base/assert.js";
import { sizeOf } from "../lsm/compaction-picker.js";
import type { Merge } from "../lsm/level-picker.js";
import type { Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import { sliceOf } from "../lsm/version.js";
import { chooseMerge, hasDebt, isShared, isSmall, planOf, rewriting } from "./merge-choice.js";
import { PackGarbage } from "./pack-garbage.js";
import { PackRound } from "./pack-round.js";
import type { Replacement } from "./pack-round.js";
import { QuietTrees } from "./quiet-trees.js";
import type { StoreCore } from "./store-core.js";
import { dropExpired, mergeInTree } from "./tree-merge.js";
import type { MergeOutcome } from "./tree-merge.js";

/** How long a tree that is behind waits for room on the disk: the attempt that it counts as. */
const BEHIND_ATTEMPT = 3;
/** Trees that are looked at in one turn. */
const LOOKED_COUNT_MAX = 64;
/** What goes into one pack. */
const GROUP_COUNT_MAX = 256;
const GROUP_SIZE_BYTES_MAX = 16 * 1024 * 1024;

interface Picked {
  readonly tree: Tree;
  readonly merge: Merge;
}

export class Compactor {
  readonly #core: StoreCore;
  readonly #waiting: Set<Tree> = new Set();
  /** Those of which a table is damaged: they cannot be merged. */
  readonly #stuck: WeakSet<Tree> = new WeakSet();
  /** Trees with a merge that is due: small ones for the next group, others for a job. */
  readonly #small: Set<Tree> = new Set();
  readonly #large: Set<Tree> = new Set();
  /** Trees whose slices are an input of a job, and how much of them is. */
  readonly #busy: Map<Tree, number> = new Map();
  readonly #jobs: Set<Promise<void>> = new Set();
  readonly #garbage: PackGarbage;
  /** Of the trees that are not quiet it has those that would be merged if they were. */
  readonly #quiet: QuietTrees;
  #group: Promise<void> | undefined = undefined;
  #look: Promise<void> | undefined = undefined;
  /** There was no room for a group: nothing is written anew before something is flushed. */
  #isFull = false;
  compactionCount = 0;
  writtenBytes = 0;

  constructor(core: StoreCore) {
    this.#core = core;
    this.#garbage = new PackGarbage(core);
    this.#quiet = new QuietTrees(core.env.timers, (trees) => {
      for (const tree of trees) this.#waiting.add(tree);
      this.#lookSoon();
    });
  }

  /** The slices of a tree have changed: compacts it where that is due, now or later. */
  consider(tree: Tree): void {
    if (!this.#core.settings.compactionEnabled) return;
    this.#isFull = false;
    this.#quiet.stir(tree);
    this.#waiting.add(tree);
    this.#lookSoon();
  }

  /** Whether writes to this tree should wait for its merges. On a full disk they are refused. */
  isBehind(tree: Tree): boolean {
    const isDone = this.#core.settings.compactionEnabled && !this.#stuck.has(tree);
    const hasRoom = this.#core.waitingForRoom === 0 && !this.#isFull;
    return isDone && hasRoom && hasDebt(this.#core, tree);
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
    const others = new Set<number>();
    for (const fileNumber of new Set(slices.map((slice) => slice.fileNumber))) {
      for (const shardId of manifest.catalog.treesOf(fileNumber)) others.add(shardId);
    }
    for (const shardId of others) {
      const tree = trees.get(shardId);
      if (tree !== undefined) this.consider(tree);
    }
  }

  /** Whether a job works on the tree. */
  isRunning(tree: Tree): boolean {
    return this.#busy.has(tree);
  }

  /** What the job that works on the tree reads, and at most writes; 0 where there is none. */
  runningBytes(tree: Tree): number {
    return this.#busy.get(tree) ?? 0;
  }

  /** What would be merged of the tree if nothing were written to it. */
  pickEarly(tree: Tree): Merge | undefined {
    const isPossible = this.#core.settings.compactionEnabled && !this.#stuck.has(tree);
    return isPossible && !this.isRunning(tree) ? chooseMerge(this.#core, tree, true) : undefined;
  }

  /** Begins what pickEarly said, in the same turn. */
  beginEarly(tree: Tree, merge: Merge): void {
    assert(!this.isRunning(tree), "one job works on a tree");
    this.#start(tree, merge);
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
      const isWanted = (each: Slice): boolean =>
        !tried.has(each) && isShared(this.#core, each, slices);
      const slice = slices.find(isWanted);
      if (slice === undefined || !this.#core.isLive(tree)) return;
      if (!this.isRunning(tree)) {
        tried.add(slice);
        this.#start(tree, rewriting(slice));
      }
      while (this.isRunning(tree)) await this.jobDone();
    }
  }

  /** Resolves when nothing is left to be merged. Whoever waits for that writes nothing now. */
  async idle(): Promise<void> {
    this.#quiet.rest();
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
    if (isSmall(this.#core, merge)) this.#small.add(tree);
    else this.#startSoon(tree, merge);
  }

  #startSoon(tree: Tree, merge: Merge): void {
    if (this.#slotsLeft > 0) this.#start(tree, merge);
    else this.#large.add(tree);
  }

  /** Picks once more: what was due may be more by now. */
  #gather(): Picked[] {
    const group: Picked[] = [];
    for (const tree of this.#small) {
      if (isFull(group)) break;
      this.#small.delete(tree);
      const merge = this.#pick(tree);
      if (merge === undefined) continue;
      if (isSmall(this.#core, merge)) group.push({ tree, merge });
      else this.#startSoon(tree, merge);
    }
    return group;
  }

  /** Of a busy tree an edit may be on its way, after which it has other slices: it waits. */
  #pick(tree: Tree): Merge | undefined {
    const core = this.#core;
    if (!core.isLive(tree)) {
      this.#quiet.forget(tree);
      return undefined;
    }
    if (this.#busy.has(tree)) {
      this.#waiting.add(tree);
      return undefined;
    }
    if (dropExpired(core, tree)) core.observer?.debtChanged?.(tree.shardId);
    if (this.#quiet.isQuiet(tree)) return chooseMerge(core, tree, true);
    const merge = chooseMerge(core, tree, false);
    if (merge === undefined && chooseMerge(core, tree, true) === undefined) {
      this.#quiet.forget(tree);
    }
    return merge;
  }

  #start(tree: Tree, merge: Merge): void {
    this.#busy.set(tree, sizeOf(merge.inputs));
    const job = this.#merge(tree, merge).finally(() => {
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
    const replacements = merges.length > 0 ? merges : this.#garbageReplaced();
    if (replacements.length === 0) return;
    const trees = new Set(replacements.flatMap(({ owners }) => owners.map(({ tree }) => tree)));
    for (const { owners } of replacements) {
      for (const { tree, removed } of owners) this.#busy.set(tree, sizeOf(removed));
    }
    this.#group = this.#runGroup(replacements).finally(() => {
      this.#group = undefined;
      for (const tree of trees) this.#busy.delete(tree);
      this.#lookSoon();
    });
  }

  #garbageReplaced(): Replacement[] {
    if (this.#core.isEnding || this.#isFull) return [];
    return this.#garbage.collect(this.#busy);
  }

  async #runGroup(replacements: readonly Replacement[]): Promise<void> {
    const round = new PackRound(this.#core, replacements);
    const outcome = await round.run();
    this.writtenBytes += round.writtenBytes;
    this.#isFull = outcome === "noSpace";
    for (const damaged of round.damaged) {
      this.#garbage.isDamaged(damaged);
      const { member, owners } = damaged;
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
    const plan = planOf(this.#core, tree, merge);
    const member = { kind: "merge", target: this.#core.newTarget(), plan } as const;
    return { member, owners: [{ tree, removed: inputs, added }] };
  }

  async #merge(tree: Tree, merge: Merge): Promise<void> {
    const outcome = await mergeInTree(this.#core, tree, merge);
    if (outcome.kind === "noSpace") await this.#waitForRoom(tree);
    else this.#merged(tree, merge, outcome);
  }

  #merged(tree: Tree, merge: Merge, outcome: MergeOutcome): void {
    if (outcome.kind === "damaged") this.#stuck.add(tree);
    if (outcome.kind !== "merged") return;
    this.compactionCount++;
    this.writtenBytes += outcome.writtenBytes;
    this.#stuck.delete(tree);
    this.released(merge.inputs);
    this.#waiting.add(tree);
    this.#core.observer?.debtChanged?.(tree.shardId);
  }

  /** Where writes have to wait for this tree, there may be no flush that looks at it again. */
  async #waitForRoom(tree: Tree): Promise<void> {
    if (!hasDebt(this.#core, tree) || !this.#core.isLive(tree)) return;
    const room = this.#core.waitForRoom(BEHIND_ATTEMPT);
    this.#core.observer?.debtChanged?.(tree.shardId);
    await room;
    this.#waiting.add(tree);
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
