/**
 * The bytes of a manifest file.
 *
 * header, 64 bytes: u32 magic | u32 format version | u53 number of this file | 32 bytes store id in
 *   hexadecimal digits | 12 zero bytes | u32 checksum of the 60 bytes before
 * record, at a multiple of 8: u32 checksum | u32 length | payload | zeros to a multiple of 8
 *
 * The checksum of a record covers length and payload and is bound to file and offset. The first
 * record is the whole catalog, each later one an edit. The file is extended with zeros ahead of
 * its records. A manifest is kept in two files of the same bytes, written one after the other;
 * each record is taken from where it checks out. Where neither has one, zeros to the end are a
 * clean end; a valid record further on proves corruption; anything else is the torn tail of a
 * write that nobody was told of.
 */
import { finish } from "../base/steps.js";
import type { Steps } from "../base/steps.js";
import { must } from "../base/assert.js";
import { crc32, placedChecksum } from "../base/checksum.js";
import { ByteReader, ByteWriter, DecodeError, readU32, readU53 } from "../base/coding.js";
import { utf8, utf8Text } from "../base/bytes.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { VersionEdit } from "./version-edit.js";
import { readEdit, writeEdit } from "./version-edit.js";

const MAGIC = 0x316d_7466;
const FORMAT_VERSION = 1;
export const MANIFEST_HEADER_SIZE_BYTES = 64;
const STORE_ID_LENGTH = 32;
const STORE_ID_AT = 16;
const RECORD_HEADER_SIZE_BYTES = 8;
const ALIGNMENT = 8;

export interface ManifestContent {
  readonly storeId: string;
  readonly edits: readonly VersionEdit[];
  /** Where the records end. */
  readonly endOffset: number;
  /** Whether bytes of an unfinished write were left out. */
  readonly isTorn: boolean;
}

export function encodeManifestHeader(number: number, storeId: string): Uint8Array {
  const writer = new ByteWriter(MANIFEST_HEADER_SIZE_BYTES);
  writer.u32(MAGIC);
  writer.u32(FORMAT_VERSION);
  writer.u53(number);
  writer.raw(utf8(storeId));
  if (writer.length !== STORE_ID_AT + STORE_ID_LENGTH) throw new DecodeError("a store id is hex");
  writer.raw(new Uint8Array(MANIFEST_HEADER_SIZE_BYTES - 4 - writer.length));
  writer.u32(crc32(writer.view()));
  return writer.copy();
}

/** Appends a record for a file in which it will lie at `offset`. */
export function writeRecord(
  writer: ByteWriter,
  edit: VersionEdit,
  number: number,
  offset: number,
): void {
  const start = writer.reserve(RECORD_HEADER_SIZE_BYTES);
  writeEdit(writer, edit);
  const end = writer.length;
  writer.raw(new Uint8Array(-end & (ALIGNMENT - 1)));
  const view = new DataView(writer.bytes.buffer, writer.bytes.byteOffset);
  view.setUint32(start + 4, end - start - RECORD_HEADER_SIZE_BYTES, true);
  const checked = writer.bytes.subarray(start + 4, end);
  view.setUint32(start, placedChecksum(checked, number, offset), true);
}

/** Where each copy of a manifest differs from what all of them together say; in their order. */
export function damagedPlaces(
  copies: readonly Uint8Array[],
  number: number,
): readonly (readonly number[])[] {
  const places = copies.map((bytes) => (isHeaderIntact(bytes) ? [] : [0]));
  let at = MANIFEST_HEADER_SIZE_BYTES;
  for (;;) {
    const ends = copies.map((bytes) => recordEnd(bytes, at, number));
    const end = ends.find((each) => each !== undefined);
    if (end === undefined) return places;
    for (const [copy, each] of ends.entries()) if (each === undefined) places[copy]!.push(at);
    at = end;
  }
}

/** Reads the copies of a manifest together: what one has lost another may have. */
export function decodeManifest(
  copies: readonly Uint8Array[],
  number: number,
  path: string,
): ManifestContent {
  return finish(decodingManifest(copies, number, path));
}

/** The same, a record a step. */
export function* decodingManifest(
  copies: readonly Uint8Array[],
  number: number,
  path: string,
): Steps<ManifestContent> {
  const intact = copies.find(isHeaderIntact);
  if (intact === undefined)
    throw new CorruptionError(path, 0, "the header of the manifest is damaged");
  const storeId = decodeHeader(intact, number, path);
  const edits: VersionEdit[] = [];
  let at = MANIFEST_HEADER_SIZE_BYTES;
  for (;;) {
    const found = copies.find((bytes) => recordEnd(bytes, at, number) !== undefined);
    if (found === undefined) break;
    edits.push(decodeEdit(found, at, path));
    at = must(recordEnd(found, at, number));
    yield;
  }
  const torn = copies.filter((bytes) => !isZero(bytes, at));
  for (const bytes of torn) refuseIfFollowed(bytes, at, number, path);
  const isTorn = torn.length > 0;
  return { storeId, edits, endOffset: at, isTorn };
}

function isHeaderIntact(bytes: Uint8Array): boolean {
  const checkedLength = MANIFEST_HEADER_SIZE_BYTES - 4;
  return (
    bytes.length >= MANIFEST_HEADER_SIZE_BYTES &&
    readU32(bytes, checkedLength) === crc32(bytes.subarray(0, checkedLength)) &&
    readU32(bytes, 0) === MAGIC
  );
}

function decodeHeader(bytes: Uint8Array, number: number, path: string): string {
  const formatVersion = readU32(bytes, 4);
  if (formatVersion !== FORMAT_VERSION) {
    throw new CorruptionError(path, 4, `unknown manifest format ${formatVersion}`);
  }
  if (readU53(bytes, 8) !== number) {
    throw new CorruptionError(path, 8, "the manifest has the name of another one");
  }
  return utf8Text(bytes.subarray(STORE_ID_AT, STORE_ID_AT + STORE_ID_LENGTH));
}

/** Where the record at `at` ends, padding included; undefined where there is no valid one. */
function recordEnd(bytes: Uint8Array, at: number, number: number): number | undefined {
  if (at + RECORD_HEADER_SIZE_BYTES > bytes.length) return undefined;
  const length = readU32(bytes, at + 4);
  const end = at + RECORD_HEADER_SIZE_BYTES + length;
  if (length === 0 || end > bytes.length) return undefined;
  if (readU32(bytes, at) !== placedChecksum(bytes.subarray(at + 4, end), number, at)) {
    return undefined;
  }
  return end + (-end & (ALIGNMENT - 1));
}

function decodeEdit(bytes: Uint8Array, at: number, path: string): VersionEdit {
  const start = at + RECORD_HEADER_SIZE_BYTES;
  try {
    return readEdit(new ByteReader(bytes, start, start + readU32(bytes, at + 4)));
  } catch (error) {
    if (error instanceof DecodeError) throw new CorruptionError(path, at, error.message);
    throw error;
  }
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let i = from; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function refuseIfFollowed(bytes: Uint8Array, at: number, number: number, path: string): void {
  for (let other = at + ALIGNMENT; other < bytes.length; other += ALIGNMENT) {
    if (recordEnd(bytes, other, number) !== undefined) {
      throw new CorruptionError(path, at, "a record is damaged and later ones are not");
    }
  }
}
