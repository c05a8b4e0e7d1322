/**
 * Flips bits on the disk of one machine, where the design promises that it is found out and mended:
 * one bit anywhere in a batch of the log, also in the very last one, in a table, and in one of two
 * copies of everything else. Two bits of one payload are more than a batch of the log can mend: it
 * gets them only where a durable batch speaks for it, so that its loss is known and refilled.
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
  /** Whether as much as two bits next to each other may flip. */
  readonly isPromised?: boolean;
}

const STORE = "/data/store";
const SMALL = ["/data/node.json", "/data/cluster-map.json", `${STORE}/identity`] as const;

/** Flips a bit; false where there is nothing of that kind, or what is there was hit already. */
export function flipBit(disk: MemoryDisk, storeId: string, flip: Flip, hit: Set<string>): boolean {
  const stretches = stretchesOf(disk, storeId, flip.what);
  const stretch = stretches[placeOf(flip, stretches.length)];
  if (stretch === undefined || stretch.end <= stretch.from) return false;
  // The log keeps each header twice, so every batch stands for itself.
  const name = flip.what === "log" ? `${stretch.path}@${stretch.from}` : flip.what;
  if (hit.has(name)) return false;
  hit.add(name);
  const bits = (stretch.end - stretch.from) * 8;
  const bit = Math.floor(flip.bit * bits);
  disk.flipBit(stretch.path, stretch.from * 8 + bit);
  const both = stretch.isPromised === true && bit % 2 === 0;
  if (both) disk.flipBit(stretch.path, stretch.from * 8 + bit + 1);
  return true;
}

/** One flip of four in the log is in its last batch: there rot looks most like a torn write. */
function placeOf({ what, place }: Flip, count: number): number {
  const isLast = what === "log" && place >= 0.75;
  return isLast ? count - 1 : Math.floor((what === "log" ? place / 0.75 : place) * count);
}

function stretchesOf(disk: MemoryDisk, storeId: string, what: RotKind): readonly Stretch[] {
  switch (what) {
    case "log":
      return logBatches(disk, storeId);
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

/**
 * Headers and entries of all batches of the log that are whole, oldest first. A batch is written
 * when the one before is durable, so only the last may not be, and what the last but one promises
 * holds.
 */
function logBatches(disk: MemoryDisk, storeId: string): readonly Stretch[] {
  const batches: Stretch[] = [];
  const directory = `${STORE}/log`;
  if (!disk.exists(directory)) return [];
  for (const name of disk.list(directory)) {
    const number = segmentNumber(name);
    if (number === undefined) continue;
    const path = `${directory}/${name}`;
    walkSegment(disk.content(path), { storeTag: storeTagOf(storeId), number }, undefined, {
      batch: ({ offset, payloadOffset, payloadLength }) => {
        batches.push({ path, from: offset, end: payloadOffset + payloadLength });
      },
      lost: () => undefined,
    });
  }
  return batches.map((batch, at) => ({ ...batch, isPromised: at < batches.length - 2 }));
}
