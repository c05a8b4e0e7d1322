/**
 * Reads segments for a start, one after the other into the same memory: fresh memory costs more
 * than the copying. It is shared memory: what the garbage collector counts lets it go through all
 * there is (bench: storage, reopen). Of a segment whose end nobody states only the part is kept in
 * which there are traces of batches; the rest, often most of it, goes through a small buffer and is
 * only looked at. It judges nothing: what a trace belongs to is for segment-reader.ts.
 */
import type { Disk } from "../env/disk.js";
import { BLOCK_SIZE_BYTES, traceLength } from "./batch-format.js";
import type { SegmentPlace } from "./batch-format.js";
import type { SealedSegment } from "./segment-files.js";
import { SEGMENT_START } from "./segment-format.js";

const CHUNK_SIZE_BYTES = 256 * 1024;

export class SegmentLoader {
  readonly #disk: Disk;
  #bytes: Uint8Array = new Uint8Array(0);
  #chunk: Uint8Array = new Uint8Array(0);
  /** The segment that lies in #bytes, and how much of it. */
  #loaded: { readonly path: string; readonly end: number; readonly count: number } | undefined;
  #traced: { readonly path: string; readonly end: number } | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * The whole blocks of a segment below `end`, as many as there are. They may be changed, and hold
   * until another segment, or more of this one, is loaded.
   */
  load({ path, sizeBytes }: SealedSegment, end: number): Uint8Array {
    const loaded = this.#loaded;
    if (loaded?.path === path && loaded.end >= end) {
      return this.#bytes.subarray(0, Math.min(end, loaded.count));
    }
    this.#loaded = undefined;
    if (this.#bytes.length < end) {
      this.#bytes = new Uint8Array(new SharedArrayBuffer(Math.max(end, sizeBytes)));
    }
    const file = this.#disk.open(path, { readOnly: true });
    try {
      const read = file.readSync(this.#bytes, 0, end, 0);
      const count = read - (read % BLOCK_SIZE_BYTES);
      this.#loaded = { path, end, count };
      return this.#bytes.subarray(0, count);
    } finally {
      file.close();
    }
  }

  /** Where in a segment the last trace of a batch of its own ends; SEGMENT_START without any. */
  traceEnd(segment: SealedSegment, place: SegmentPlace): number {
    const { path } = segment;
    if (this.#traced?.path !== path) this.#traced = { path, end: this.#trace(segment, place) };
    return this.#traced.end;
  }

  #trace({ path, sizeBytes }: SealedSegment, place: SegmentPlace): number {
    if (this.#chunk.length === 0) this.#chunk = new Uint8Array(CHUNK_SIZE_BYTES);
    const file = this.#disk.open(path, { readOnly: true });
    let end = SEGMENT_START;
    try {
      for (let at = SEGMENT_START; at < sizeBytes; at += CHUNK_SIZE_BYTES) {
        const length = Math.min(CHUNK_SIZE_BYTES, sizeBytes - at);
        const count = file.readSync(this.#chunk, 0, length, at);
        const traced = this.#traceEndInChunk(count, place);
        if (traced > 0) end = Math.max(end, at + traced);
      }
    } finally {
      file.close();
    }
    return Math.min(end, sizeBytes - (sizeBytes % BLOCK_SIZE_BYTES));
  }

  #traceEndInChunk(count: number, place: SegmentPlace): number {
    let end = 0;
    for (let at = 0; at + BLOCK_SIZE_BYTES <= count; at += BLOCK_SIZE_BYTES) {
      const length = traceLength(this.#chunk, place, at);
      if (length > 0) end = Math.max(end, at + length);
    }
    return end;
  }
}
