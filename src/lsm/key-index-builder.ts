/** Gathers where the key blocks of a section are, and writes that as an index (key-index.ts). */
import { EMPTY_BYTES } from "../base/bytes.js";
import { BlockBuilder } from "./block-builder.js";
import { writeHandle } from "./sstable-format.js";
import type { BlockHandle, IndexInfo } from "./sstable-format.js";

/** However long the keys are, the top has few of them. */
const ROWS_MIN = 16;

/** A block of the index, laid out, with the first (key, version) in it. */
interface LaidOut {
  readonly bytes: Uint8Array;
  readonly firstKey: Uint8Array;
  readonly firstVersion: number;
  readonly firstOrdinal: number;
}

export class KeyIndexBuilder {
  readonly #sizeBytesAimed: number;
  /** What is not laid out yet. */
  readonly #block: BlockBuilder = new BlockBuilder();
  readonly #laidOut: LaidOut[] = [];
  #firstKey: Uint8Array = EMPTY_BYTES;
  #firstVersion = 0;
  #count = 0;

  /** `sizeBytesAimed`: of a block of the index. */
  constructor(sizeBytesAimed: number) {
    this.#sizeBytesAimed = sizeBytesAimed;
  }

  reset(): void {
    this.#block.reset();
    this.#laidOut.length = 0;
    this.#count = 0;
  }

  /** The next key block: where it is, its first (key, version), and its versions. */
  add(
    handle: BlockHandle,
    firstKey: Uint8Array,
    firstVersion: number,
    minVersion: number,
    maxVersion: number,
  ): void {
    const block = this.#block;
    if (block.rowCount >= ROWS_MIN && block.sizeBytes >= this.#sizeBytesAimed) this.#layOut();
    if (block.rowCount === 0) {
      this.#firstKey = firstKey;
      this.#firstVersion = firstVersion;
    }
    const value = block.add(firstKey, 0, firstKey.length, firstVersion, false, false);
    writeHandle(value, handle);
    value.u53(minVersion);
    value.u53(maxVersion);
    this.#count++;
  }

  /** Writes the index; one level where it is one block. */
  finish(write: (block: Uint8Array) => BlockHandle): IndexInfo {
    const isDeep = this.#laidOut.length > 0;
    const { offset, sizeBytes } = isDeep
      ? this.#finishDeep(write)
      : write(this.#block.finishView());
    return { offset, sizeBytes, isDeep, blockCount: this.#count };
  }

  #finishDeep(write: (block: Uint8Array) => BlockHandle): BlockHandle {
    this.#layOut();
    const top = new BlockBuilder();
    for (const { bytes, firstKey, firstVersion, firstOrdinal } of this.#laidOut) {
      const handle = write(bytes);
      const value = top.add(firstKey, 0, firstKey.length, firstVersion, false, false);
      writeHandle(value, handle);
      value.u32(firstOrdinal);
    }
    return write(top.finishView());
  }

  #layOut(): void {
    const block = this.#block;
    this.#laidOut.push({
      bytes: block.finishView().slice(),
      firstKey: this.#firstKey,
      firstVersion: this.#firstVersion,
      firstOrdinal: this.#count - block.rowCount,
    });
    block.reset();
  }
}
