/**
 * One shard's tree: an active memtable, frozen ones that wait for their flush, and the version,
 * which is what lies on disk. Reading asks them in this order and stops as soon as nothing older
 * can hold a newer version; it never waits.
 *
 * The tree never writes to disk itself: whoever flushes or compacts it installs the outcome here
 * when the manifest has it.
 */
import { assert, must } from "../base/assert.js";
import { hash32 } from "../base/hash.js";
import type { KeyRange } from "../base/key-range.js";
import { intersectRanges, rangeContainsSlice } from "../base/key-range.js";
import type { SlabPool } from "./arena.js";
import { BackwardCursor } from "./backward-cursor.js";
import { cursorOf } from "./clipped-cursor.js";
import { sizeOf } from "./compaction-picker.js";
import type { Cursor, CursorMode, EntryView, FlushedState } from "./entry.js";
import type { RunCursor } from "./entry-slot.js";
import { EntrySlot } from "./entry-slot.js";
import type { FamilyId } from "./families.js";
import { LevelCursor } from "./level.js";
import { garbageBytes } from "./garbage.js";
import type { LevelRun } from "./level.js";
import { Memtable } from "./memtable.js";
import { MemtableCursor } from "./memtable-cursor.js";
import { MergingCursor } from "./merging-cursor.js";
import type { Slice } from "./slice.js";
import type { TableSet } from "./table-set.js";
import { Version } from "./version.js";

export interface TreeStats {
  readonly memtableBytes: number;
  readonly frozenCount: number;
  readonly sliceCount: number;
  /** Most runs that any family has: what a read may have to look at. */
  readonly runsMax: number;
  readonly sizeBytes: number;
  readonly entryCount: number;
}

/** What a tree is opened with. */
export interface TreeParts {
  readonly range: KeyRange;
  readonly flushed: FlushedState;
  readonly slices: readonly Slice[];
  readonly tables: TableSet;
  readonly pool: SlabPool;
}

interface PinnedRuns {
  readonly runs: readonly RunCursor[];
  readonly release: () => void;
}

export class Tree {
  readonly shardId: number;
  readonly #tables: TableSet;
  readonly #pool: SlabPool;
  #range: KeyRange;
  #flushed: FlushedState;
  #active: Memtable;
  /** Oldest first. */
  #frozen: Memtable[] = [];
  #version: Version;
  /** What get() shows; two, so that a candidate survives the look for a newer one. */
  #slot: EntrySlot = new EntrySlot();
  #spare: EntrySlot = new EntrySlot();

  constructor(shardId: number, parts: TreeParts) {
    this.shardId = shardId;
    this.#tables = parts.tables;
    this.#pool = parts.pool;
    this.#range = parts.range;
    this.#flushed = parts.flushed;
    this.#active = new Memtable(parts.pool);
    this.#version = new Version(parts.slices, parts.tables);
  }

  get range(): KeyRange {
    return this.#range;
  }

  /** The state that is durable in the manifest together with the slices. */
  get flushed(): FlushedState {
    return this.#flushed;
  }

  /** The slices as of now. Retain it to read from it later. */
  get version(): Version {
    return this.#version;
  }

  /**
   * Adds an entry whose value is value[offset, +length). An entry that is already in the memtable
   * is left alone, so that replay is idempotent.
   */
  insert(
    family: FamilyId,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
    tombstone: boolean,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): void {
    const tree = this.#active.familyForWrite(family);
    tree.insert(key, keyOffset, keyLength, version, tombstone, value, valueOffset, valueLength);
  }

  /**
   * The newest version of a key that is at most `maxVersion`; a tombstone is given as such. The
   * view holds until the next call on this tree. Throws CorruptionError on a damaged file.
   */
  get(
    family: FamilyId,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    maxVersion: number,
  ): EntryView | undefined {
    let found = this.#getFrom(this.#active, family, key, keyOffset, keyLength, maxVersion, -1);
    for (let i = this.#frozen.length - 1; i >= 0; i--) {
      const memtable = this.#frozen[i]!;
      found = this.#getFrom(memtable, family, key, keyOffset, keyLength, maxVersion, found);
    }
    const runs = this.#version.runs[family]!;
    if (runs.length > 0 && runs[0]!.slice.maxVersion > found) {
      found = this.#getFromVersion(family, key, keyOffset, keyLength, maxVersion, found);
    }
    return found < 0 ? undefined : this.#slot;
  }

  /** Entries of a family in a range; see Cursor. It must be closed, unless it throws. */
  cursor(family: FamilyId, range: KeyRange, maxVersion: number, mode: CursorMode): Cursor {
    const { runs, release } = this.#pinnedRuns(family, range, maxVersion);
    return new MergingCursor(runs, range, maxVersion, mode, release);
  }

  /** As cursor in the mode "newest", from the last key of the range to the first. */
  backwardCursor(family: FamilyId, range: KeyRange, maxVersion: number): Cursor {
    const { runs, release } = this.#pinnedRuns(family, range, maxVersion);
    return new BackwardCursor(runs, range, maxVersion, release);
  }

  /** Bytes of all memtables, the frozen ones included. */
  memtableBytes(): number {
    let bytes = this.#active.sizeBytes;
    for (const memtable of this.#frozen) bytes += memtable.sizeBytes;
    return bytes;
  }

  /** Entries that are in memory only: whatever is written, there are more of them. */
  memtableEntries(): number {
    let count = this.#active.entryCount;
    for (const memtable of this.#frozen) count += memtable.entryCount;
    return count;
  }

  /** Whether all that was inserted is in the version. */
  get isFlushed(): boolean {
    return this.#frozen.length === 0 && this.#active.entryCount === 0;
  }

  /** Bytes of what the next freeze would hand to a flush. */
  activeBytes(): number {
    return this.#active.sizeBytes;
  }

  /** Whether a freeze at `state` would make nothing durable that is not on its way already. */
  isFrozenAt(state: FlushedState): boolean {
    return this.#active.entryCount === 0 && this.#frozenState().index === state.index;
  }

  /** Between two entries of the log: what was inserted so far belongs to `state`. */
  freeze(state: FlushedState): void {
    assert(state.index >= this.#frozenState().index, "a tree is frozen at rising indexes");
    this.#active.state = state;
    this.#frozen.push(this.#active);
    this.#active = new Memtable(this.#pool);
  }

  /** The memtables that wait for their flush, oldest first. */
  get frozen(): readonly Memtable[] {
    return this.#frozen;
  }

  /** The oldest frozen memtable was flushed: the manifest has these slices and its state. */
  installFlush(added: readonly Slice[]): void {
    const memtable = must(this.#frozen.shift(), "frozen memtable");
    this.#flushed = must(memtable.state, "state of a frozen memtable");
    if (added.length > 0) this.#replaceVersion([...this.#version.slices, ...added]);
    memtable.release();
  }

  /** The manifest has `added` in place of `removed`, and all is as of `flushed`. */
  installCut(removed: readonly Slice[], added: readonly Slice[], flushed: FlushedState): void {
    assert(this.isFlushed, "only a tree that is flushed is cut");
    this.#flushed = flushed;
    this.installCompaction(removed, added);
  }

  /** The manifest has `added` in place of `removed`. */
  installCompaction(removed: readonly Slice[], added: readonly Slice[]): void {
    const gone = new Set(removed);
    const kept = this.#version.slices.filter((slice) => !gone.has(slice));
    assert(kept.length + removed.length === this.#version.slices.length, "inputs are in the tree");
    this.#replaceVersion([...kept, ...added]);
  }

  /** The manifest has the tree replaced as a whole; what was in memory is void. */
  installSnapshot(range: KeyRange, flushed: FlushedState, slices: readonly Slice[]): void {
    for (const memtable of this.#frozen) memtable.release();
    this.#frozen = [];
    this.#active.release();
    this.#active = new Memtable(this.#pool);
    this.#range = range;
    this.#flushed = flushed;
    this.#replaceVersion(slices);
  }

  /** The manifest no longer has the tree: lets go of memory and files. */
  drop(): void {
    for (const memtable of this.#frozen) memtable.release();
    this.#frozen = [];
    this.#active.release();
    this.#active = new Memtable(this.#pool);
    this.#replaceVersion([]);
  }

  /** On disk, and in memory on its way there. */
  heldBytes(): number {
    return this.memtableBytes() + sizeOf(this.#version.slices);
  }

  /** About what of these would be left after all merges, with nothing kept below `horizon`. */
  usedBytes(horizon: number): number {
    return this.heldBytes() - garbageBytes(this.#version.slices, horizon);
  }

  stats(): TreeStats {
    let sizeBytes = 0;
    let entryCount = this.#active.entryCount;
    for (const memtable of this.#frozen) entryCount += memtable.entryCount;
    for (const slice of this.#version.slices) {
      sizeBytes += slice.sizeBytes;
      entryCount += slice.entryCount;
    }
    return {
      memtableBytes: this.memtableBytes(),
      frozenCount: this.#frozen.length,
      sliceCount: this.#version.slices.length,
      runsMax: this.#version.runsMax,
      sizeBytes,
      entryCount,
    };
  }

  /** One line for people. */
  describe(): string {
    const { memtableBytes, frozenCount, sliceCount } = this.stats();
    return (
      `tree ${this.shardId} flushed=${this.#flushed.index} memtables=${memtableBytes} ` +
      `frozen=${frozenCount} slices=${sliceCount}`
    );
  }

  /** The runs that may hold such entries, and what lets go of the memory and files they read. */
  #pinnedRuns(family: FamilyId, range: KeyRange, maxVersion: number): PinnedRuns {
    const runs: RunCursor[] = [];
    const memtables: Memtable[] = [];
    for (const memtable of [this.#active, ...this.#frozen]) {
      const tree = memtable.families[family];
      if (tree === undefined) continue;
      memtable.retain();
      memtables.push(memtable);
      runs.push(new MemtableCursor(tree));
    }
    const version = this.#version;
    version.retain();
    const release = (): void => {
      version.release();
      for (const memtable of memtables) memtable.release();
    };
    try {
      for (const run of version.tiers[family]!) {
        if (run.slice.minVersion > maxVersion) continue;
        if (intersectRanges(run.slice.range, range) === undefined) continue;
        runs.push(cursorOf(run.section, run.clip, maxVersion));
      }
      for (const level of version.levels[family]!) runs.push(new LevelCursor(level, maxVersion));
    } catch (error) {
      release();
      throw error;
    }
    return { runs, release };
  }

  #frozenState(): FlushedState {
    return this.#frozen.at(-1)?.state ?? this.#flushed;
  }

  #replaceVersion(slices: readonly Slice[]): void {
    // An idle tree keeps nothing in memory for what it has shown last.
    this.#slot.letGo();
    this.#spare.letGo();
    const replaced = this.#version;
    this.#version = new Version(slices, this.#tables);
    replaced.release();
  }

  /** Looks for a version above `found`; shows it in #slot and returns it, or returns `found`. */
  #getFrom(
    memtable: Memtable,
    family: FamilyId,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    maxVersion: number,
    found: number,
  ): number {
    const tree = memtable.families[family];
    if (tree === undefined || tree.maxVersion <= found) return found;
    if (!tree.get(key, keyOffset, keyLength, maxVersion, this.#spare)) return found;
    return this.#take(found);
  }

  #getFromVersion(
    family: FamilyId,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    maxVersion: number,
    foundBefore: number,
  ): number {
    const hash = hash32(key, keyOffset, keyLength);
    const tiers = this.#version.tiers[family]!;
    let found = foundBefore;
    for (let i = 0; i < tiers.length; i++) {
      const run = tiers[i]!;
      // Runs stand by their largest version, so no later one can have a newer entry either.
      if (run.slice.maxVersion <= found) break;
      if (run.slice.minVersion > maxVersion || isClippedOff(run, key, keyOffset, keyLength))
        continue;
      if (!run.section.get(key, keyOffset, keyLength, hash, maxVersion, this.#spare)) continue;
      found = this.#take(found);
    }
    const levels = this.#version.levels[family]!;
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i]!;
      if (level.maxVersion <= found) continue;
      const place = level.placeOf(key, keyOffset, keyLength);
      if (place < 0) continue;
      const run = level.runs[place]!;
      const { slice, section } = run;
      if (slice.maxVersion <= found || slice.minVersion > maxVersion) continue;
      if (isClippedOff(run, key, keyOffset, keyLength)) continue;
      if (!section.get(key, keyOffset, keyLength, hash, maxVersion, this.#spare)) continue;
      found = this.#take(found);
    }
    return found;
  }

  #take(found: number): number {
    const spare = this.#spare;
    if (spare.version <= found) return found;
    this.#spare = this.#slot;
    this.#slot = spare;
    return spare.version;
  }
}

function isClippedOff(
  { clip }: LevelRun,
  key: Uint8Array,
  keyOffset: number,
  keyLength: number,
): boolean {
  return clip !== undefined && !rangeContainsSlice(clip, key, keyOffset, keyLength);
}
