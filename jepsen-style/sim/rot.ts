/**
 * Flips bits on the disk of one machine, where the design promises that it is found out and mended:
 * anywhere in a batch of the log that a later one speaks for, in a table, and in one of two copies
 * of everything else. A flip in the very last batch looks like a write that was cut short; nothing
 * can tell the two apart, so it is left alone.
 */
import { segmentNumber, storeTagOf } from "../../src/log/segment-format.js";
import { walkSegment } from "../../src/log/segment-reader.js";
import type { MemoryDisk } from "./memory-disk.js";

export type RotKind = "log" | "table" | "manifest" | "small";

export interface Flip {
  readonly what: RotKind;
  /** Which of those there are, and which bit of it; each in [0, 1). */
  readonly place: number;
  readonly bit: number;
}

interface Stretch {
  readonly path: string;
  readonly from: number;
  readonly end: number;
}

const STORE = "/data/store";
const SMALL = ["/data/node.json", "/data/cluster-map.json", `${STORE}/identity`] as const;

/** Flips a bit; false where there is nothing of that kind that may be hit, or it was hit already. */
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

/** All batches of the log, oldest first. */
function logBatches(disk: MemoryDisk, storeId: string): readonly Stretch[] {
  const batches: Stretch[] = [];
  const directory = `${STORE}/log`;
  if (!disk.exists(directory)) return [];
  for (const name of disk.list(directory)) {
    const number = segmentNumber(name);
    if (number === undefined) continue;
    const path = `${directory}/${name}`;
    walkSegment(disk.content(path), { storeTag: storeTagOf(storeId), number }, undefined, {
      batch: ({ offset, length }) => batches.push({ path, from: offset, end: offset + length }),
      lost: () => undefined,
    });
  }
  return batches;
}
