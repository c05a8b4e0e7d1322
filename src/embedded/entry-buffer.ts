/**
 * Gathers log entries into runs (base/entry-run.ts) in large buffers that are cut into slices, so
 * that a write makes no array of its own. The log reads a run after it was taken; a buffer is
 * therefore never written twice, and dropped when it is full.
 */
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import { writeU32 } from "../base/coding.js";

const BUFFER_SIZE_BYTES = 256 * 1024;

export class EntryBuffer {
  bytes: Uint8Array = new Uint8Array(BUFFER_SIZE_BYTES);
  #start = 0;
  #end = 0;
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Bytes of the run that is gathered. */
  get runLength(): number {
    return this.#end - this.#start;
  }

  /** Whether an entry with so much payload can join the present run. */
  hasRoom(payloadLength: number): boolean {
    return this.#end + ENTRY_HEADER_SIZE_BYTES + payloadLength <= this.bytes.length;
  }

  /** Goes on in a new buffer with room for such an entry; what was gathered has been taken. */
  renew(payloadLength: number): void {
    const needed = ENTRY_HEADER_SIZE_BYTES + payloadLength;
    this.bytes = new Uint8Array(Math.max(BUFFER_SIZE_BYTES, needed));
    this.#start = 0;
    this.#end = 0;
  }

  /** Where the payload of the next entry goes. */
  get payloadStart(): number {
    return this.#end + ENTRY_HEADER_SIZE_BYTES;
  }

  /** The payload at payloadStart is complete and ends here: it is an entry now. */
  endEntry(payloadEnd: number): void {
    writeU32(this.bytes, this.#end, payloadEnd - this.payloadStart);
    this.#end = payloadEnd;
    this.#count++;
  }

  /** The gathered entries as a run whose last entry has this index. */
  take(term: number, lastIndex: number): EntryRun {
    const count = this.#count;
    const bytes = this.bytes.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#count = 0;
    return { kind: "command", term, firstIndex: lastIndex - count + 1, count, bytes };
  }
}
