/**
 * Looks for rot that nobody reads: goes round over the tables and the sealed segments of the log,
 * one small job after the other, with pauses that bound the rate.
 *
 *   a rotten table    → its trees are damaged, and their replicas are refilled
 *   a rotten segment  → what it did is in memory: the trees are flushed, and it is let go of
 *
 * Rotten is what fails twice in a row; once proves nothing. A tree that is called damaged is a
 * suspect: until it is refilled its tables are the first of each round, and if all of them are as
 * they were written, it is sound.
 *
 * It repairs nothing itself, and it reads through the page cache: of what lies in there it does not
 * see the disk.
 */
import type { Timer } from "../env/timers.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { SegmentCheck } from "../log/segment-check.js";
import { SEGMENT_START } from "../log/segment-format.js";
import type { TableFile } from "../lsm/slice.js";
import { pathOfTable } from "../lsm/table-set.js";
import type { Tree } from "../lsm/tree.js";
import { corruptionOf } from "./job-failure.js";
import type { CheckJob, CheckResult } from "./jobs.js";
import { ROTTEN } from "./pack-job.js";
import type { StoreCore } from "./store-core.js";

/**
 * What is read of tables at once; a smaller step takes as long. A segment is read as a whole, and
 * so is a table in a pack.
 */
const STEP_SIZE_BYTES = 1024 * 1024;
/** Of a pack. */
const STEP_TABLES_MAX = 1024;

export class Scrubber {
  readonly #core: StoreCore;
  readonly #done: Promise<void>;
  readonly #suspects: Set<Tree> = new Set();
  #timer: Timer | undefined;
  #wake: () => void = () => undefined;
  #closed = false;

  constructor(core: StoreCore) {
    this.#core = core;
    this.#closed = core.settings.scrubBytesPerSecond === 0;
    this.#done = this.#run();
  }

  /** Resolves when no job runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#wake();
    await this.#done;
  }

  /** A tree is called damaged: says `treeSound` once all its tables are what was written. */
  suspect(tree: Tree): void {
    this.#suspects.add(tree);
  }

  get #isOver(): boolean {
    return this.#closed || this.#core.hasFailed;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.#pause(STEP_SIZE_BYTES);
      const suspects = [...this.#suspects];
      this.#suspects.clear();
      for (const tree of suspects) await this.#checkSuspect(tree);
      const files = this.#core.tables.files();
      const alone = files.filter(({ home }) => home === undefined);
      await this.#each(alone, (file) => this.#checkTable(file));
      await this.#each(packedSteps(files), (tables) => this.#checkPacked(tables));
      await this.#each(this.#core.log.sealedSegments(), (each) => this.#checkSegment(each));
    }
  }

  /** One after the other, until it is over: there may be very many. */
  async #each<T>(all: readonly T[], check: (one: T) => Promise<unknown>): Promise<void> {
    for (const one of all) {
      if (this.#isOver) return;
      await check(one);
    }
  }

  async #checkSuspect(tree: Tree): Promise<void> {
    const { tables } = this.#core;
    let isSound = true;
    for (const fileNumber of new Set(tree.version.slices.map((slice) => slice.fileNumber))) {
      // What was merged meanwhile could be read.
      if (!tables.has(fileNumber)) continue;
      const result = await this.#checkTable(tables.file(fileNumber));
      if (result?.kind !== "checked" && tables.has(fileNumber)) isSound = false;
    }
    if (!this.#core.isLive(tree)) return;
    if (!isSound) this.#suspects.add(tree);
    // Unless damage was met again while this looked elsewhere.
    else if (!this.#suspects.has(tree)) this.#core.observer?.treeSound(tree.shardId);
  }

  async #checkTable(file: TableFile): Promise<CheckResult | undefined> {
    let result = await this.#readTable(file);
    if (result?.kind === "corrupt") result = await this.#readTable(file);
    if (result?.kind === "corrupt") this.#tableIsRotten(file.fileNumber, corruptionOf(result));
    return result;
  }

  /** Reads all of a table; undefined where it goes away meanwhile. */
  async #readTable(file: TableFile): Promise<CheckResult | undefined> {
    const { fileNumber, sizeBytes } = file;
    const path = pathOfTable(this.#core.directory, file);
    const start = file.home?.offset ?? 0;
    let checksum = 0;
    for (let at = 0; at < sizeBytes; at += STEP_SIZE_BYTES) {
      const offset = start + at;
      const length = Math.min(STEP_SIZE_BYTES, sizeBytes - at);
      const result = await this.#check({ kind: "checkTable", path, offset, length, checksum });
      if (this.#isOver || !this.#core.tables.has(fileNumber)) return undefined;
      if (result?.kind !== "checked") return result;
      ({ checksum } = result);
      await this.#pause(length);
    }
    if (this.#isOver || !this.#core.tables.has(fileNumber)) return undefined;
    if (checksum === file.checksum) return { kind: "checked", checksum };
    return { kind: "corrupt", path, offset: start, message: ROTTEN };
  }

  /** Tables of one pack, in one job. */
  async #checkPacked(all: readonly TableFile[]): Promise<void> {
    const core = this.#core;
    const tables = all.filter(({ fileNumber }) => core.tables.has(fileNumber));
    const [first] = tables;
    if (first === undefined) return;
    const path = pathOfTable(core.directory, first);
    const result = await this.#check({ kind: "checkPacked", path, tables });
    if (this.#isOver) return;
    for (const fileNumber of result?.kind === "checkedPacked" ? result.rotten : []) {
      if (!core.tables.has(fileNumber)) continue;
      const offset = core.tables.file(fileNumber).home?.offset ?? 0;
      this.#tableIsRotten(fileNumber, new CorruptionError(path, offset, ROTTEN));
    }
    await this.#pause(sizeOf(tables));
  }

  async #checkSegment(segment: SegmentCheck): Promise<void> {
    const { log } = this.#core;
    const isThere = (): boolean => log.sealedSegments().some(({ path }) => path === segment.path);
    if (this.#isOver || !isThere()) return;
    for (let from = SEGMENT_START; from < segment.endOffset;) {
      const step = { segment, from, sizeBytes: STEP_SIZE_BYTES };
      const result = await this.#check({ kind: "checkSegment", ...step });
      if (this.#isOver || !isThere()) return;
      if (result?.kind === "corrupt") return this.#segmentIsRotten(segment, corruptionOf(result));
      if (result?.kind !== "checkedSegment") return this.#pause(segment.endOffset - from);
      await this.#pause(result.next - from);
      from = result.next;
    }
  }

  #segmentIsRotten({ number }: SegmentCheck, error: CorruptionError): void {
    if (!this.#core.log.condemn(number)) return;
    const reason = error.message;
    this.#core.env.tracer.trace("error", "a segment of the log has rotted", { reason });
  }

  #tableIsRotten(fileNumber: number, error: CorruptionError): void {
    for (const tree of this.#core.trees.values()) {
      const isOwner = tree.version.slices.some((slice) => slice.fileNumber === fileNumber);
      if (isOwner) this.#core.damaged(tree, error);
    }
  }

  /** What cannot be looked at is not known to be rotten. */
  async #check(job: CheckJob): Promise<CheckResult | undefined> {
    return this.#isOver ? undefined : this.#core.runCheck(job);
  }

  #pause(bytes: number): Promise<void> {
    const charged = Math.max(bytes, STEP_SIZE_BYTES);
    const pauseMs = (charged * 1000) / this.#core.settings.scrubBytesPerSecond;
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#core.env.timers.after(pauseMs, resolve);
    });
  }
}

/** The tables in packs, as many of one pack together as make a step. */
function packedSteps(files: readonly TableFile[]): readonly (readonly TableFile[])[] {
  const open = new Map<number, { readonly tables: TableFile[]; sizeBytes: number }>();
  const steps: TableFile[][] = [];
  for (const file of files) {
    if (file.home === undefined) continue;
    const { packNumber } = file.home;
    let step = open.get(packNumber);
    if (step === undefined) {
      step = { tables: [], sizeBytes: 0 };
      open.set(packNumber, step);
      steps.push(step.tables);
    }
    step.tables.push(file);
    step.sizeBytes += file.sizeBytes;
    const isFull = step.tables.length >= STEP_TABLES_MAX || step.sizeBytes >= STEP_SIZE_BYTES;
    if (isFull) open.delete(packNumber);
  }
  return steps;
}

function sizeOf(files: readonly TableFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
