/**
 * Looks for rot that nobody reads: goes round over the tables and the sealed segments of the log,
 * one small job after the other, with pauses that bound the rate.
 *
 *   a rotten table    → its trees are damaged, and their replicas are refilled
 *   a rotten segment  → what it holds is in memory: the trees are flushed, and it is let go of
 *
 * It repairs nothing itself, and it reads through the page cache: of what lies in there it does not
 * see the disk.
 */
import type { Timer } from "../env/timers.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { SegmentCheck } from "../log/segment-check.js";
import type { TableFile } from "../lsm/slice.js";
import { tablePath } from "../lsm/table-set.js";
import type { CheckJob, CheckResult } from "./jobs.js";
import type { StoreCore } from "./store-core.js";

/** What is read of a table at once; a smaller step takes as long. A segment is read as a whole. */
const STEP_SIZE_BYTES = 1024 * 1024;

export class Scrubber {
  readonly #core: StoreCore;
  readonly #done: Promise<void>;
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

  get #isOver(): boolean {
    return this.#closed || this.#core.hasFailed;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.#pause(STEP_SIZE_BYTES);
      for (const file of this.#core.tables.files()) await this.#checkTable(file);
      for (const segment of this.#core.log.sealedSegments()) await this.#checkSegment(segment);
    }
  }

  async #checkTable(file: TableFile): Promise<void> {
    const { fileNumber, sizeBytes } = file;
    const path = tablePath(this.#core.directory, fileNumber);
    let checksum = 0;
    for (let offset = 0; offset < sizeBytes; offset += STEP_SIZE_BYTES) {
      const length = Math.min(STEP_SIZE_BYTES, sizeBytes - offset);
      const result = await this.#check({ kind: "checkTable", path, offset, length, checksum });
      if (this.#isOver || !this.#core.tables.has(fileNumber)) return;
      if (result?.kind !== "checked") return this.#tableIsRotten(fileNumber, errorOf(result));
      ({ checksum } = result);
      await this.#pause(length);
    }
    if (this.#isOver || checksum === file.checksum || !this.#core.tables.has(fileNumber)) return;
    const error = new CorruptionError(path, 0, "the file is not what was written");
    this.#tableIsRotten(fileNumber, error);
  }

  async #checkSegment(segment: SegmentCheck): Promise<void> {
    const { log, env } = this.#core;
    const isThere = (): boolean => log.sealedSegments().some(({ path }) => path === segment.path);
    if (this.#isOver || !isThere()) return;
    const result = await this.#check({ kind: "checkSegment", segment });
    if (this.#isOver || !isThere()) return;
    if (result?.kind === "checked") return this.#pause(segment.endOffset);
    if (!log.condemn(segment.number)) return;
    const reason = errorOf(result).message;
    env.tracer.trace("error", "a segment of the log has rotted", { reason });
  }

  #tableIsRotten(fileNumber: number, error: CorruptionError): void {
    for (const tree of this.#core.trees.values()) {
      const isOwner = tree.version.slices.some((slice) => slice.fileNumber === fileNumber);
      if (isOwner) this.#core.damaged(tree, error);
    }
  }

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

function errorOf(result: CheckResult | undefined): CorruptionError {
  if (result?.kind === "corrupt") {
    return new CorruptionError(result.path, result.offset, "it is not what was written");
  }
  const reason = result?.kind === "failed" ? result.message : "nothing was read";
  return new CorruptionError("", 0, reason);
}
