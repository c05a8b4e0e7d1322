/**
 * Flips bits on the disk of one machine, makes places of it unreadable and lets writes land
 * elsewhere, where the design promises that it is found out and mended: one bit anywhere in a batch
 * of the log, also in the very last one, in a table, and in one of two copies of everything else.
 * What a batch of the log cannot mend by itself, two bits of one payload or another place, it gets
 * only where a durable batch speaks for it, so that its loss is known and refilled.
 *
 *   log         headers and entries of any batch
 *   lastBatch   entries of the last one, of a node that is killed at that moment: nothing speaks
 *               for it, and yet it must not be taken for a write that was cut short
 */
import { SEGMENT_START, segmentNumber, storeTagOf } from "../../src/log/segment-format.js";
import { walkSegment } from "../../src/log/segment-reader.js";
import type { MemoryDisk } from "./memory-disk.js";
import { PAGE_SIZE_BYTES } from "./memory-inode.js";

export type RotKind = "log" | "lastBatch" | "table" | "manifest" | "small";

export interface Flip {
  readonly what: RotKind;
  /** Which of those there are, and which bit of it; each in [0, 1). */
  readonly place: number;
  readonly bit: number;
}

/** A write that lands elsewhere: a page before or behind its place. */
export interface Misdirected {
  readonly what: "table" | "log" | "manifest";
  readonly place: number;
  readonly ahead: boolean;
}

interface Stretch {
  readonly path: string;
  readonly from: number;
  readonly end: number;
  /** What may be hit once: of two copies one, and of the log each batch. */
  readonly name: string;
  /** Two bits next to each other may flip. */
  readonly takesTwo: boolean;
}

const STORE = "/data/store";
const SMALL = ["/data/node.json", "/data/cluster-map.json", `${STORE}/identity`] as const;

/** Flips a bit; false where there is nothing of that kind, or what is there was hit already. */
export function flipBit(disk: MemoryDisk, storeId: string, flip: Flip, hit: Set<string>): boolean {
  const stretches = stretchesOf(disk, storeId, flip.what);
  const stretch = stretches[Math.floor(flip.place * stretches.length)];
  if (stretch === undefined || stretch.end <= stretch.from) return false;
  if (hit.has(stretch.name)) return false;
  hit.add(stretch.name);
  const bit = Math.floor(flip.bit * (stretch.end - stretch.from) * 8);
  disk.flipBit(stretch.path, stretch.from * 8 + bit);
  if (stretch.takesTwo && bit % 2 === 0) disk.flipBit(stretch.path, stretch.from * 8 + bit + 1);
  return true;
}

/** A sector can be read no more; false where there is none of that kind, or it was hit already. */
export function spoilSector(
  disk: MemoryDisk,
  storeId: string,
  flip: Flip,
  hit: Set<string>,
): boolean {
  const stretches = stretchesOf(disk, storeId, flip.what);
  const stretch = stretches[Math.floor(flip.place * stretches.length)];
  if (stretch === undefined || stretch.end <= stretch.from) return false;
  if (flip.what !== "table") {
    if (hit.has(flip.what)) return false;
    hit.add(flip.what);
  }
  const length = stretch.end - stretch.from;
  disk.spoil(stretch.path, stretch.from + Math.floor(flip.bit * length));
  return true;
}

/** The next write of a file lands elsewhere, or one of the log has; false where there is none. */
export function misdirect(
  disk: MemoryDisk,
  storeId: string,
  misdirected: Misdirected,
  hit: Set<string>,
): boolean {
  switch (misdirected.what) {
    case "table":
      disk.misdirect(/\/tables\//);
      return true;
    case "manifest":
      disk.misdirect(/\/manifest-\d+$/);
      return true;
    case "log":
      return misplaceBatch(disk, storeId, misdirected, hit);
  }
}

/**
 * Makes it so that a batch which a later one speaks for had been written a page too far ahead or
 * behind: there its own place begins with what was there before, and here the end of the one
 * before it is lost, too.
 */
function misplaceBatch(
  disk: MemoryDisk,
  storeId: string,
  { place, ahead }: Misdirected,
  hit: Set<string>,
): boolean {
  const batches = logBatches(disk, storeId).slice(0, -2);
  const batch = batches[Math.floor(place * batches.length)];
  if (batch === undefined) return false;
  const { path, name, offset: from, next: end } = batch;
  if (hit.has(name)) return false;
  hit.add(name);
  const bytes = disk.content(path).slice(from, end);
  const before = new Uint8Array(PAGE_SIZE_BYTES);
  if (ahead || from === SEGMENT_START) {
    disk.overwrite(path, before, from);
    // What came behind was written at its place later.
    disk.overwrite(path, bytes.subarray(0, -PAGE_SIZE_BYTES), from + PAGE_SIZE_BYTES);
  } else {
    disk.overwrite(path, bytes, from - PAGE_SIZE_BYTES);
    disk.overwrite(path, before, end - PAGE_SIZE_BYTES);
  }
  return true;
}

function stretchesOf(disk: MemoryDisk, storeId: string, what: RotKind): readonly Stretch[] {
  switch (what) {
    case "log": {
      const batches = logBatches(disk, storeId);
      return batches.map(({ offset, ...rest }, at) => ({
        ...rest,
        from: offset,
        takesTwo: at < batches.length - 2,
      }));
    }
    case "lastBatch": {
      const batches = logBatches(disk, storeId).slice(-1);
      return batches.map((batch) => ({ ...batch, from: batch.payloadOffset, takesTwo: false }));
    }
    case "table":
      return filesIn(disk, `${STORE}/tables`, /\.sst$|^\d+/, what);
    case "manifest":
      return filesIn(disk, STORE, /^manifest-\d+$/, what);
    case "small":
      return SMALL.filter((path) => disk.exists(path)).map((path) => whole(disk, path, what));
  }
}

function filesIn(
  disk: MemoryDisk,
  directory: string,
  pattern: RegExp,
  what: RotKind,
): readonly Stretch[] {
  if (!disk.exists(directory)) return [];
  const names = disk.list(directory).filter((name) => pattern.test(name));
  return names.map((name) => whole(disk, `${directory}/${name}`, what));
}

function whole(disk: MemoryDisk, path: string, what: RotKind): Stretch {
  return { path, from: 0, end: disk.content(path).length, name: what, takesTwo: false };
}

interface Batch {
  readonly path: string;
  readonly name: string;
  readonly offset: number;
  readonly payloadOffset: number;
  /** Where its entries end. */
  readonly end: number;
  /** Where it ends. */
  readonly next: number;
}

/**
 * All batches of the log that are whole, oldest first. A batch is written when the one before is
 * durable, so only the last may not be, and what the last but one promises holds.
 */
function logBatches(disk: MemoryDisk, storeId: string): readonly Batch[] {
  const batches: Batch[] = [];
  const directory = `${STORE}/log`;
  if (!disk.exists(directory)) return [];
  for (const file of disk.list(directory)) {
    const number = segmentNumber(file);
    if (number === undefined) continue;
    const path = `${directory}/${file}`;
    walkSegment(disk.content(path), { storeTag: storeTagOf(storeId), number }, undefined, {
      batch: ({ offset, length, payloadOffset, payloadLength }) => {
        const end = payloadOffset + payloadLength;
        // The log keeps each header twice, so every batch stands for itself.
        const next = offset + length;
        batches.push({ path, name: `${path}@${offset}`, offset, payloadOffset, end, next });
      },
      lost: () => undefined,
    });
  }
  return batches;
}
