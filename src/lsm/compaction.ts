/**
 * The two ways in which sstables come about, as functions that a worker runs: a flush writes a
 * frozen memtable, a compaction merges slices of one family and leaves out what the filter drops.
 * Both leave a durable file under a durable name, or none.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { Disk } from "../env/disk.js";
import { removeQuietly } from "../env/disk.js";
import { Arena, SlabPool } from "./arena.js";
import { BlockCache } from "./block-cache.js";
import { cursorOf } from "./clipped-cursor.js";
import { EntrySlot } from "./entry-slot.js";
import type { FamilyId } from "./families.js";
import { gcPolicyOf } from "./families.js";
import { GcFilter } from "./gc-filter.js";
import type { MemtableImage } from "./memtable.js";
import { visitLeaves } from "./memtable-cursor.js";
import { MergingCursor } from "./merging-cursor.js";
import { OpenFiles } from "./open-files.js";
import type { PackWriter } from "./pack-writer.js";
import type { TableFile } from "./slice.js";
import { Sstable } from "./sstable-reader.js";
import type { TableTarget, WrittenTable } from "./sstable-writer.js";
import { SstableWriter } from "./sstable-writer.js";
import { pathOfTable, tablePath } from "./table-set.js";

/** A slice as a job gets it. */
export interface CompactionInput {
  readonly file: TableFile;
  /** What it shows of its section, unless that is all. */
  readonly clip: KeyRange | undefined;
}

export interface CompactionPlan {
  readonly family: FamilyId;
  /** The outcome is cut between two keys once a table has so many bytes. */
  readonly tableBytesMax: number;
  readonly inputs: readonly CompactionInput[];
  /** The durable compacted revision of the tree. */
  readonly horizon: number;
  readonly isBottom: boolean;
}

const INPUT_CACHE_SIZE_BYTES = 4 * 1024 * 1024;
/** Files of a job's inputs that are open at once. */
export const INPUTS_OPEN_MAX = 128;

/**
 * Undefined where the filter left nothing; there is no file then. `horizon` is the compacted
 * revision in the state that becomes durable in the same edit as the outcome: it may be used
 * already, because without that edit the outcome is void, too.
 */
export function flushMemtable(
  disk: Disk,
  target: TableTarget,
  image: MemtableImage,
  horizon: number,
): WrittenTable | undefined {
  return writeTable(disk, target, (writer) => writeMemtable(writer, image, horizon));
}

/** As flushMemtable, into a pack. */
export function packMemtable(
  pack: PackWriter,
  target: TableTarget,
  image: MemtableImage,
  horizon: number,
): WrittenTable | undefined {
  return pack.add(target, (writer) => writeMemtable(writer, image, horizon));
}

/**
 * The tables of the outcome in order of their keys, none where nothing is left. The versions of a
 * key stay in one table. `targets` are as many as there may be; the last one takes what is left.
 */
export function compactTables(
  disk: Disk,
  targets: readonly TableTarget[],
  plan: CompactionPlan,
): readonly WrittenTable[] {
  const directory = targets[0]!.directory;
  const files = new OpenFiles(disk, INPUTS_OPEN_MAX);
  const written: WrittenTable[] = [];
  try {
    const merge = new Merge(openInputs(files, directory, plan), plan);
    for (const [at, target] of targets.entries()) {
      const sizeBytesMax = at + 1 < targets.length ? plan.tableBytesMax : Infinity;
      const table = writeTable(disk, target, (writer) => merge.fill(writer, sizeBytesMax));
      if (table === undefined) break;
      written.push(table);
    }
    return written;
  } catch (error) {
    for (const { file } of written) removeQuietly(disk, tablePath(directory, file.fileNumber));
    throw error;
  } finally {
    files.closeAll();
  }
}

/** As compactTables, into a pack, of what is small enough to be one table. */
export function packMerge(
  pack: PackWriter,
  files: OpenFiles,
  target: TableTarget,
  plan: CompactionPlan,
): WrittenTable | undefined {
  const merge = new Merge(openInputs(files, target.directory, plan), plan);
  return pack.add(target, (writer) => merge.fill(writer, Infinity));
}

function openInputs(files: OpenFiles, directory: string, plan: CompactionPlan): Sstable[] {
  const cache = new BlockCache(INPUT_CACHE_SIZE_BYTES);
  return plan.inputs.map(
    ({ file }) => new Sstable(files, pathOfTable(directory, file), file, cache),
  );
}

function writeMemtable(writer: SstableWriter, image: MemtableImage, horizon: number): number {
  const arena = new Arena(new SlabPool(0));
  for (const slab of image.slabs) arena.adopt(slab);
  let count = 0;
  for (const { family, leaves } of image.families) {
    // Older slices may hold older versions, so a tombstone stays.
    const filter = new GcFilter(gcPolicyOf(family), horizon, false);
    const sink = new FilteredSink(writer, family, filter);
    visitLeaves(arena, new Int32Array(leaves), new EntrySlot(), (slot) => sink.add(slot));
    count += sink.end();
  }
  return count;
}

/** Goes through the inputs once, filling one table after the other. */
class Merge {
  readonly #cursor: MergingCursor;
  readonly #filter: GcFilter;
  readonly #family: FamilyId;
  /** Whether the cursor stands at an entry that no table has taken yet. */
  #isPending: boolean;

  constructor(tables: readonly Sstable[], plan: CompactionPlan) {
    const runs = plan.inputs.map(({ clip }, at) =>
      cursorOf(tables[at]!.section(plan.family), clip, Infinity),
    );
    const range = { start: EMPTY_BYTES, end: undefined };
    this.#cursor = new MergingCursor(runs, range, Infinity, "all", undefined);
    this.#filter = new GcFilter(gcPolicyOf(plan.family), plan.horizon, plan.isBottom);
    this.#family = plan.family;
    this.#isPending = this.#cursor.next();
  }

  /** Writes what the filter keeps until the table is full; returns how many entries that were. */
  fill(writer: SstableWriter, sizeBytesMax: number): number {
    const sink = new FilteredSink(writer, this.#family, this.#filter);
    while (this.#isPending) {
      const { entry } = this.#cursor;
      if (writer.sizeBytes >= sizeBytesMax && !sink.isLastKey(entry)) break;
      sink.add(entry);
      this.#isPending = this.#cursor.next();
    }
    return sink.end();
  }
}

/** Takes the entries of a family in order and writes those that the filter keeps. */
class FilteredSink {
  readonly #writer: SstableWriter;
  readonly #family: FamilyId;
  readonly #filter: GcFilter;
  #count = 0;
  /** A copy of the last key: what the cursor has shown before may be gone. */
  #lastKey: Uint8Array = new Uint8Array(64);
  #lastLength = -1;

  constructor(writer: SstableWriter, family: FamilyId, filter: GcFilter) {
    this.#writer = writer;
    this.#family = family;
    this.#filter = filter;
  }

  /** Whether an entry has the key of the one before. */
  isLastKey(slot: EntrySlot): boolean {
    return isKeyOf(slot, this.#lastKey, this.#lastLength);
  }

  add(slot: EntrySlot): void {
    const isNewKey = !this.isLastKey(slot);
    if (isNewKey) this.#keepKey(slot);
    if (!this.#filter.keeps(isNewKey, slot.version, slot.tombstone)) return;
    if (this.#count === 0) this.#writer.beginFamily(this.#family);
    this.#writer.add(slot);
    this.#count++;
  }

  #keepKey({ bytes, keyOffset, keyLength }: EntrySlot): void {
    if (keyLength > this.#lastKey.length) this.#lastKey = new Uint8Array(2 * keyLength);
    const lastKey = this.#lastKey;
    for (let i = 0; i < keyLength; i++) lastKey[i] = bytes[keyOffset + i]!;
    this.#lastLength = keyLength;
  }

  /** Ends the section, if there is one; returns how many entries it has. */
  end(): number {
    if (this.#count > 0) this.#writer.endFamily();
    return this.#count;
  }
}

/** Runs `fill` on a new file; without content, or after an error, no file is left. */
function writeTable(
  disk: Disk,
  target: TableTarget,
  fill: (writer: SstableWriter) => number,
): WrittenTable | undefined {
  const path = tablePath(target.directory, target.fileNumber);
  const file = disk.open(path, { create: true });
  let written: WrittenTable | undefined = undefined;
  try {
    const writer = new SstableWriter(file, target.fileNumber, target.salt, target.blockSizeBytes);
    if (fill(writer) > 0) {
      written = writer.finish();
      disk.syncDirectory(target.directory);
    }
    return written;
  } finally {
    file.close();
    if (written === undefined) removeQuietly(disk, path);
  }
}

function isKeyOf(slot: EntrySlot, key: Uint8Array, length: number): boolean {
  if (slot.keyLength !== length) return false;
  for (let i = length - 1; i >= 0; i--) {
    if (slot.bytes[slot.keyOffset + i] !== key[i]) return false;
  }
  return true;
}
