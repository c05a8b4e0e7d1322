/**
 * Finds the watchers that a key concerns: by hash for watches of single keys, by an interval tree
 * for ranges. Watchers of the same key or range share a group, so what it costs depends on how
 * many different ranges hold the key, not on how many watch.
 *
 * The interval tree is a sorted array with the greatest end of each subtree beside it, rebuilt when
 * enough groups came or went; groups that came since are looked through one by one.
 */
import { compareBytes, compareSlices, equalBytes } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import type { Watcher } from "./watcher.js";

const FRESH_MAX = 64;

interface Group {
  readonly start: Uint8Array;
  readonly end: Uint8Array | undefined;
  readonly watchers: Set<Watcher>;
}

export class WatchIndex {
  /** Groups by the hash of their start (and end). */
  readonly #keys = new Map<number, Group[]>();
  readonly #ranges = new Map<number, Group[]>();
  /** Range groups by start, with the greatest end within each subtree of the implied tree. */
  #sorted: Group[] = [];
  #greatestEnds: Uint8Array[] = [];
  /** Range groups that the sorted array does not have yet. */
  #fresh: Group[] = [];
  /** Groups of the sorted array whose last watcher left. */
  #emptyCount = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: Watcher): void {
    const { start, end } = watcher.spec;
    const groups = end === undefined ? this.#keys : this.#ranges;
    const hash = hashOf(start, end);
    let list = groups.get(hash);
    if (list === undefined) groups.set(hash, (list = []));
    let group = list.find((one) => isSame(one, start, end));
    if (group === undefined) {
      group = { start, end, watchers: new Set() };
      list.push(group);
      if (end !== undefined) this.#addFresh(group);
    }
    group.watchers.add(watcher);
    this.#size++;
  }

  remove(watcher: Watcher): void {
    const { start, end } = watcher.spec;
    const groups = end === undefined ? this.#keys : this.#ranges;
    const hash = hashOf(start, end);
    const list = groups.get(hash);
    const group = list?.find((one) => isSame(one, start, end));
    if (list === undefined || group === undefined || !group.watchers.delete(watcher)) return;
    this.#size--;
    if (group.watchers.size > 0) return;
    list.splice(list.indexOf(group), 1);
    if (list.length === 0) groups.delete(hash);
    if (end !== undefined) this.#removeRange(group);
  }

  /** Appends to `found` every watcher whose key or range holds the key. */
  match(bytes: Uint8Array, offset: number, length: number, found: Watcher[]): void {
    if (this.#keys.size > 0) this.#matchKeys(bytes, offset, length, found);
    for (const group of this.#fresh) {
      if (startsBy(group, bytes, offset, length) && endsAfter(group.end, bytes, offset, length)) {
        collect(group, found);
      }
    }
    if (this.#sorted.length > 0) {
      this.#matchRanges(0, this.#sorted.length, bytes, offset, length, found);
    }
  }

  #matchKeys(bytes: Uint8Array, offset: number, length: number, found: Watcher[]): void {
    const list = this.#keys.get(hash32(bytes, offset, length) | 0);
    if (list === undefined) return;
    for (const group of list) {
      const { start } = group;
      if (compareSlices(bytes, offset, length, start, 0, start.length) === 0) {
        collect(group, found);
      }
    }
  }

  /** The subtree over sorted[low, high), whose root is its middle. */
  #matchRanges(
    low: number,
    high: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    found: Watcher[],
  ): void {
    const middle = (low + high) >>> 1;
    if (!endsAfter(this.#greatestEnds[middle], bytes, offset, length)) return;
    if (low < middle) this.#matchRanges(low, middle, bytes, offset, length, found);
    const group = this.#sorted[middle]!;
    if (!startsBy(group, bytes, offset, length)) return;
    if (endsAfter(group.end, bytes, offset, length)) collect(group, found);
    if (middle + 1 < high) this.#matchRanges(middle + 1, high, bytes, offset, length, found);
  }

  #addFresh(group: Group): void {
    this.#fresh.push(group);
    if (this.#fresh.length > Math.max(FRESH_MAX, this.#sorted.length >>> 4)) this.#rebuild();
  }

  #removeRange(group: Group): void {
    const at = this.#fresh.indexOf(group);
    if (at >= 0) {
      this.#fresh.splice(at, 1);
      return;
    }
    this.#emptyCount++;
    if (this.#emptyCount * 2 > this.#sorted.length) this.#rebuild();
  }

  #rebuild(): void {
    const groups = this.#sorted.filter((group) => group.watchers.size > 0);
    groups.push(...this.#fresh);
    groups.sort((a, b) => compareBytes(a.start, b.start));
    this.#sorted = groups;
    this.#fresh = [];
    this.#emptyCount = 0;
    this.#greatestEnds = groups.map((group) => group.start);
    if (groups.length > 0) this.#fillEnds(0, groups.length);
  }

  #fillEnds(low: number, high: number): Uint8Array {
    const middle = (low + high) >>> 1;
    let greatest = this.#sorted[middle]!.end!;
    if (low < middle) greatest = later(greatest, this.#fillEnds(low, middle));
    if (middle + 1 < high) greatest = later(greatest, this.#fillEnds(middle + 1, high));
    this.#greatestEnds[middle] = greatest;
    return greatest;
  }
}

function collect(group: Group, found: Watcher[]): void {
  for (const watcher of group.watchers) found.push(watcher);
}

function startsBy(group: Group, bytes: Uint8Array, offset: number, length: number): boolean {
  return compareSlices(group.start, 0, group.start.length, bytes, offset, length) <= 0;
}

function endsAfter(
  end: Uint8Array | undefined,
  bytes: Uint8Array,
  offset: number,
  length: number,
): boolean {
  return end !== undefined && compareSlices(end, 0, end.length, bytes, offset, length) > 0;
}

function isSame(group: Group, start: Uint8Array, end: Uint8Array | undefined): boolean {
  if (!equalBytes(group.start, start)) return false;
  return end === undefined ? group.end === undefined : equalBytes(group.end ?? start, end);
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) >= 0 ? a : b;
}

function hashOf(start: Uint8Array, end: Uint8Array | undefined): number {
  const hash = hash32(start) | 0;
  return end === undefined ? hash : Math.imul(hash, 31) ^ hash32(end);
}
