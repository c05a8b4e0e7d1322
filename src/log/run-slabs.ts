/**
 * The bytes of the entries that a start finds, copied next to each other into slabs, so that what
 * was logged in many small runs becomes a few large ones without being copied again. A slab stays
 * as long as any run in it: a run that is small beside its slab is copied out in the end.
 */
import { concatBytes } from "../base/bytes.js";
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf } from "../base/entry-run.js";

const SLAB_SIZE_BYTES_MIN = 16 * 1024;
/** Neither slabs nor runs that were joined are larger. */
const SLAB_SIZE_BYTES_MAX = 1024 * 1024;

/** Where bytes were put. */
export interface SlabPlace {
  readonly slab: Uint8Array;
  readonly position: number;
}

export class RunSlabs {
  #slab: Uint8Array = new Uint8Array(0);
  #used = 0;
  #nextSizeBytes = SLAB_SIZE_BYTES_MIN;

  /** Copies bytes[from, to), right behind what was copied before where there is room. */
  add(bytes: Uint8Array, from: number, to: number): SlabPlace {
    const length = to - from;
    if (length > this.#slab.length - this.#used) this.#begin(length);
    const position = this.#used;
    this.#slab.set(bytes.subarray(from, to), position);
    this.#used += length;
    return { slab: this.#slab, position };
  }

  #begin(length: number): void {
    this.#slab = new Uint8Array(Math.max(length, this.#nextSizeBytes));
    this.#used = 0;
    this.#nextSizeBytes = Math.min(SLAB_SIZE_BYTES_MAX, 2 * this.#nextSizeBytes);
  }
}

/** Joins neighbours of one term to runs of moderate size: far fewer objects than were logged. */
export function joinRuns(runs: readonly EntryRun[]): EntryRun[] {
  const joined: EntryRun[] = [];
  for (let start = 0; start < runs.length;) {
    const end = neighboursEnd(runs, start);
    const { kind, term, firstIndex } = runs[start]!;
    const count = lastIndexOf(runs[end - 1]!) - firstIndex + 1;
    const bytes = joinBytes(runs.slice(start, end).map((run) => run.bytes));
    joined.push({ kind, term, firstIndex, count, bytes });
    start = end;
  }
  return joined;
}

/** The first run that does not go into one with the run at `start`. */
function neighboursEnd(runs: readonly EntryRun[], start: number): number {
  const { kind, term, bytes } = runs[start]!;
  if (kind !== "command") return start + 1;
  let length = bytes.length;
  let end = start + 1;
  for (; end < runs.length; end++) {
    const next = runs[end]!;
    if (next.kind !== kind || next.term !== term) break;
    if (next.firstIndex !== lastIndexOf(runs[end - 1]!) + 1) break;
    length += next.bytes.length;
    if (length > SLAB_SIZE_BYTES_MAX) break;
  }
  return end;
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  const isLarge = only !== undefined && only.length >= only.buffer.byteLength / 2;
  return parts.length === 1 && isLarge ? only : concatBytes(...parts);
}
