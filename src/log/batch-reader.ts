/**
 * Reads single batches of the log while it runs, and keeps those that were read last: shards whose
 * entries lie in the same batches are mostly read at the same time, when one node has been away.
 * Only a batch that passes its checksums is given out; nothing is mended.
 */
import type { Disk } from "../env/disk.js";
import { readBatch, traceLength } from "./batch-format.js";
import type { FoundBatch } from "./batch-format.js";
import { segmentName } from "./segment-format.js";

/** Read at once: many small batches. */
const READ_SIZE_BYTES = 256 * 1024;
const KEPT_SIZE_BYTES = 8 * 1024 * 1024;

/** A batch, whose offsets count in the bytes that it was found in. */
export interface LoadedBatch {
  readonly bytes: Uint8Array;
  readonly batch: FoundBatch;
}

/** The bytes of a segment from a batch on. */
interface Part {
  readonly segment: number;
  readonly base: number;
  readonly bytes: Uint8Array;
}

export class BatchReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #storeTag: number;
  /** By place; the one used last is the last. */
  readonly #kept: Map<string, LoadedBatch> = new Map();
  #keptBytes = 0;
  /** What was read from the disk last; more batches may be in it. */
  #part: Part | undefined = undefined;

  constructor(disk: Disk, directory: string, storeTag: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#storeTag = storeTag;
  }

  /** The batch at this offset; undefined where it is not what was written. */
  read(segment: number, offset: number): LoadedBatch | undefined {
    const place = `${segment}:${offset}`;
    const loaded = this.#kept.get(place) ?? this.#load(segment, offset);
    if (loaded === undefined) return undefined;
    if (this.#kept.delete(place)) this.#keptBytes -= loaded.batch.length;
    this.#kept.set(place, loaded);
    this.#keptBytes += loaded.batch.length;
    this.#letGo();
    return loaded;
  }

  #letGo(): void {
    for (const [place, { batch }] of this.#kept) {
      if (this.#keptBytes <= KEPT_SIZE_BYTES) return;
      this.#kept.delete(place);
      this.#keptBytes -= batch.length;
    }
  }

  #load(segment: number, offset: number): LoadedBatch | undefined {
    const part = this.#part;
    const isNear = part?.segment === segment && offset >= part.base;
    const known = isNear ? this.#find(part, offset) : undefined;
    if (known !== undefined) return known;
    this.#part = this.#readPart(segment, offset);
    return this.#find(this.#part, offset);
  }

  #find({ segment, base, bytes }: Part, offset: number): LoadedBatch | undefined {
    const place = { storeTag: this.#storeTag, number: segment, base };
    const batch = readBatch(bytes, place, offset - base);
    return batch?.payloadIntact === true ? { bytes, batch } : undefined;
  }

  /** Reads a batch, and what follows it as far as a read goes. */
  #readPart(segment: number, base: number): Part {
    const path = `${this.#directory}/${segmentName(segment)}`;
    const file = this.#disk.open(path, { readOnly: true });
    try {
      for (let sizeBytes = READ_SIZE_BYTES; ;) {
        const buffer = new Uint8Array(sizeBytes);
        const bytes = buffer.subarray(0, file.readSync(buffer, 0, sizeBytes, base));
        const length = traceLength(bytes, { storeTag: this.#storeTag, number: segment }, 0);
        if (length <= sizeBytes || bytes.length < sizeBytes) return { segment, base, bytes };
        sizeBytes = length;
      }
    } finally {
      file.close();
    }
  }
}
