/**
 * Gathers log entries into runs (base/entry-run.ts) in large buffers that are cut into slices, so
 * that a write makes no array of its own. The log reads a run until it is durable; a buffer is used
 * again when all of its runs are, and never before.
 */
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import { writeU32 } from "../base/coding.js";

const BUFFER_SIZE_BYTES = 256 * 1024;
/** As many as the log may hold before writes have to wait: 8 MiB. */
const SPARE_BUFFERS_MAX = 32;

/** One buffer, and how many of its runs the log still reads. */
interface Slab {
  readonly bytes: Uint8Array;
  runsHeld: number;
}

/** A run, and the memory that it lies in. */
export interface HeldRun {
  readonly run: EntryRun;
  readonly slab: Slab;
}

export class EntryBuffer {
  bytes: Uint8Array;
  #slab: Slab;
  readonly #spare: Slab[] = [];
  #start = 0;
  #end = 0;
  #count = 0;

  constructor() {
    this.#slab = newSlab(BUFFER_SIZE_BYTES);
    this.bytes = this.#slab.bytes;
  }

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
    const left = this.#slab;
    const fitting = needed <= BUFFER_SIZE_BYTES ? this.#spare.pop() : undefined;
    this.#slab = fitting ?? newSlab(Math.max(BUFFER_SIZE_BYTES, needed));
    this.bytes = this.#slab.bytes;
    if (left.runsHeld === 0) this.#keep(left);
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
  take(term: number, lastIndex: number): HeldRun {
    const count = this.#count;
    const bytes = this.bytes.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#count = 0;
    const slab = this.#slab;
    slab.runsHeld++;
    const run: EntryRun = {
      kind: "command",
      term,
      firstIndex: lastIndex - count + 1,
      count,
      bytes,
    };
    return { run, slab };
  }

  /** The log reads this run no more. */
  release({ slab }: HeldRun): void {
    slab.runsHeld--;
    if (slab.runsHeld === 0 && slab !== this.#slab) this.#keep(slab);
  }

  #keep(slab: Slab): void {
    const isUsual = slab.bytes.length === BUFFER_SIZE_BYTES;
    if (isUsual && this.#spare.length < SPARE_BUFFERS_MAX) this.#spare.push(slab);
  }
}

function newSlab(sizeBytes: number): Slab {
  return { bytes: new Uint8Array(sizeBytes), runsHeld: 0 };
}
