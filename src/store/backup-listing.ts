/**
 * A directory of backups, and the listing that makes one of them:
 *
 *   tables/<checksum>-<salt>-<size>.sst   tables, of which several backups may have the same; the
 *                                         name says what is in it
 *   backup-<number>                       which of them make up which trees; it comes last
 *
 * listing = u32 magic | u32 format version | u53 number | u53 milliseconds since 1970 | 32
 *   hexadecimal digits store id | from version 2 on: u32 length, what a cluster is beside its
 *   trees (empty: one store) | an edit (version-edit.ts) that makes an empty store this one | u32
 *   checksum of what precedes
 *
 * Both are written under another name and renamed when they are durable, so that what has its name
 * is whole.
 */
import { EMPTY_BYTES, utf8, utf8Text } from "../base/bytes.js";
import { crc32 } from "../base/checksum.js";
import { ByteReader, ByteWriter, DecodeError, readU32 } from "../base/coding.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { Catalog, InvalidEditError } from "../lsm/catalog.js";
import type { TableFile } from "../lsm/slice.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import { readEdit, writeEdit } from "../lsm/version-edit.js";
import { readWhole } from "./whole-file.js";

const MAGIC = 0x3162_7466;
const FORMAT_VERSION = 2;
/** Without a cluster. */
const FIRST_VERSION = 1;
const STORE_ID_LENGTH = 32;
const CHECKSUM_SIZE_BYTES = 4;
const LISTING = /^backup-(\d+)$/;
export const DRAFT_SUFFIX = ".draft";

export interface BackupListing {
  /** Counts up in its directory. */
  readonly number: number;
  /** By the clock of the machine that made it. */
  readonly madeAtMs: number;
  /** The store that it was made of; of a cluster its id, filled up with zeros. */
  readonly storeId: string;
  /** Opaque to the store; empty where it was made of one. */
  readonly cluster: Uint8Array;
  readonly edit: VersionEdit;
}

export function backupTables(directory: string): string {
  return `${directory}/tables`;
}

export function backupTablePath(directory: string, file: TableFile): string {
  return `${backupTables(directory)}/${backupTableName(file)}`;
}

export function backupTableName({ checksum, salt, sizeBytes }: TableFile): string {
  return `${digits(checksum)}-${digits(salt)}-${sizeBytes}.sst`;
}

/** The numbers of the backups in a directory, ascending. */
export function backupNumbers(disk: Disk, directory: string): readonly number[] {
  const numbers: number[] = [];
  for (const name of disk.exists(directory) ? disk.list(directory) : []) {
    const found = LISTING.exec(name)?.[1];
    if (found !== undefined) numbers.push(Number(found));
  }
  return numbers.sort((a, b) => a - b);
}

export function listingPath(directory: string, number: number): string {
  return `${directory}/backup-${number}`;
}

/** Durable when it returns: from then on the backup is there. */
export function writeListing(disk: Disk, directory: string, listing: BackupListing): void {
  const writer = new ByteWriter(4096);
  writer.u32(MAGIC);
  writer.u32(FORMAT_VERSION);
  writer.u53(listing.number);
  writer.u53(listing.madeAtMs);
  writer.raw(utf8(listing.storeId));
  writer.blob(listing.cluster);
  writeEdit(writer, listing.edit);
  writer.u32(crc32(writer.view()));
  const path = listingPath(directory, listing.number);
  const draft = `${path}${DRAFT_SUFFIX}`;
  const file = disk.open(draft, { create: true });
  try {
    file.truncateSync(0);
    file.writeSync(writer.bytes, 0, writer.length, 0);
    file.syncSync();
  } finally {
    file.close();
  }
  disk.rename(draft, path);
  disk.syncDirectory(directory);
}

/** Throws CorruptionError where it is not what was written, DiskError where it is not there. */
export function readListing(disk: Disk, directory: string, number: number): BackupListing {
  const path = listingPath(directory, number);
  const bytes = readWhole(disk, path);
  const checkedLength = bytes.length - CHECKSUM_SIZE_BYTES;
  const isIntact =
    checkedLength > 0 &&
    crc32(bytes.subarray(0, checkedLength)) === readU32(bytes, checkedLength) &&
    readU32(bytes, 0) === MAGIC;
  if (!isIntact) throw new CorruptionError(path, 0, "the listing fails its checksum");
  try {
    return decode(new ByteReader(bytes, 0, checkedLength), path, number);
  } catch (error) {
    const isWrong = error instanceof DecodeError || error instanceof InvalidEditError;
    if (isWrong) throw new CorruptionError(path, 0, error.message);
    throw error;
  }
}

function decode(reader: ByteReader, path: string, named: number): BackupListing {
  reader.u32();
  const formatVersion = reader.u32();
  if (formatVersion < FIRST_VERSION || formatVersion > FORMAT_VERSION) {
    throw new CorruptionError(path, 4, `unknown backup format ${formatVersion}`);
  }
  const number = reader.u53();
  if (number !== named) throw new CorruptionError(path, 8, "it has the name of another one");
  const madeAtMs = reader.u53();
  const storeId = utf8Text(reader.rawView(STORE_ID_LENGTH));
  const cluster = formatVersion === FIRST_VERSION ? EMPTY_BYTES : reader.blobCopy();
  const edit = readEdit(reader);
  // Sees to it that the edit makes sense.
  new Catalog().apply(edit);
  return { number, madeAtMs, storeId, cluster, edit };
}

function digits(number: number): string {
  return number.toString(16).padStart(8, "0");
}
