/**
 * The log of one replica in memory, as entry runs, and the marks that move along it:
 *
 *   base ≤ applied ≤ committed ≤ last,  durable ≤ last
 *
 * Entries at or below the base have been compacted away; the base keeps its term. Of the oldest
 * that are applied and durable only the terms may be left in memory: they are on the disk. Entries
 * are handed out twice, to be persisted and to be applied, and the log remembers how far each went.
 * It also remembers what was lost of it: a floor where its end was, and whether the state is gone.
 * It decides nothing: who may append, truncate or commit is the business of its callers.
 */
import { assert, must } from "../base/assert.js";
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryRun,
  entryOffset,
  lastIndexOf,
  sliceRun,
} from "../base/entry-run.js";
import { readU32 } from "../base/coding.js";
import { TermSpans } from "./term-spans.js";
import type { LogPoint } from "./types.js";

const NO_RUNS: readonly EntryRun[] = [];

export class RaftLog {
  #runs: EntryRun[] = [];
  /** Of the entries before the first run. */
  readonly #evicted: TermSpans = new TermSpans();
  #cachedBytes = 0;
  #baseIndex: number;
  #baseTerm: number;
  #lastIndex: number;
  #lastTerm: number;
  #commitIndex: number;
  #appliedIndex: number;
  #durableIndex: number;
  /** Handed out to be persisted, up to here. */
  #handedIndex: number;
  /** Handed out to be applied, up to here. */
  #applyingIndex: number;
  /** How far the log went before its end was lost, until it goes as far again. */
  #floor: LogPoint | undefined = undefined;
  #stateLost = false;
  /** A state is being installed: nothing is applied before it is there. */
  #isRestoring = false;

  constructor(baseIndex: number, baseTerm: number) {
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
    this.#lastIndex = baseIndex;
    this.#lastTerm = baseTerm;
    this.#commitIndex = baseIndex;
    this.#appliedIndex = baseIndex;
    this.#durableIndex = baseIndex;
    this.#handedIndex = baseIndex;
    this.#applyingIndex = baseIndex;
  }

  get baseIndex(): number {
    return this.#baseIndex;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#lastTerm;
  }

  get commitIndex(): number {
    return this.#commitIndex;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  get applyingIndex(): number {
    return this.#applyingIndex;
  }

  /** Bytes of the entries in memory. */
  get cachedBytes(): number {
    return this.#cachedBytes;
  }

  /** The first entry of those in memory; behind the last where none is. */
  get firstCachedIndex(): number {
    return Math.max(this.#baseIndex, this.#evicted.lastIndex) + 1;
  }

  /** Entries that it once had are missing at its end: what it once said still binds it. */
  get isShort(): boolean {
    return this.#floor !== undefined;
  }

  /** What was applied is lost; nothing more is applied until a snapshot has come. */
  get isStateLost(): boolean {
    return this.#stateLost;
  }

  /** A snapshot was accepted and is not yet installed. */
  get isRestoring(): boolean {
    return this.#isRestoring;
  }

  get hasUnhanded(): boolean {
    return this.#handedIndex < this.#lastIndex;
  }

  get hasCommittedToApply(): boolean {
    return this.#applyingIndex < this.#applicableIndex;
  }

  /** What was read back at the start: all of it is durable, and applied up to `appliedIndex`. */
  restored(commitIndex: number, appliedIndex: number): void {
    assert(
      appliedIndex >= this.#baseIndex && commitIndex >= appliedIndex,
      "a replica that applied less than its log has dropped, or more than was committed",
    );
    assert(commitIndex <= this.#lastIndex, "a replica that lost committed entries");
    this.#commitIndex = commitIndex;
    this.#appliedIndex = appliedIndex;
    this.#applyingIndex = appliedIndex;
    this.#durableIndex = this.#lastIndex;
    this.#handedIndex = this.#lastIndex;
  }

  loseEnd(floor: LogPoint): void {
    this.#floor = floor;
    this.#dropReachedFloor();
  }

  loseState(): void {
    this.#stateLost = true;
  }

  /** What was applied was not lost after all. */
  regainState(): void {
    assert(this.#stateLost && !this.#isRestoring, "a state that is not lost, or on its way");
    this.#stateLost = false;
  }

  /** A snapshot brings back the state as of `index`; the entries after it are applied again. */
  restoreState(index: number): void {
    assert(this.#stateLost && index >= this.#appliedIndex, "a state that would go back");
    this.#stateLost = false;
    this.#commitIndex = Math.max(this.#commitIndex, index);
    this.#applyingIndex = index;
    this.#isRestoring = true;
  }

  /** The term of the entry at `index`; undefined where the log does not know it. */
  termAt(index: number): number | undefined {
    if (index === this.#lastIndex) return this.#lastTerm;
    if (index === this.#baseIndex) return this.#baseTerm;
    if (index < this.#baseIndex || index > this.#lastIndex) return undefined;
    if (index < this.firstCachedIndex) return this.#evicted.termAt(index);
    return this.#runs[this.#position(index)]!.term;
  }

  /** Whether another log goes at least as far as this one ever did. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const own = this.#floor ?? { index: this.#lastIndex, term: this.#lastTerm };
    return goesAsFar({ index: lastIndex, term: lastTerm }, own);
  }

  append(run: EntryRun): void {
    assert(run.firstIndex === this.#lastIndex + 1 && run.count > 0, "an append with a gap");
    assert(run.term >= this.#lastTerm, "terms in a log never fall");
    this.#runs.push(run);
    this.#cachedBytes += run.bytes.length;
    this.#lastIndex = lastIndexOf(run);
    this.#lastTerm = run.term;
    this.#dropReachedFloor();
  }

  truncateAfter(index: number): void {
    assert(index >= this.#commitIndex, "a committed entry would be truncated");
    assert(index < this.#lastIndex, "nothing to truncate");
    const term = must(this.termAt(index), "term before the truncated tail");
    while (this.#runs.length > 0 && this.#runs.at(-1)!.firstIndex > index) {
      this.#cachedBytes -= this.#runs.pop()!.bytes.length;
    }
    const tail = this.#runs.at(-1);
    if (tail !== undefined && lastIndexOf(tail) > index) {
      const kept = sliceRun(tail, tail.firstIndex, index);
      this.#runs[this.#runs.length - 1] = kept;
      this.#cachedBytes -= tail.bytes.length - kept.bytes.length;
    }
    this.#lastIndex = index;
    this.#lastTerm = term;
    this.#handedIndex = Math.min(this.#handedIndex, index);
    this.#durableIndex = Math.min(this.#durableIndex, index);
  }

  /** The first index of `run` at which this log has another term, or no entry at all. */
  firstDifference(run: EntryRun): number {
    const end = Math.min(lastIndexOf(run), this.#lastIndex);
    let index = Math.max(run.firstIndex, this.#baseIndex + 1);
    for (; index < this.firstCachedIndex && index <= end; index++) {
      if (this.#evicted.termAt(index) !== run.term) return index;
    }
    while (index <= end) {
      const own = this.#runs[this.#position(index)]!;
      if (own.term !== run.term) return index;
      index = lastIndexOf(own) + 1;
    }
    return Math.max(end + 1, run.firstIndex);
  }

  /**
   * The highest index at or below `index` whose term is at most `term`: the highest at which this
   * log may agree with one that has `term` at `index`. Below the base it is the caller's guess.
   */
  highestPossibleMatch(index: number, term: number): number {
    const from = Math.min(index, this.#lastIndex);
    if (from <= this.#baseIndex) return from;
    if (from >= this.firstCachedIndex) {
      for (let i = this.#position(from); i >= 0; i--) {
        const run = this.#runs[i]!;
        if (run.term <= term) return Math.min(from, lastIndexOf(run));
      }
    }
    return Math.max(this.#baseIndex, this.#evicted.highestWithin(from, term));
  }

  /** Entries in memory from `from` on, at least one and otherwise no more than `bytesMax`. */
  from(from: number, bytesMax: number): readonly EntryRun[] {
    if (from > this.#lastIndex) return NO_RUNS;
    const found: EntryRun[] = [];
    let bytes = 0;
    for (let i = this.#position(from); i < this.#runs.length && bytes <= bytesMax; i++) {
      const whole = this.#runs[i]!;
      const run = from > whole.firstIndex ? sliceRun(whole, from, lastIndexOf(whole)) : whole;
      found.push(run);
      bytes += run.bytes.length;
    }
    return upToBytes(found, bytesMax);
  }

  takeUnhanded(): readonly EntryRun[] {
    const runs = this.#between(this.#handedIndex + 1, this.#lastIndex);
    this.#handedIndex = this.#lastIndex;
    return runs;
  }

  /**
   * Committed entries that are durable here and were not handed out to be applied: at least one,
   * and otherwise no more than `bytesMax`.
   */
  takeCommitted(bytesMax: number): readonly EntryRun[] {
    const runs = upToBytes(this.#between(this.#applyingIndex + 1, this.#applicableIndex), bytesMax);
    const last = runs.at(-1);
    if (last !== undefined) this.#applyingIndex = lastIndexOf(last);
    return runs;
  }

  commitTo(index: number): void {
    assert(index >= this.#commitIndex && index <= this.#lastIndex, "a commit beyond the log");
    this.#commitIndex = index;
  }

  /**
   * The disk holds entry (index, term) and all before it. Counts only if that entry is still the
   * one at `index`: meanwhile another leader may have replaced it.
   */
  durableTo(index: number, term: number): void {
    if (index <= this.#durableIndex || this.termAt(index) !== term) return;
    this.#durableIndex = index;
  }

  applied(index: number): void {
    assert(index <= this.#applyingIndex, "applied what was never handed out");
    if (index === this.#applyingIndex) this.#isRestoring = false;
    if (index > this.#appliedIndex) this.#appliedIndex = index;
  }

  compactTo(index: number): void {
    if (index <= this.#baseIndex) return;
    assert(index <= this.#appliedIndex, "entries that are not applied would be dropped");
    this.#baseTerm = must(this.termAt(index), "term at the new base");
    this.#baseIndex = index;
    this.#evicted.dropTo(index);
    if (index + 1 <= this.#evicted.lastIndex) return;
    this.#drop(index === this.#lastIndex ? this.#runs.length : this.#position(index + 1));
  }

  /**
   * Lets go of the oldest entries in memory, about so many bytes of them, and at most up to
   * `lastIndex`; their terms stay. What is not applied, or not on the disk, is needed here.
   */
  evict(sizeBytes: number, lastIndex: number = this.#lastIndex): void {
    const last = Math.min(this.#appliedIndex, this.#durableIndex, lastIndex);
    let count = 0;
    for (let left = sizeBytes; left > 0 && count < this.#runs.length; count++) {
      const run = this.#runs[count]!;
      if (lastIndexOf(run) > last) break;
      this.#evicted.add(lastIndexOf(run), run.term);
      left -= run.bytes.length;
    }
    this.#drop(count);
  }

  /** A snapshot takes the place of the whole log. */
  reset(index: number, term: number): void {
    assert(index > this.#commitIndex, "a snapshot older than what is committed");
    this.#durableIndex = Math.min(this.#durableIndex, this.#commitIndex);
    this.#runs = [];
    this.#cachedBytes = 0;
    this.#evicted.clear();
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#lastIndex = index;
    this.#lastTerm = term;
    this.#commitIndex = index;
    this.#handedIndex = index;
    this.#applyingIndex = index;
    this.#stateLost = false;
    this.#isRestoring = false;
    this.#dropReachedFloor();
  }

  /** The bytes of the entries in (after, upTo]. */
  bytesBetween(after: number, upTo: number): number {
    if (upTo <= after) return 0;
    let bytes = 0;
    for (let i = this.#position(after + 1); i < this.#runs.length; i++) {
      const run = this.#runs[i]!;
      if (run.firstIndex > upTo) break;
      const start = run.firstIndex > after ? 0 : entryOffset(run, after + 1);
      const end = lastIndexOf(run) <= upTo ? run.bytes.length : entryOffset(run, upTo + 1);
      bytes += end - start;
    }
    return bytes;
  }

  describe(): string {
    return (
      `base=${this.#baseIndex} applied=${this.#appliedIndex} commit=${this.#commitIndex}` +
      ` durable=${this.#durableIndex} last=${this.#lastIndex}@${this.#lastTerm}` +
      (this.#floor === undefined ? "" : ` was=${this.#floor.index}@${this.#floor.term}`) +
      (this.#stateLost ? " stateLost" : "")
    );
  }

  /** What is not durable here is not applied here: a crash would lose the log behind the state. */
  get #applicableIndex(): number {
    if (this.#stateLost || this.#isRestoring) return this.#applyingIndex;
    return Math.min(this.#commitIndex, this.#durableIndex);
  }

  /** Drops the first `count` runs. */
  #drop(count: number): void {
    for (let i = 0; i < count; i++) this.#cachedBytes -= this.#runs[i]!.bytes.length;
    if (count > 0) this.#runs.splice(0, count);
  }

  #dropReachedFloor(): void {
    if (this.#floor === undefined) return;
    if (goesAsFar({ index: this.#lastIndex, term: this.#lastTerm }, this.#floor)) {
      this.#floor = undefined;
    }
  }

  #between(from: number, to: number): readonly EntryRun[] {
    if (from > to) return NO_RUNS;
    const found: EntryRun[] = [];
    for (let i = this.#position(from); i < this.#runs.length; i++) {
      const run = this.#runs[i]!;
      if (run.firstIndex > to) break;
      found.push(sliceRun(run, Math.max(from, run.firstIndex), Math.min(to, lastIndexOf(run))));
    }
    return found;
  }

  /** Where in #runs the run with `index` is; looks at the end first, where most questions are. */
  #position(index: number): number {
    let low = 0;
    let high = this.#runs.length - 1;
    if (high >= 0 && this.#runs[high]!.firstIndex <= index) low = high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#runs[middle]!.firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    const run = must(this.#runs[low], "run of an index");
    assert(index >= run.firstIndex && index <= lastIndexOf(run), "an index outside the log");
    return low;
  }
}

/** The beginning of `runs` that fits into `bytesMax`, at least one entry. */
export function upToBytes(runs: readonly EntryRun[], bytesMax: number): readonly EntryRun[] {
  let bytes = 0;
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i]!;
    bytes += run.bytes.length;
    if (bytes <= bytesMax) continue;
    const fitting = countThatFits(run, bytesMax - (bytes - run.bytes.length), i === 0);
    const whole = runs.slice(0, i);
    return fitting === 0
      ? whole
      : [...whole, sliceRun(run, run.firstIndex, run.firstIndex + fitting - 1)];
  }
  return runs;
}

function goesAsFar(one: LogPoint, other: LogPoint): boolean {
  return one.term === other.term ? one.index >= other.index : one.term > other.term;
}

/** How many entries of `run` fit into `room` bytes; the first one always does if it must. */
function countThatFits(run: EntryRun, room: number, atLeastOne: boolean): number {
  let count = 0;
  let at = 0;
  while (count < run.count) {
    const next = at + ENTRY_HEADER_SIZE_BYTES + readU32(run.bytes, at);
    if (next > room && !(atLeastOne && count === 0)) break;
    at = next;
    count++;
  }
  return count;
}
