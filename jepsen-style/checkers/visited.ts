/**
 * The configurations that a search has been in: the set of operations that took their place, the
 * state they led to, and how many of each class of those that may never have happened were used. A
 * configuration needs no second visit if an equal one was visited that had used no more of them
 * and had as many to spare. Looked up by hash, with full equality inside the bucket. Sets are kept
 * as the words between the first operation that is missing and the last that can be in.
 */

export interface Configuration {
  readonly state: number;
  readonly used: Uint16Array;
  /** How many more of those that may never have happened the search may use from here. */
  readonly spare: number;
  /** All operations below are in the set. */
  readonly low: number;
  /** None from here on is. */
  readonly high: number;
  /** Writes called before this event can be hidden under one that took its place. */
  readonly horizon: number;
}

interface Entry extends Configuration {
  readonly words: Uint32Array;
  readonly next: Entry | undefined;
}

export class Visited {
  private readonly buckets = new Map<number, Entry>();
  private readonly bits: Uint32Array;
  private readonly marks: Int32Array;
  private hash = 0;

  constructor(operations: number) {
    this.bits = new Uint32Array((operations >>> 5) + 1);
    this.marks = Int32Array.from({ length: operations }, (_, operation) => mix(operation + 1));
  }

  /** Puts the operation into the set, or takes it out. */
  toggle(operation: number): void {
    this.bits[operation >>> 5]! ^= 1 << (operation & 31);
    this.hash ^= this.marks[operation]!;
  }

  /** Notes the configuration; false if there is nothing new in it. */
  add(configuration: Configuration): boolean {
    const { state, used, spare, low, high, horizon } = configuration;
    const hash = this.hash ^ mix(state);
    const first = low >>> 5;
    const length = (high >>> 5) + 1 - first;
    const head = this.buckets.get(hash);
    for (let entry = head; entry !== undefined; entry = entry.next) {
      if (entry.state !== state || entry.low !== low || entry.words.length !== length) continue;
      if (entry.spare < spare || entry.horizon < horizon || !this.equals(entry.words, first))
        continue;
      if (noMore(entry.used, used)) return false;
    }
    const words = this.bits.slice(first, first + length);
    this.buckets.set(hash, { state, used, spare, low, high, horizon, words, next: head });
    return true;
  }

  private equals(words: Uint32Array, first: number): boolean {
    for (let i = 0; i < words.length; i++) if (words[i] !== this.bits[first + i]) return false;
    return true;
  }
}

function noMore(a: Uint16Array, b: Uint16Array): boolean {
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (a[i]! > b[i]!) return false;
  return true;
}

function mix(value: number): number {
  let h = Math.imul(value, 0x9e37_79b1);
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}
