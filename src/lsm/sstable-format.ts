/**
 * An sstable: the sorted entries of one or more families of a tree, immutable once written.
 *
 *   for each family, ascending by id, one section:
 *     key blocks and value blocks as they fill, then value index, filter, key index (its blocks
 *     before its top)
 *   directory
 *   footer, 48 bytes at the end
 *
 * A key block holds rows as block-format.ts says. A value block is values one after another; a
 * value of 1 KiB or more lies in one, apart from its key. The key index is a block whose rows
 * are the first (key, version) of each key block, with this value:
 *   u53 offset | u32 size | u53 smallest version | u53 largest version
 * Where that is more than a block, it is many, and the key index a block of a row for each:
 *   u53 offset | u32 size | u32 ordinal of the first key block that it tells of
 * The value index is a list of: u53 offset | u32 size. The filter is described in filter.ts.
 * Offsets are from the start of the file; a size leaves out the checksum behind the block.
 *
 * Every block, index, filter and the directory is followed by its u32 checksum, which is bound to
 * the file's salt and the offset (placedChecksum), so that a block found at a wrong place fails.
 * Each ends in zeros up to a multiple of 4.
 *
 * Footer: u32 magic | u32 format version | u32 salt | u32 zero | u53 directory offset |
 *   u32 directory size | u32 × 4 zero | u32 checksum of the 44 bytes before
 */
import { crc32 } from "../base/checksum.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { FamilyId } from "./families.js";
import { isFamilyId } from "./families.js";

export const SSTABLE_MAGIC = 0x3173_7466;
export const SSTABLE_FORMAT_VERSION = 2;
/** Its key indexes have one level, and their sections do not say how many blocks there are. */
const FORMAT_VERSION_WITHOUT_LEVELS = 1;
export const FOOTER_SIZE_BYTES = 48;
/** One page of the system: what a get reads that finds it nowhere. Measured: bench storage, get. */
export const KEY_BLOCK_SIZE_BYTES: number = 4 * 1024;
export const APART_VALUE_SIZE_BYTES_MIN = 1024;
export const VALUE_HANDLE_SIZE_BYTES = 12;

export interface BlockHandle {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The key index: its only block, or its top. */
export interface IndexInfo extends BlockHandle {
  /** Whether it has two levels. */
  readonly isDeep: boolean;
  /** How many key blocks there are. */
  readonly blockCount: number;
}

/** What the directory says about one family's section. */
export interface SectionInfo {
  readonly family: FamilyId;
  readonly entryCount: number;
  readonly keyCount: number;
  readonly tombstoneCount: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Bytes of the section in the file. */
  readonly sizeBytes: number;
  readonly smallestKey: Uint8Array;
  readonly largestKey: Uint8Array;
  readonly keyIndex: IndexInfo;
  readonly valueIndex: BlockHandle;
  readonly filter: BlockHandle;
}

export interface Footer {
  readonly formatVersion: number;
  readonly salt: number;
  readonly directory: BlockHandle;
}

export function encodeFooter(footer: Omit<Footer, "formatVersion">): Uint8Array {
  const bytes = new Uint8Array(FOOTER_SIZE_BYTES);
  writeU32(bytes, 0, SSTABLE_MAGIC);
  writeU32(bytes, 4, SSTABLE_FORMAT_VERSION);
  writeU32(bytes, 8, footer.salt);
  writeU53(bytes, 16, footer.directory.offset);
  writeU32(bytes, 24, footer.directory.sizeBytes);
  writeU32(bytes, FOOTER_SIZE_BYTES - 4, crc32(bytes.subarray(0, FOOTER_SIZE_BYTES - 4)));
  return bytes;
}

export function decodeFooter(bytes: Uint8Array, path: string, offset: number): Footer {
  const expected = crc32(bytes.subarray(0, FOOTER_SIZE_BYTES - 4));
  if (readU32(bytes, FOOTER_SIZE_BYTES - 4) !== expected) {
    throw new CorruptionError(path, offset, "the footer fails its checksum");
  }
  if (readU32(bytes, 0) !== SSTABLE_MAGIC) {
    throw new CorruptionError(path, offset, "this is no sstable");
  }
  const formatVersion = readU32(bytes, 4);
  if (formatVersion < FORMAT_VERSION_WITHOUT_LEVELS || formatVersion > SSTABLE_FORMAT_VERSION) {
    throw new CorruptionError(path, offset, `unknown sstable format ${formatVersion}`);
  }
  return { formatVersion, salt: readU32(bytes, 8), directory: handleAt(bytes, 16) };
}

export function writeSection(writer: ByteWriter, info: SectionInfo): void {
  writer.u8(info.family);
  writer.u53(info.entryCount);
  writer.u53(info.keyCount);
  writer.u53(info.tombstoneCount);
  writer.u53(info.minVersion);
  writer.u53(info.maxVersion);
  writer.u53(info.sizeBytes);
  writer.blob(info.smallestKey);
  writer.blob(info.largestKey);
  for (const handle of [info.keyIndex, info.valueIndex, info.filter]) {
    writeHandle(writer, handle);
  }
  writer.u8(info.keyIndex.isDeep ? 2 : 1);
  writer.u32(info.keyIndex.blockCount);
}

/** `rowCountOf`: reads how many rows the block has that this handle leads to. */
export function readSection(
  reader: ByteReader,
  path: string,
  formatVersion: number,
  rowCountOf: (handle: BlockHandle) => number,
): SectionInfo {
  const family = reader.u8();
  if (!isFamilyId(family)) throw new CorruptionError(path, 0, `unknown family ${family}`);
  const counts = {
    entryCount: reader.u53(),
    keyCount: reader.u53(),
    tombstoneCount: reader.u53(),
    minVersion: reader.u53(),
    maxVersion: reader.u53(),
    sizeBytes: reader.u53(),
  };
  const bounds = { smallestKey: reader.blobCopy(), largestKey: reader.blobCopy() };
  const index = readHandle(reader);
  const valueIndex = readHandle(reader);
  const filter = readHandle(reader);
  const keyIndex =
    formatVersion === FORMAT_VERSION_WITHOUT_LEVELS
      ? { ...index, isDeep: false, blockCount: rowCountOf(index) }
      : { ...index, ...readLevels(reader, path) };
  return { family, ...counts, ...bounds, keyIndex, valueIndex, filter };
}

function readLevels(reader: ByteReader, path: string): Pick<IndexInfo, "isDeep" | "blockCount"> {
  const levels = reader.u8();
  if (levels !== 1 && levels !== 2)
    throw new CorruptionError(path, 0, `an index of ${levels} levels`);
  return { isDeep: levels === 2, blockCount: reader.u32() };
}

/** A handle everywhere: u53 offset | u32 size. */
export function writeHandle(writer: ByteWriter, { offset, sizeBytes }: BlockHandle): void {
  writer.u53(offset);
  writer.u32(sizeBytes);
}

export function handleAt(bytes: Uint8Array, at: number): BlockHandle {
  return { offset: readU53(bytes, at), sizeBytes: readU32(bytes, at + 8) };
}

function readHandle(reader: ByteReader): BlockHandle {
  return { offset: reader.u53(), sizeBytes: reader.u32() };
}
