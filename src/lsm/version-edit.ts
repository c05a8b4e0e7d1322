/**
 * What a record of the manifest says: operations that take effect together or not at all. A kind
 * of operation has a number that never changes; an unknown one refuses to open the store.
 *
 * edit = u32 count, then per operation: u8 kind and its fields as written below
 */
import { must } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { DecodeError } from "../base/coding.js";
import type { KeyRange } from "../base/key-range.js";
import type { FlushedState } from "./entry.js";
import { isFamilyId } from "./families.js";
import type { Pack, Slice, TableFile } from "./slice.js";

export type EditOperation =
  | {
      readonly kind: "createTree";
      readonly shardId: number;
      readonly range: KeyRange;
      readonly flushed: FlushedState;
    }
  | { readonly kind: "dropTree"; readonly shardId: number }
  | { readonly kind: "setRange"; readonly shardId: number; readonly range: KeyRange }
  | { readonly kind: "setFlushed"; readonly shardId: number; readonly flushed: FlushedState }
  /** The tables in it are added in the same edit: a pack without tables is none. */
  | { readonly kind: "addPack"; readonly pack: Pack }
  | { readonly kind: "addFile"; readonly file: TableFile }
  | { readonly kind: "addSlice"; readonly shardId: number; readonly slice: Slice }
  | { readonly kind: "removeSlice"; readonly shardId: number; readonly slice: SliceName }
  | { readonly kind: "nextFileNumber"; readonly fileNumber: number }
  | { readonly kind: "startRun"; readonly run: number };

/** A slice as an operation names it: a tree's slices of one file and family do not overlap. */
export interface SliceName extends Pick<Slice, "fileNumber" | "family"> {
  /** Undefined where there was only one of a file and family, before trees could be cut. */
  readonly range: Pick<KeyRange, "start"> | undefined;
}

export type VersionEdit = readonly EditOperation[];

const KIND = {
  createTree: 1,
  dropTree: 2,
  setRange: 3,
  setFlushed: 4,
  addFile: 5,
  addSlice: 6,
  removeOnlySlice: 7,
  nextFileNumber: 8,
  startRun: 9,
  removeSlice: 10,
  addPack: 20,
  /** An addFile of a table in a pack. */
  addPacked: 21,
} as const;

export function writeEdit(writer: ByteWriter, edit: VersionEdit): void {
  writer.u32(edit.length);
  for (const operation of edit) writeOperation(writer, operation);
}

export function readEdit(reader: ByteReader): VersionEdit {
  const edit: EditOperation[] = [];
  for (let count = reader.u32(); count > 0; count--) edit.push(readOperation(reader));
  return edit;
}

function writeOperation(writer: ByteWriter, operation: EditOperation): void {
  const isPacked = operation.kind === "addFile" && operation.file.home !== undefined;
  writer.u8(KIND[isPacked ? "addPacked" : operation.kind]);
  switch (operation.kind) {
    case "createTree":
      writer.u53(operation.shardId);
      writeRange(writer, operation.range);
      return writeFlushedState(writer, operation.flushed);
    case "dropTree":
      return writer.u53(operation.shardId);
    case "setRange":
      writer.u53(operation.shardId);
      return writeRange(writer, operation.range);
    case "setFlushed":
      writer.u53(operation.shardId);
      return writeFlushedState(writer, operation.flushed);
    case "addPack":
      writer.u53(operation.pack.packNumber);
      return writer.u53(operation.pack.sizeBytes);
    case "addFile":
      writeTableFile(writer, operation.file);
      return writeHome(writer, operation.file);
    case "addSlice":
      writer.u53(operation.shardId);
      return writeSlice(writer, operation.slice);
    case "removeSlice":
      writer.u53(operation.shardId);
      return writeSliceName(writer, operation.slice);
    case "nextFileNumber":
      return writer.u53(operation.fileNumber);
    case "startRun":
      return writer.u53(operation.run);
  }
}

function readOperation(reader: ByteReader): EditOperation {
  const kind = reader.u8();
  switch (kind) {
    case KIND.createTree: {
      const shardId = reader.u53();
      const range = readRange(reader);
      return { kind: "createTree", shardId, range, flushed: readFlushedState(reader) };
    }
    case KIND.dropTree:
      return { kind: "dropTree", shardId: reader.u53() };
    case KIND.setRange:
      return { kind: "setRange", shardId: reader.u53(), range: readRange(reader) };
    case KIND.setFlushed:
      return { kind: "setFlushed", shardId: reader.u53(), flushed: readFlushedState(reader) };
    case KIND.addPack: {
      const pack = { packNumber: reader.u53(), sizeBytes: reader.u53() };
      return { kind: "addPack", pack };
    }
    case KIND.addFile:
      return { kind: "addFile", file: readTableFile(reader) };
    case KIND.addPacked: {
      const file = readTableFile(reader);
      const home = { packNumber: reader.u53(), offset: reader.u53() };
      return { kind: "addFile", file: { ...file, home } };
    }
    case KIND.addSlice:
      return { kind: "addSlice", shardId: reader.u53(), slice: readSlice(reader) };
    case KIND.removeOnlySlice:
    case KIND.removeSlice: {
      const shardId = reader.u53();
      return { kind: "removeSlice", shardId, slice: readSliceName(reader, kind) };
    }
    case KIND.nextFileNumber:
      return { kind: "nextFileNumber", fileNumber: reader.u53() };
    case KIND.startRun:
      return { kind: "startRun", run: reader.u53() };
    default:
      throw new DecodeError(`unknown operation ${kind} in an edit`);
  }
}

function writeSliceName(writer: ByteWriter, { fileNumber, family, range }: SliceName): void {
  writer.u53(fileNumber);
  writer.u8(family);
  writer.blob(must(range, "range of a slice that is named").start);
}

function readSliceName(reader: ByteReader, kind: number): SliceName {
  const fileNumber = reader.u53();
  const family = readFamily(reader);
  const range = kind === KIND.removeSlice ? { start: reader.blobCopy() } : undefined;
  return { fileNumber, family, range };
}

/** Without its home: that is a matter of the store it lies in. */
export function writeTableFile(writer: ByteWriter, file: TableFile): void {
  writer.u53(file.fileNumber);
  writer.u53(file.sizeBytes);
  writer.u32(file.checksum);
  writer.u32(file.salt);
}

function writeHome(writer: ByteWriter, { home }: TableFile): void {
  if (home === undefined) return;
  writer.u53(home.packNumber);
  writer.u53(home.offset);
}

export function readTableFile(reader: ByteReader): TableFile {
  return {
    fileNumber: reader.u53(),
    sizeBytes: reader.u53(),
    checksum: reader.u32(),
    salt: reader.u32(),
  };
}

export function writeSlice(writer: ByteWriter, slice: Slice): void {
  writer.u53(slice.fileNumber);
  writer.u8(slice.family);
  writer.u8(slice.level);
  writeRange(writer, slice.range);
  writeRange(writer, slice.filterRange);
  writer.u53(slice.minVersion);
  writer.u53(slice.maxVersion);
  writer.u53(slice.entryCount);
  writer.u53(slice.keyCount);
  writer.u53(slice.tombstoneCount);
  writer.u53(slice.sizeBytes);
}

export function readSlice(reader: ByteReader): Slice {
  return {
    fileNumber: reader.u53(),
    family: readFamily(reader),
    level: reader.u8(),
    range: readRange(reader),
    filterRange: readRange(reader),
    minVersion: reader.u53(),
    maxVersion: reader.u53(),
    entryCount: reader.u53(),
    keyCount: reader.u53(),
    tombstoneCount: reader.u53(),
    sizeBytes: reader.u53(),
  };
}

export function writeFlushedState(writer: ByteWriter, state: FlushedState): void {
  writer.u53(state.index);
  writer.u53(state.term);
  writer.u53(state.revision);
  writer.u53(state.compactedRevision);
  writer.u53(state.closedRevision);
  writer.u53(state.logicalClock);
  writer.blob(state.configuration);
}

export function readFlushedState(reader: ByteReader): FlushedState {
  return {
    index: reader.u53(),
    term: reader.u53(),
    revision: reader.u53(),
    compactedRevision: reader.u53(),
    closedRevision: reader.u53(),
    logicalClock: reader.u53(),
    configuration: reader.blobCopy(),
  };
}

function writeRange(writer: ByteWriter, range: KeyRange): void {
  writer.blob(range.start);
  writer.u8(range.end === undefined ? 0 : 1);
  writer.blob(range.end ?? EMPTY_BYTES);
}

function readRange(reader: ByteReader): KeyRange {
  const start = reader.blobCopy();
  const isBounded = reader.u8() === 1;
  const end = reader.blobCopy();
  return { start, end: isBounded ? end : undefined };
}

function readFamily(reader: ByteReader): Slice["family"] {
  const family = reader.u8();
  if (!isFamilyId(family)) throw new DecodeError(`unknown family ${family}`);
  return family;
}
