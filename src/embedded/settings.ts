/**
 * What a store is opened with, checked and filled in. Callers without types may pass anything:
 * what would harm is refused before anything is made.
 */
import type { Disk } from "../env/disk.js";
import { BLOCK_SIZE_BYTES } from "../log/batch-format.js";
import { notApplied } from "../protocol/errors.js";
import type { EmbeddedOptions } from "./embedded-types.js";
import { BATCH_SIZE_BYTES_MAX } from "./embedded-types.js";

/** What the log needs in a segment beside a batch. */
export const BATCH_FRAMING_BYTES: number = 64 * 1024;

const KIB = 1024;
const MIB = 1024 * KIB;
/** Places in the log and in a memtable are unsigned integers of 32 bits; this is well below. */
const SIZE_BYTES_MAX = 1024 * MIB;
/** With room for batches of 64 KiB. */
const SEGMENT_SIZE_BYTES_MIN = 256 * KIB;

export interface EmbeddedSettings {
  /** Its path, wherever the program goes later. */
  readonly directory: string;
  readonly isSync: boolean;
  readonly memtableBytesMax: number;
  readonly blockCacheBytes: number | undefined;
  readonly scrubBytesPerSecond: number | undefined;
  readonly segmentSizeBytes: number;
  readonly batchBytesMax: number;
}

/** Throws KvError "invalidArgument", which names the option and its bounds. */
export function settingsOf(
  disk: Disk,
  directory: string,
  options: EmbeddedOptions,
): EmbeddedSettings {
  const { sync, memtableBytesMax, blockCacheBytes, scrubBytesPerSecond } = options;
  if (sync !== undefined && typeof sync !== "boolean") throw invalid("sync is true or false");
  const segmentSizeBytes = segmentSizeOf(options);
  const fitting = Math.floor(segmentSizeBytes / 2) - BATCH_FRAMING_BYTES;
  const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
  return {
    directory: requireDirectory(disk, directory),
    isSync: sync ?? true,
    memtableBytesMax:
      countOf("memtableBytesMax", memtableBytesMax, { min: 4 * KIB, max: SIZE_BYTES_MAX }) ??
      16 * MIB,
    blockCacheBytes: countOf("blockCacheBytes", blockCacheBytes, bounds),
    scrubBytesPerSecond: countOf("scrubBytesPerSecond", scrubBytesPerSecond, bounds),
    segmentSizeBytes,
    batchBytesMax: Math.min(BATCH_SIZE_BYTES_MAX, fitting),
  };
}

/**
 * The path of a directory, wherever the program goes later. It is text, and not empty: that would
 * be the root of the file system.
 */
export function requireDirectory(disk: Disk, directory: string): string {
  if (typeof directory === "string" && directory !== "") return disk.absolute(directory);
  throw invalid("a directory is named by a path that is not empty");
}

/**
 * A start reads segments whole, so they are smaller than those of a node with many shards: just
 * large enough for a batch in each half. Bench: storage, reopen.
 */
function segmentSizeOf({ logSegmentSizeBytes }: EmbeddedOptions): number {
  const name = "logSegmentSizeBytes";
  const bounds = { min: SEGMENT_SIZE_BYTES_MIN, max: SIZE_BYTES_MAX };
  const sizeBytes = countOf(name, logSegmentSizeBytes, bounds);
  if (sizeBytes === undefined) return 2 * (BATCH_SIZE_BYTES_MAX + BATCH_FRAMING_BYTES);
  if (sizeBytes % BLOCK_SIZE_BYTES === 0) return sizeBytes;
  throw invalid(`${name} is a multiple of ${BLOCK_SIZE_BYTES}`, BLOCK_SIZE_BYTES);
}

function countOf(
  name: string,
  value: number | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value)) throw invalid(`${name} is a whole number`);
  if (value < min) throw invalid(`${name} is at least ${min}`, min);
  if (value > max) throw invalid(`${name} is at most ${max}`, max);
  return value;
}

function invalid(message: string, bound?: number): Error {
  return notApplied("invalidArgument", message, bound === undefined ? undefined : { bound });
}
