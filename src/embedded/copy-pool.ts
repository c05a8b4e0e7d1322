/**
 * Copies of small byte strings, cut one after another out of a common buffer: memory of its own
 * for each would cost several times as much, to make and to collect (bench: storage, get). A copy
 * that is kept keeps its buffer, so the buffers are small and long copies have their own.
 */
const BUFFER_SIZE_BYTES = 8 * 1024;
/** Up to here the engine keeps an array on its own heap. */
const OWN_SIZE_BYTES_MAX = 64;
const POOLED_SIZE_BYTES_MAX = 1024;

export class CopyPool {
  #bytes: Uint8Array = new Uint8Array(BUFFER_SIZE_BYTES);
  #used = 0;

  copy(source: Uint8Array, offset: number, length: number): Uint8Array {
    if (length <= OWN_SIZE_BYTES_MAX || length > POOLED_SIZE_BYTES_MAX) {
      return source.slice(offset, offset + length);
    }
    if (this.#used + length > BUFFER_SIZE_BYTES) {
      this.#bytes = new Uint8Array(BUFFER_SIZE_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    const copy = this.#bytes.subarray(at, at + length);
    copy.set(source.subarray(offset, offset + length));
    return copy;
  }
}
