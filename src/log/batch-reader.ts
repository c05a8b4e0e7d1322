/**
 * Reads single batches of the log while it runs, and keeps the parts that were read last: shards
 * whose entries lie in the same batches are mostly read at the same time, when one node has been
 * away. Only a batch that passes its checksums is given out; nothing is mended.
 */
import type { Disk } from "../env/disk.js";
import { readBatch, traceLength } from "./batch-format.js";
import { LoadedBatch } from "./loaded-batch.js";
import { segmentName } from "./segment-format.js";

/** Read at once: many small batches. */
const PART_SIZE_BYTES = 256 * 1024;
/** Of all parts together, unless a single batch is larger. */
const PARTS_SIZE_BYTES_MAX = 4 * 1024 * 1024;

/** The bytes of a segment from a batch on. */
interface Part {
  readonly segment: number;
  readonly base: number;
  readonly bytes: Uint8Array;
  /** By offset in the segment. */
  readonly batches: Map<number, LoadedBatch>;
}

export class BatchReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #storeTag: number;
  /** The one read last comes last. */
  readonly #parts: Part[] = [];
  #partsBytes = 0;
  #loadedBytes = 0;

  constructor(disk: Disk, directory: string, storeTag: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#storeTag = storeTag;
  }

  /** What was read from the disk, all in all. */
  get loadedBytes(): number {
    return this.#loadedBytes;
  }

  /** What of it is in memory. */
  get keptBytes(): number {
    return this.#partsBytes;
  }

  /** The batch at this offset; undefined where it is not what was written. */
  read(segment: number, offset: number): LoadedBatch | undefined {
    for (let i = this.#parts.length - 1; i >= 0; i--) {
      const part = this.#parts[i]!;
      const at = offset - part.base;
      if (part.segment !== segment || at < 0 || at >= part.bytes.length) continue;
      const found = part.batches.get(offset) ?? this.#find(part, offset);
      if (found !== undefined) return found;
    }
    const part = this.#load(segment, offset);
    this.#keep(part);
    return this.#find(part, offset);
  }

  /** The same for once: it takes nothing from what is kept. */
  readOnce(segment: number, offset: number): LoadedBatch | undefined {
    return this.#find(this.#load(segment, offset), offset);
  }

  #keep(part: Part): void {
    this.#parts.push(part);
    this.#partsBytes += part.bytes.length;
    while (this.#partsBytes > PARTS_SIZE_BYTES_MAX && this.#parts.length > 1) {
      this.#partsBytes -= this.#parts.shift()!.bytes.length;
    }
  }

  #find({ segment, base, bytes, batches }: Part, offset: number): LoadedBatch | undefined {
    const place = { storeTag: this.#storeTag, number: segment, base };
    const batch = readBatch(bytes, place, offset - base);
    if (batch?.payloadIntact !== true) return undefined;
    const loaded = new LoadedBatch(bytes, batch);
    batches.set(offset, loaded);
    return loaded;
  }

  /** Reads a batch, and what follows it as far as a part goes. */
  #load(segment: number, base: number): Part {
    const path = `${this.#directory}/${segmentName(segment)}`;
    const file = this.#disk.open(path, { readOnly: true });
    try {
      const rest = file.sizeBytes() - base;
      let bytes = new Uint8Array(0);
      for (let sizeBytes = Math.min(PART_SIZE_BYTES, rest); sizeBytes > bytes.length;) {
        bytes = new Uint8Array(sizeBytes);
        bytes = bytes.subarray(0, file.readSync(bytes, 0, sizeBytes, base));
        this.#loadedBytes += bytes.length;
        const length = traceLength(bytes, { storeTag: this.#storeTag, number: segment }, 0);
        sizeBytes = Math.min(length, rest);
      }
      return { segment, base, bytes, batches: new Map() };
    } finally {
      file.close();
    }
  }
}
