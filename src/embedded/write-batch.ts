/** Operations that take effect together or not at all, encoded as they come. */
import type { BytesLike } from "./embedded-types.js";
import { bytesOf, requireKey } from "./embedded-types.js";
import { OPERATION_OVERHEAD_BYTES, writeDelete, writePut } from "./batch-format.js";

const SIZE_BYTES_MIN = 4096;

export class WriteBatch {
  #bytes: Uint8Array = new Uint8Array(SIZE_BYTES_MIN);
  #length = 0;

  /** The encoded operations are bytes[0, length). */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  put(key: BytesLike, value: BytesLike): this {
    const keyBytes = requireKey(key);
    const valueBytes = bytesOf(value);
    this.#reserve(keyBytes.length + valueBytes.length);
    this.#length = writePut(this.#bytes, this.#length, keyBytes, valueBytes);
    return this;
  }

  delete(key: BytesLike): this {
    const keyBytes = requireKey(key);
    this.#reserve(keyBytes.length);
    this.#length = writeDelete(this.#bytes, this.#length, keyBytes);
    return this;
  }

  /** Forgets the operations and keeps the memory: one batch object serves many writes. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(contentLength: number): void {
    const needed = this.#length + contentLength + OPERATION_OVERHEAD_BYTES;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
