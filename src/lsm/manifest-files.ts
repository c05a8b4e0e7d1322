/**
 * The files of a manifest by their names: two of the same bytes, and the marker that puts them in
 * force, an empty file with their number, so that nothing in it can tear or rot.
 */
import { ByteWriter } from "../base/coding.js";
import type { Steps } from "../base/steps.js";
import type { Disk, DiskFile } from "../env/disk.js";
import { DiskError, removeQuietly } from "../env/disk.js";
import type { Catalog } from "./catalog.js";
import { CatalogSnapshot } from "./catalog-snapshot.js";
import { encodeManifestHeader, writeRecord } from "./manifest-format.js";
import type { VersionEdit } from "./version-edit.js";

export const MARKER: RegExp = /^current-(\d+)$/;
export const MANIFEST: RegExp = /^manifest-(\d+)(?:\.copy)?$/;
export const COPY_SUFFIXES: readonly string[] = ["", ".copy"];

/** Operations of a record that tells a part of a catalog. */
export const RECORD_OPERATIONS = 512;
/** What is written at once: each write is durable when it is done. */
const WRITE_SIZE_BYTES = 1024 * 1024;

/** The manifest and its copy, open to be written. */
export interface StartedFile {
  readonly files: readonly DiskFile[];
  readonly number: number;
  readonly endOffset: number;
}

/**
 * Writes a manifest that holds the catalog, twice, durably; no marker names it yet. Large catalogs
 * take many records, of which the last only shows that the one before it is whole. Where that fails
 * nothing is left: starts on a full disk would pile up files.
 */
export function* startingFile(
  disk: Disk,
  directory: string,
  storeId: string,
  { number, catalog }: { readonly number: number; readonly catalog: Catalog },
): Steps<StartedFile> {
  const files = openCopies(disk, manifestPath(directory, number));
  try {
    const endOffset = yield* writing(files, storeId, number, catalog);
    disk.syncDirectory(directory);
    return { files, number, endOffset };
  } catch (error) {
    closeAll(files);
    if (isNoSpace(error)) for (const file of files) removeQuietly(disk, file.path);
    throw error;
  }
}

/** Where the content ends. */
function* writing(
  files: readonly DiskFile[],
  storeId: string,
  number: number,
  catalog: Catalog,
): Steps<number> {
  const writer = new ByteWriter(4096);
  writer.raw(encodeManifestHeader(number, storeId));
  let offset = 0;
  let records = 0;
  for (const edit of pieces(catalog)) {
    writeRecord(writer, edit, number, offset + writer.length);
    records++;
    if (writer.length < WRITE_SIZE_BYTES) {
      yield;
      continue;
    }
    offset = writeAll(files, writer, offset);
    yield;
  }
  const { nextFileNumber: fileNumber } = catalog;
  if (records > 1) {
    writeRecord(writer, [{ kind: "nextFileNumber", fileNumber }], number, offset + writer.length);
  }
  return writeAll(files, writer, offset);
}

function* pieces(catalog: Catalog): Generator<VersionEdit> {
  const snapshot = new CatalogSnapshot(catalog);
  for (let edit = snapshot.next(RECORD_OPERATIONS); edit !== undefined;) {
    yield edit;
    edit = snapshot.next(RECORD_OPERATIONS);
  }
}

/** Where the next write goes. */
function writeAll(files: readonly DiskFile[], writer: ByteWriter, offset: number): number {
  const { length } = writer;
  if (length > 0) for (const file of files) file.writeSync(writer.bytes, 0, length, offset);
  writer.reset();
  return offset + length;
}

/** Empty files, of which none is left where one of them cannot be made. */
export function openCopies(disk: Disk, path: string): readonly DiskFile[] {
  const files: DiskFile[] = [];
  try {
    for (const suffix of COPY_SUFFIXES) {
      const file = disk.open(`${path}${suffix}`, { create: true, dataSync: true });
      files.push(file);
      // Without a leftover the file needs no sync of its own: its writes are durable.
      if (file.sizeBytes() > 0) {
        file.truncateSync(0);
        file.syncSync();
      }
    }
    return files;
  } catch (error) {
    closeAll(files);
    if (isNoSpace(error)) for (const file of files) removeQuietly(disk, file.path);
    throw error;
  }
}

export function closeAll(files: readonly DiskFile[]): void {
  for (const file of files) file.close();
}

export function placeMarker(disk: Disk, directory: string, number: number): void {
  makeMarker(disk, directory, number);
  disk.syncDirectory(directory);
}

/** The marker is in force once the directory is synced. */
export function makeMarker(disk: Disk, directory: string, number: number): void {
  disk.open(markerPath(directory, number), { create: true }).close();
}

export function markerPath(directory: string, number: number): string {
  return `${directory}/current-${number}`;
}

/** Deletes markers, then manifests, before `number`; some of them may just be going. */
export function removeOlder(disk: Disk, directory: string, number: number): void {
  for (const pattern of [MARKER, MANIFEST]) {
    for (const name of disk.list(directory)) {
      const digits = pattern.exec(name)?.[1];
      if (digits !== undefined && Number(digits) < number) remove(disk, `${directory}/${name}`);
    }
  }
}

function remove(disk: Disk, path: string): void {
  try {
    disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "notFound")) throw error;
  }
}

export function newestNumber(names: readonly string[], pattern: RegExp): number | undefined {
  let newest: number | undefined = undefined;
  for (const name of names) {
    const digits = pattern.exec(name)?.[1];
    if (digits !== undefined && (newest === undefined || Number(digits) > newest)) {
      newest = Number(digits);
    }
  }
  return newest;
}

export function manifestPath(directory: string, number: number): string {
  return `${directory}/manifest-${number}`;
}

export function asDiskError(error: unknown, path: string): DiskError {
  return error instanceof DiskError ? error : new DiskError("io", path, error);
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === "noSpace";
}
