/**
 * Flips bits on the disk of one machine, makes places of it unreadable and lets writes land
 * elsewhere, where the design promises that it is found out and mended:
 * anywhere in a batch of the log that a later one speaks for, in a table, and in one of two copies
 * of everything else. A flip in the very last batch looks like a write that was cut short; nothing
 * can tell the two apart, so it is left alone.
 */
import { SEGMENT_START, segmentNumber, storeTagOf } from "../../src/log/segment-format.js";
import { walkSegment } from "../../src/log/segment-reader.js";
import type { MemoryDisk } from "./memory-disk.js";
import { PAGE_SIZE_BYTES } from "./memory-inode.js";

export type RotKind = "log" | "table" | "manifest" | "small";

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
}

const STORE = "/data/store";
const SMALL = ["/data/node.json", "/data/cluster-map.json", `${STORE}/identity`] as const;

/** Flips a bit; false where there is nothing of that kind, or what is there was hit already. */
export function flipBit(disk: MemoryDisk, storeId: string, flip: Flip, hit: Set<string>): boolean {
  const stretches = stretchesOf(disk, storeId, flip.what);
  const stretch = stretches[Math.floor(flip.place * stretches.length)];
  if (stretch === undefined || stretch.end <= stretch.from) return false;
  // The log keeps each header twice, so every batch stands for itself.
  const name = flip.what === "log" ? `${stretch.path}@${stretch.from}` : flip.what;
  if (hit.has(name)) return false;
  hit.add(name);
  const bits = (stretch.end - stretch.from) * 8;
  disk.flipBit(stretch.path, stretch.from * 8 + Math.floor(flip.bit * bits));
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
  const batches = logBatches(disk, storeId).slice(0, -1);
  const batch = batches[Math.floor(place * batches.length)];
  if (batch === undefined) return false;
  const { path, from, end } = batch;
  const name = `${path}@${from}`;
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
    case "log":
      return logBatches(disk, storeId).slice(0, -1);
    case "table":
      return filesIn(disk, `${STORE}/tables`, /\.sst$|^\d+/);
    case "manifest":
      return filesIn(disk, STORE, /^manifest-\d+$/);
    case "small":
      return SMALL.filter((path) => disk.exists(path)).map((path) => whole(disk, path));
  }
}

function filesIn(disk: MemoryDisk, directory: string, pattern: RegExp): readonly Stretch[] {
  if (!disk.exists(directory)) return [];
  const names = disk.list(directory).filter((name) => pattern.test(name));
  return names.map((name) => whole(disk, `${directory}/${name}`));
}

function whole(disk: MemoryDisk, path: string): Stretch {
  return { path, from: 0, end: disk.content(path).length };
}

/** All batches of the log that are durable, oldest first. */
function logBatches(disk: MemoryDisk, storeId: string): readonly Stretch[] {
  const batches: Stretch[] = [];
  const directory = `${STORE}/log`;
  if (!disk.exists(directory)) return [];
  for (const name of disk.list(directory)) {
    const number = segmentNumber(name);
    if (number === undefined) continue;
    const path = `${directory}/${name}`;
    walkSegment(disk.durableContent(path), { storeTag: storeTagOf(storeId), number }, undefined, {
      batch: ({ offset, length }) => batches.push({ path, from: offset, end: offset + length }),
      lost: () => undefined,
    });
  }
  return batches;
}
