/** The slices of a tree at one moment, ready to be read and pinned by whoever reads them. */
import { assert } from "../base/assert.js";
import { keyAfter } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { FAMILY_COUNT } from "./families.js";
import { Level, LEVEL_BASE } from "./level.js";
import { clipOf } from "./slice.js";
import type { Slice } from "./slice.js";
import type { SectionInfo } from "./sstable-format.js";
import type { Section, Sstable } from "./sstable-reader.js";
import type { TableSet } from "./table-set.js";

/** Of families that a tree has nothing of: most, in most trees, and there may be many trees. */
const NO_RUNS: readonly Run[] = [];
const NO_LEVELS: readonly Level[] = [];

/** One slice, ready to be read. */
export class Run {
  readonly slice: Slice;
  readonly table: Sstable;
  /** What it shows of its section, unless that is all. */
  readonly clip: KeyRange | undefined;
  #section: Section | undefined = undefined;

  constructor(slice: Slice, table: Sstable) {
    this.slice = slice;
    this.clip = clipOf(slice);
    this.table = table;
  }

  /** The part of the file; opened at the first call. */
  get section(): Section {
    this.#section ??= this.table.section(this.slice.family);
    return this.#section;
  }
}

/** The slices of a tree at one moment. It holds on to their files until nobody holds on to it. */
export class Version {
  readonly slices: readonly Slice[];
  /** By family, all of its slices; see tiers and levels. */
  readonly runs: readonly (readonly Run[])[];
  /** By family the runs that may overlap, with the newest entries first. */
  readonly tiers: readonly (readonly Run[])[];
  /** By family what is older than its tiers, the newer level first. */
  readonly levels: readonly (readonly Level[])[];
  /** Most tiers of any family: with more than a merge is begun for, merges do not keep up. */
  readonly tiersMax: number;
  readonly #tables: TableSet;
  #references = 1;

  constructor(slices: readonly Slice[], tables: TableSet) {
    this.slices = slices;
    this.#tables = tables;
    const written: Run[][] = [];
    for (const slice of slices) {
      const run = new Run(slice, tables.retain(slice.fileNumber));
      (written[slice.family] ??= []).push(run);
    }
    const runs: (readonly Run[])[] = [];
    for (let i = 0; i < FAMILY_COUNT; i++) runs.push(written[i]?.sort(newestFirst) ?? NO_RUNS);
    this.runs = runs;
    this.tiers = runs.map(tiersOf);
    this.levels = runs.map(levelsOf);
    this.tiersMax = Math.max(...this.tiers.map((tiers) => tiers.length));
  }

  /** Most runs that any family has: what a read may have to look at. */
  get runsMax(): number {
    const counts = this.tiers.map((tiers, family) => tiers.length + this.levels[family]!.length);
    return Math.max(...counts);
  }

  retain(): void {
    this.#references++;
  }

  /** Gives up one reference; with the last one, files that no other version holds are deleted. */
  release(): void {
    this.#references--;
    assert(this.#references >= 0, "a version was released too often");
    if (this.#references > 0) return;
    for (const slice of this.slices) this.#tables.release(slice.fileNumber);
  }
}

function tiersOf(runs: readonly Run[]): readonly Run[] {
  if (runs.every(({ slice }) => slice.level < LEVEL_BASE)) return runs;
  return runs.filter(({ slice }) => slice.level < LEVEL_BASE);
}

function levelsOf(runs: readonly Run[]): readonly Level[] {
  if (runs.every(({ slice }) => slice.level < LEVEL_BASE)) return NO_LEVELS;
  const byLevel = new Map<number, Run[]>();
  for (const run of runs) {
    const { level } = run.slice;
    if (level < LEVEL_BASE) continue;
    const others = byLevel.get(level);
    if (others === undefined) byLevel.set(level, [run]);
    else others.push(run);
  }
  return [...byLevel].sort(([a], [b]) => a - b).map(([, each]) => new Level(each));
}

function newestFirst(a: Run, b: Run): number {
  return b.slice.maxVersion - a.slice.maxVersion || b.slice.fileNumber - a.slice.fileNumber;
}

/** The slice of a section that was just written: all of it. */
export function sliceOf(fileNumber: number, info: SectionInfo, level: number): Slice {
  const range = { start: info.smallestKey, end: keyAfter(info.largestKey) };
  return {
    fileNumber,
    family: info.family,
    level,
    range,
    filterRange: range,
    minVersion: info.minVersion,
    maxVersion: info.maxVersion,
    entryCount: info.entryCount,
    keyCount: info.keyCount,
    tombstoneCount: info.tombstoneCount,
    sizeBytes: info.sizeBytes,
  };
}
