/**
 * The files of the log: the sealed segments, the active one, and the next one, which is prepared
 * ahead so that no write ever waits for the file system to grow a file: an old segment that nobody
 * needs is renamed, or a new file is filled with zeros in the background. The filling keeps step
 * with the active segment, so that the batches' writes meet a chunk now and then and never a burst.
 *
 * Segments are let go of from the oldest on, and each step is durable before the next is taken, so
 * that the numbers on disk are always contiguous. A missing number is therefore corruption. One
 * step is under way at a time, and none on the event loop, which the file system may hold up long.
 *
 * It never looks into batches and never decides which segments are needed.
 */
import { assert } from "../base/assert.js";
import { DiskError } from "../env/disk.js";
import type { DirectoryChange, Disk, DiskFile } from "../env/disk.js";
import { BLOCK_SIZE_BYTES } from "./batch-format.js";
import { encodeSegmentHeader, segmentName } from "./segment-format.js";

/**
 * What is filled at once: with a mebibyte a batch's write waited three times as long in 99 % of all
 * cases, and the filling took longer, not shorter.
 */
const ZEROS: Uint8Array = new Uint8Array(128 * 1024);
/** Flushes end in bursts; with fewer a segment would be deleted, and zeros written for it again. */
const FREE_MAX = 2;
/** Small segments are filled in steps, too: tests and simulator have such. */
const CHUNKS_MIN = 8;
/** The next segment is filled this many times as fast as the active one. Bench: watch. */
const FILL_SPEED = 2;

/** A segment that is full, or that an earlier run of the node wrote. */
export interface SealedSegment {
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
}

/** A segment that can be written. */
export interface OpenSegment extends SealedSegment {
  readonly file: DiskFile;
}

/** A segment of zeros, as far as it goes. */
interface Filling {
  readonly file: DiskFile;
  readonly number: number;
  readonly position: number;
}

export interface SegmentEvents {
  /** What was under way has ended; the next segment is there, unless it was stopped. */
  prepared(): void;
  /** There is no space for the next segment. */
  full(): void;
  failed(error: DiskError): void;
}

export class SegmentFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #storeId: string;
  readonly #segmentSizeBytes: number;
  readonly #events: SegmentEvents;
  readonly #sealed: SealedSegment[];
  #active: OpenSegment | undefined;
  #next: OpenSegment | undefined;
  #preparing = false;
  /** The next segment, if its filling waits for the active one. */
  #resting: Filling | undefined;
  /** Where the active segment is written up to; its end, where the next one is wanted at once. */
  #reached = 0;
  #stopped = false;
  /** Segments below this number are needed by nobody. */
  #neededFrom = 0;

  constructor(
    disk: Disk,
    place: { readonly directory: string; readonly storeId: string; readonly sizeBytes: number },
    sealed: readonly SealedSegment[],
    events: SegmentEvents,
  ) {
    this.#disk = disk;
    this.#directory = place.directory;
    this.#storeId = place.storeId;
    this.#segmentSizeBytes = place.sizeBytes;
    this.#sealed = [...sealed];
    this.#events = events;
  }

  get active(): OpenSegment {
    assert(this.#active !== undefined, "the log has an active segment");
    return this.#active;
  }

  get nextReady(): boolean {
    return this.#next !== undefined;
  }

  /** Whether files are being prepared or deleted. */
  get preparing(): boolean {
    return this.#preparing;
  }

  get sealedCount(): number {
    return this.#sealed.length;
  }

  /** Those that somebody needs. */
  sealed(): readonly SealedSegment[] {
    return this.#sealed.filter((segment) => segment.number >= this.#neededFrom);
  }

  get count(): number {
    return this.#sealed.length + 1 + (this.#next === undefined ? 0 : 1);
  }

  totalBytes(): number {
    let total = this.active.sizeBytes + (this.#next?.sizeBytes ?? 0);
    for (const segment of this.#sealed) total += segment.sizeBytes;
    return total;
  }

  /** Creates the segment that a start writes to, or takes over one that was prepared. */
  openFirst(number: number, sizeBytes: number, prepared: SealedSegment | undefined): void {
    const path = this.#path(number);
    if (prepared === undefined || prepared.sizeBytes < sizeBytes) this.#fillNow(path, sizeBytes);
    const file = this.#disk.open(path, { dataSync: true });
    file.writeSync(encodeSegmentHeader(number, this.#storeId), 0, BLOCK_SIZE_BYTES, 0);
    this.#disk.syncDirectory(this.#directory);
    this.#active = { number, path, file, sizeBytes: file.sizeBytes() };
  }

  /** Goes on in the newest of the sealed segments. */
  resumeLast(): void {
    const last = this.#sealed.pop();
    assert(last !== undefined, "there is a segment to go on in");
    this.#active = { ...last, file: this.#disk.open(last.path, { dataSync: true }) };
  }

  /** Goes on with what an orderly close left of the next segment: all of it is durable. */
  resumeNext({ number, path, sizeBytes }: SealedSegment): void {
    assert(number === this.active.number + 1, "the next segment has the next number");
    const file = this.#disk.open(path, { dataSync: true });
    this.#resting = { file, number, position: Math.min(sizeBytes, this.#segmentSizeBytes) };
  }

  /** Says how far the active segment is written. */
  advance(offset: number): void {
    this.#reached = Math.max(this.#reached, offset);
    const resting = this.#resting;
    if (resting !== undefined && !this.#isFilledEnough(resting.position)) this.prepare();
  }

  /** Makes the next segment the active one; false while there is none. */
  rotate(): boolean {
    if (this.#next === undefined) {
      this.advance(this.active.sizeBytes);
      return false;
    }
    const { file, ...sealed } = this.active;
    file.close();
    this.#sealed.push(sealed);
    this.#active = this.#next;
    this.#next = undefined;
    this.#reached = 0;
    this.prepare();
    return true;
  }

  /** Says that nobody needs the segments below `number`. */
  release(number: number): void {
    assert(number <= this.active.number, "the active segment is always needed");
    this.#neededFrom = number;
    this.prepare();
  }

  /** Begins to prepare the next segment, unless it is there or on its way. */
  prepare(): void {
    if (this.#preparing || this.#stopped) return;
    this.#preparing = true;
    try {
      this.#prepareNext();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #prepareNext(): void {
    const freeCount = this.#freeCount();
    const isUsable = freeCount > 0 && this.#sealed[0]!.sizeBytes === this.#segmentSizeBytes;
    if (this.#next === undefined && isUsable) this.#recycleOldest();
    // Some wait to be recycled; more of them would only take space.
    else if (freeCount > (this.#next === undefined ? 0 : FREE_MAX)) this.#removeOldest();
    else if (this.#next === undefined) this.#fill(this.#resting ?? this.#create());
    else this.#preparing = false;
  }

  /** Prepares nothing more; what is being prepared ends with its current write. */
  stopPreparing(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#stopped = true;
    this.active.file.close();
    this.#resting?.file.close();
    this.#next?.file.close();
  }

  #path(number: number): string {
    return `${this.#directory}/${segmentName(number)}`;
  }

  #freeCount(): number {
    let count = 0;
    for (const segment of this.#sealed) if (segment.number < this.#neededFrom) count++;
    return count;
  }

  #removeOldest(): void {
    const { path } = this.#sealed.shift()!;
    this.#change({ kind: "remove", path }, undefined, () => {
      this.#preparing = false;
      this.#events.prepared();
      this.prepare();
    });
  }

  /** It takes the place of one that is not filled yet. */
  #recycleOldest(): void {
    this.#resting?.file.close();
    this.#resting = undefined;
    const number = this.active.number + 1;
    const to = this.#path(number);
    const from = this.#sealed.shift()!.path;
    this.#change({ kind: "rename", from, to }, undefined, () => {
      this.#finish(this.#disk.open(to, { dataSync: true }), number);
    });
  }

  /** Makes a change durable and goes on; `file` is what is being prepared. */
  #change(change: DirectoryChange | undefined, file: DiskFile | undefined, next: () => void): void {
    const sync: DirectoryChange = { kind: "sync", path: this.#directory };
    this.#disk.change(change === undefined ? [sync] : [change, sync], (error) => {
      this.#step(file, error, next);
    });
  }

  #create(): Filling {
    const number = this.active.number + 1;
    const file = this.#disk.open(this.#path(number), { create: true, dataSync: true });
    return { file, number, position: 0 };
  }

  /** Writes zeros, a chunk a turn, as far as they are wanted by now; the first block comes last. */
  #fill(filling: Filling): void {
    this.#resting = undefined;
    const { file, number, position } = filling;
    const rest = this.#segmentSizeBytes - position;
    if (rest === 0) {
      this.#change(undefined, file, () => this.#finish(file, number));
      return;
    }
    if (this.#isFilledEnough(position)) {
      this.#resting = filling;
      this.#preparing = false;
      // Something was let go of meanwhile.
      if (this.#freeCount() > 0) this.prepare();
      return;
    }
    const lengthMax = Math.max(BLOCK_SIZE_BYTES, this.#segmentSizeBytes / CHUNKS_MIN);
    const length = Math.min(rest, lengthMax, ZEROS.length);
    file.write(ZEROS, length, position, (error) => {
      this.#step(file, error, () => this.#fill({ file, number, position: position + length }));
    });
  }

  /** Beside an active segment that is smaller than others it is filled at once. */
  #isFilledEnough(position: number): boolean {
    const isSmall = this.active.sizeBytes < this.#segmentSizeBytes;
    return !isSmall && position > FILL_SPEED * this.#reached;
  }

  #finish(file: DiskFile, number: number): void {
    file.write(encodeSegmentHeader(number, this.#storeId), BLOCK_SIZE_BYTES, 0, (error) => {
      this.#step(file, error, () => {
        this.#preparing = false;
        this.#next = { number, path: file.path, file, sizeBytes: this.#segmentSizeBytes };
        this.#events.prepared();
        this.prepare();
      });
    });
  }

  /** Goes on after a step; `file` is what is being prepared. */
  #step(file: DiskFile | undefined, error: DiskError | undefined, next: () => void): void {
    try {
      if (error === undefined && !this.#stopped) {
        next();
        return;
      }
      file?.close();
      if (file !== undefined && error?.code === "noSpace") this.#disk.remove(file.path);
      this.#giveUp(error);
    } catch (thrown) {
      this.#giveUp(thrown);
    }
  }

  #giveUp(error: unknown): void {
    this.#preparing = false;
    if (error === undefined) this.#events.prepared();
    else this.#report(error);
  }

  #report(error: unknown): void {
    if (!(error instanceof DiskError)) throw error;
    if (error.code !== "noSpace") return this.#events.failed(error);
    // One that was let go of meanwhile can be had without space.
    if (this.#freeCount() > 0 && !this.#stopped) this.prepare();
    else {
      // The next attempt fills it in one go: until it is there, little is written that it followed.
      this.#reached = this.active.sizeBytes;
      this.#events.full();
    }
  }

  #fillNow(path: string, sizeBytes: number): void {
    const isNew = !this.#disk.exists(path);
    const file = this.#disk.open(path, { create: true });
    try {
      file.truncateSync(0);
      for (let at = 0; at < sizeBytes; at += ZEROS.length) {
        file.writeSync(ZEROS, 0, Math.min(ZEROS.length, sizeBytes - at), at);
      }
      file.syncSync();
    } catch (error) {
      // The only segment of a new log stays, if empty: without any that would count as lost.
      if (isNew) this.#disk.remove(path);
      else file.truncateSync(0);
      throw error;
    } finally {
      file.close();
    }
  }
}
