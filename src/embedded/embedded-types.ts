/** What the embedded store takes and gives. Text is taken as UTF-8; bytes come back. */
import { utf8 } from "../base/bytes.js";
import { KEY_SIZE_BYTES_MAX } from "../base/limits.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { EntryView } from "../lsm/entry.js";
import { KvError, notApplied } from "../protocol/errors.js";

export type BytesLike = string | Uint8Array;

/**
 * The largest batch, framing included; a put on its own is a batch of one. Where segments of the
 * log are small, a little less than half a segment.
 */
export const BATCH_SIZE_BYTES_MAX: number = 4 * 1024 * 1024;

export interface EmbeddedOptions {
  /** Whether writes that do not say so themselves wait until they are durable. Default: true. */
  readonly sync?: boolean | undefined;
  /** A larger memtable is flushed; there may be three. 4 KiB to 1 GiB. Default: 16 MiB. */
  readonly memtableBytesMax?: number | undefined;
  /** Memory for blocks read from disk. Default: 64 MiB. */
  readonly blockCacheBytes?: number | undefined;
  /**
   * Size of a segment of the log, a multiple of 4096 bytes, 256 KiB to 1 GiB. Default: a little
   * over 8 MiB.
   */
  readonly logSegmentSizeBytes?: number | undefined;
  /** How much is read in the background to look for rot; 0: nothing. Default: 4 MiB. */
  readonly scrubBytesPerSecond?: number | undefined;
}

export interface WriteOptions {
  /** Settle only when the write is durable. Default: what the store was opened with. */
  readonly sync?: boolean | undefined;
}

export interface RangeOptions {
  /** The first key; without it from the beginning. */
  readonly start?: BytesLike | undefined;
  /** Keys from here on are left out; without it to the end. */
  readonly end?: BytesLike | undefined;
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined;
}

export interface ScanOptions extends RangeOptions {
  /** At most so many. */
  readonly limit?: number | undefined;
}

export type KeyAndValue = readonly [key: Uint8Array, value: Uint8Array];

/**
 * Walks a range as it was when the cursor was made, whatever is written meanwhile. It starts before
 * the first key. Close it: it holds on to files and memory.
 */
export interface StoreCursor {
  /** Where it stands, without a copy: its fields hold until the cursor moves. */
  readonly entry: EntryView;
  /** Moves on; false at the end. */
  next(): boolean;
  /** The next key is then the first at or after this one; backwards, at or before it. */
  seek(key: BytesLike): void;
  /** A copy of the key. */
  key(): Uint8Array;
  /** A copy of the value. */
  value(): Uint8Array;
  close(): void;
}

/** What can be read from the store as it is now, or from a snapshot as it was. */
export interface Reader {
  get(key: BytesLike): Uint8Array | undefined;
  /** Copies of keys and values, one after another, from one moment. */
  range(options?: ScanOptions): IterableIterator<KeyAndValue>;
  /** As range, without a copy or an object for each entry. */
  cursor(options?: RangeOptions): StoreCursor;
}

export interface EmbeddedStats {
  readonly memtableBytes: number;
  /** Bytes of all sstables. */
  readonly tableBytes: number;
  readonly tableCount: number;
  readonly logBytes: number;
  readonly blockCacheBytes: number;
  /** What of `tableBytes` is kept only for open cursors and for copies under way. */
  readonly pinnedBytes: number;
  /** What is counted is counted since the store was opened. */
  readonly flushes: number;
  readonly compactions: number;
  /** By flushes and compactions together. */
  readonly tableBytesWritten: number;
  readonly logBytesWritten: number;
  /** Blocks of sstables that reads did not find in memory. */
  readonly blocksRead: number;
  /** Most runs of sstables that a read may have to look at. */
  readonly runsMax: number;
  /** Whether compactions are so far behind that writes settle late. */
  readonly isBehind: boolean;
  /** Whether the disk has no room left: writes are refused. */
  readonly full: boolean;
  /** The damage found last in a file; what lies there cannot be read. */
  readonly damage: string | undefined;
}

/** Callers without types may pass anything, and what is no bytes must not reach the log. */
export function bytesOf(value: BytesLike): Uint8Array {
  if (typeof value === "string") return utf8(value);
  if (value instanceof Uint8Array) return value;
  throw notApplied("invalidArgument", `keys and values are bytes or text, not ${typeof value}`);
}

/** The bytes of a key that may be written. */
export function requireKey(key: BytesLike): Uint8Array {
  const bytes = bytesOf(key);
  if (bytes.length === 0) throw notApplied("keyEmpty", "a key has at least one byte");
  if (bytes.length > KEY_SIZE_BYTES_MAX) {
    const bound = KEY_SIZE_BYTES_MAX;
    throw notApplied("keyTooLarge", `a key has at most ${bound} bytes`, { bound });
  }
  return bytes;
}

/** As errorOf, for what goes into a directory; `taken` says of it what makes it unfit. */
export function directoryErrorOf(error: unknown, taken: string): KvError {
  const isTaken = error instanceof DiskError && error.code === "exists";
  return isTaken ? notApplied("invalidArgument", taken) : errorOf(error);
}

/** What an error of the floors below means to the caller. */
export function errorOf(error: unknown): KvError {
  if (error instanceof CorruptionError) return new KvError("corrupt", error.message, "unknown");
  if (!(error instanceof DiskError)) return KvError.from(error);
  if (error.code === "noSpace") return notApplied("noSpace", error.message);
  if (error.code === "exists") {
    return notApplied("unavailable", `${error.path} is in use, by another process or handle`);
  }
  return new KvError("unavailable", error.message, "unknown");
}
