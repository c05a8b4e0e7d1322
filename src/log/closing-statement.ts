/**
 * What an orderly close leaves beside the segments, so that the next start need not look for the
 * end of the log, nor read what nobody needs:
 *
 *   u32 STATEMENT_MAGIC | u32 store tag | u53 run | u32 last segment | u32 where its batches end
 *   | u32 first segment that holds anything needed | u32 checksum
 *
 * The owner of a log raises its run, durably, before each start. So a statement of the run before
 * the present one is by the last who could write to the log; any other is void. It is written once
 * all that it speaks of is durable, and not synced: what a power cut leaves of it fails its
 * checksum or names another run, and then the start looks at everything, as after a crash.
 *
 * DO NOT CHANGE any of this: files hold it. A new layout gets a new magic.
 */
import { placedChecksum } from "../base/checksum.js";
import { readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";

/** No segment has such a name. */
export const STATEMENT_NAME = "closed";

const STATEMENT_MAGIC = 0x3153_4c46; // "FLS1"
const STATEMENT_SIZE_BYTES = 32;
const CHECKSUM_AT = STATEMENT_SIZE_BYTES - 4;

export interface ClosingStatement {
  /** The last segment that was written to, and where its batches end: all below is durable. */
  readonly segment: number;
  readonly end: number;
  /** Nobody needs the segments before this one. */
  readonly neededFrom: number;
}

/** A statement is good for one store and one run. */
export interface StatementOrigin {
  readonly storeTag: number;
  readonly run: number;
}

/** Overwrites the statement before. What fails leaves none, and harms nothing. */
export function writeStatement(
  disk: Disk,
  directory: string,
  { storeTag, run }: StatementOrigin,
  { segment, end, neededFrom }: ClosingStatement,
): void {
  const bytes = new Uint8Array(STATEMENT_SIZE_BYTES);
  writeU32(bytes, 0, STATEMENT_MAGIC);
  writeU32(bytes, 4, storeTag);
  writeU53(bytes, 8, run);
  writeU32(bytes, 16, segment);
  writeU32(bytes, 20, end);
  writeU32(bytes, 24, neededFrom);
  writeU32(bytes, CHECKSUM_AT, placedChecksum(bytes.subarray(0, CHECKSUM_AT), 0, 0));
  withFile(disk, directory, true, (file) => file.writeSync(bytes, 0, bytes.length, 0));
}

/** The statement of this origin; undefined where there is none. */
export function readStatement(
  disk: Disk,
  directory: string,
  { storeTag, run }: StatementOrigin,
): ClosingStatement | undefined {
  if (!disk.exists(pathOf(directory))) return undefined;
  const bytes = new Uint8Array(STATEMENT_SIZE_BYTES);
  const count = withFile(disk, directory, false, (file) =>
    file.readSync(bytes, 0, bytes.length, 0),
  );
  if (count !== bytes.length || readU32(bytes, 0) !== STATEMENT_MAGIC) return undefined;
  const checksum = placedChecksum(bytes.subarray(0, CHECKSUM_AT), 0, 0);
  if (checksum !== readU32(bytes, CHECKSUM_AT)) return undefined;
  if (readU32(bytes, 4) !== storeTag || readU53(bytes, 8) !== run) return undefined;
  return {
    segment: readU32(bytes, 16),
    end: readU32(bytes, 20),
    neededFrom: readU32(bytes, 24),
  };
}

function pathOf(directory: string): string {
  return `${directory}/${STATEMENT_NAME}`;
}

/** Undefined where the disk fails: whoever can do without it does. */
function withFile<T>(
  disk: Disk,
  directory: string,
  isWritten: boolean,
  use: (file: ReturnType<Disk["open"]>) => T,
): T | undefined {
  try {
    const options = isWritten ? { create: true } : { readOnly: true };
    const file = disk.open(pathOf(directory), options);
    try {
      return use(file);
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof DiskError) return undefined;
    throw error;
  }
}
