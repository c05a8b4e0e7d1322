/**
 * The manifest: the one place that says which files make up which trees. An edit is durable when
 * append returns, or when appendSoon says so: that one does not hold up the event loop. Records
 * become durable in their order, one at a time. The manifest is kept twice, in `manifest-<number>`
 * and a copy beside it, so that no single damaged place loses a record: the copy is written once
 * the first is durable, because a power cut may damage what is being written. The active pair is
 * named by a marker, an empty file `current-<number>`: there is no content in it that could tear or
 * rot. Room for records is made ahead with zeros, so that a full disk is noticed before anything of
 * a record was written.
 *
 * Rotation: write the new files with the whole catalog, sync them and the directory, create their
 * marker, sync the directory, and only then delete the old marker and files. Each start rotates, so
 * nothing is ever appended behind a torn tail, and both copies are whole again.
 */
import { assert, must } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import type { Disk, DiskFile } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { Catalog, InvalidEditError } from "./catalog.js";
import {
  MANIFEST_HEADER_SIZE_BYTES,
  decodeManifest,
  encodeManifestHeader,
  writeRecord,
} from "./manifest-format.js";
import type { ManifestContent } from "./manifest-format.js";
import type { VersionEdit } from "./version-edit.js";

const MARKER = /^current-(\d+)$/;
const MANIFEST = /^manifest-(\d+)(?:\.copy)?$/;
const COPY_SUFFIXES = ["", ".copy"] as const;
const RESERVE_SIZE_BYTES = 64 * 1024;
/** What a disk gives or does not give as one. */
const PIECE_SIZE_BYTES = 4096;
const ROTATE_SIZE_BYTES = 4 * 1024 * 1024;

export class Manifest {
  readonly storeId: string;
  readonly catalog: Catalog;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #onFailure: (error: DiskError) => void;
  readonly #writer: ByteWriter = new ByteWriter(4096);
  #files: readonly DiskFile[];
  #number: number;
  #endOffset: number;
  #reservedOffset: number;
  /** Size of the file right after its rotation. */
  #baseSizeBytes: number;
  #isBroken = false;
  #isClosed = false;
  /** Records that are in the catalog and not yet durable, in order; the first may be in flight. */
  readonly #waiting: WaitingRecord[] = [];
  /** Whether a write to one of the files has not come back; there is never a second one. */
  #isWriting = false;

  private constructor(
    { disk, directory, storeId, onFailure }: ManifestPlace,
    catalog: Catalog,
    started: StartedFile,
  ) {
    this.#disk = disk;
    this.#directory = directory;
    this.#onFailure = onFailure;
    this.storeId = storeId;
    this.catalog = catalog;
    this.#files = started.files;
    this.#number = started.number;
    this.#endOffset = started.endOffset;
    this.#reservedOffset = started.endOffset;
    this.#baseSizeBytes = started.endOffset;
  }

  /** Whether a directory has a manifest that is in force. */
  static exists(disk: Disk, directory: string): boolean {
    return newestNumber(disk.list(directory), MARKER) !== undefined;
  }

  /** Starts the manifest of an empty store. */
  static create(disk: Disk, directory: string, storeId: string): void {
    const started = startFile(disk, directory, storeId, 1, new Catalog());
    closeAll(started.files);
    placeMarker(disk, directory, 1);
  }

  /** Which store the directory's manifest belongs to. */
  static storeIdOf(disk: Disk, directory: string): string {
    return readContent(disk, directory).storeId;
  }

  /**
   * The files of the manifest in force, whatever state they are in; undefined without a marker.
   * What cannot be read is zeros; throws DiskError where no file can be read from end to end.
   */
  static copiesIn(disk: Disk, directory: string): ManifestCopies | undefined {
    const number = newestNumber(disk.list(directory), MARKER);
    if (number === undefined) return undefined;
    const paths = COPY_SUFFIXES.map((suffix) => `${manifestPath(directory, number)}${suffix}`);
    const present = paths.filter((path) => disk.exists(path));
    const copies = present.map((path) => ({ path, ...readPieces(disk, path) }));
    // What cannot be read in both may be the end of both: nothing else would tell of it.
    const [first] = copies;
    if (first?.error !== undefined && copies.every(({ error }) => error !== undefined)) {
      throw first.error;
    }
    return { number, paths, copies };
  }

  /**
   * Reads the manifest in force, counts up the run and goes on in a new file. `onFailure` is called
   * once, with the error after which no edit is taken any more: that may be the error of a write
   * whose edit an append has made durable meanwhile, which nobody waits for.
   */
  static open(
    disk: Disk,
    directory: string,
    onFailure: (error: DiskError) => void = () => undefined,
  ): Manifest {
    const { number, path, storeId, edits } = readContent(disk, directory);
    if (edits.length === 0) throw new CorruptionError(path, 0, "the manifest has no records");
    const catalog = new Catalog();
    for (const edit of edits) replay(catalog, edit, path);
    catalog.apply([{ kind: "startRun", run: catalog.run + 1 }]);
    const next = 1 + (newestNumber(disk.list(directory), MANIFEST) ?? number);
    const started = startFile(disk, directory, storeId, next, catalog);
    placeMarker(disk, directory, next);
    removeOlder(disk, directory, next);
    return new Manifest({ disk, directory, storeId, onFailure }, catalog, started);
  }

  get sizeBytes(): number {
    return this.#endOffset;
  }

  /**
   * Makes an edit durable and applies it to the catalog. Throws DiskError "noSpace" where there is
   * no room, and nothing has changed then; after any other error the manifest takes no edits.
   */
  append(edit: VersionEdit): void {
    this.#waiting.push(this.#add(edit, undefined));
    // Those before it first: what is in flight is written again, the same bytes to the same place.
    for (const file of this.#files) this.#writeWaiting(file);
    for (const { done } of this.#waiting.splice(0)) done?.(undefined);
  }

  /**
   * As append, but the edit is in the catalog before it is durable: `done` is called when it is, in
   * the order of the edits, or with the error that the manifest broke by. Lack of room is thrown.
   */
  appendSoon(edit: VersionEdit, done: (error: DiskError | undefined) => void): void {
    this.#waiting.push(this.#add(edit, done));
    this.#writeNext();
  }

  /** The files are closed when no write to them is on its way or waits any more. */
  close(): void {
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  /** Gives an edit its place and applies it to the catalog. */
  #add(edit: VersionEdit, done: WaitingRecord["done"]): WaitingRecord {
    assert(!this.#isBroken, "the manifest failed before");
    const isLarge = this.#endOffset > Math.max(ROTATE_SIZE_BYTES, this.#baseSizeBytes * 2);
    if (isLarge && this.#waiting.length === 0 && !this.#isWriting) this.#rotate();
    const writer = this.#writer;
    writer.reset();
    writeRecord(writer, edit, this.#number, this.#endOffset);
    this.#reserve(writer.length);
    this.catalog.apply(edit);
    const record = { bytes: writer.copy(), offset: this.#endOffset, done };
    this.#endOffset += writer.length;
    return record;
  }

  /** Writes what waits into its reserve, where lack of room is no excuse. */
  #writeWaiting(file: DiskFile): void {
    try {
      for (const { bytes, offset } of this.#waiting) {
        file.writeSync(bytes, 0, bytes.length, offset);
      }
    } catch (error) {
      const broken = new DiskError("io", file.path, error);
      this.#break(broken);
      throw broken;
    }
  }

  /** Begins to write the first record that waits, unless a write is on its way. */
  #writeNext(): void {
    const record = this.#waiting[0];
    if (record !== undefined && !this.#isBroken && !this.#isWriting) this.#writeCopy(record, 0);
  }

  #writeCopy(record: WaitingRecord, copy: number): void {
    const file = must(this.#files[copy]);
    this.#isWriting = true;
    file.write(record.bytes, record.bytes.length, record.offset, (error) => {
      this.#isWriting = false;
      if (error !== undefined) this.#break(new DiskError("io", file.path, error));
      // An append that could not wait has written this record, too.
      else if (this.#waiting[0] !== record) this.#writeNext();
      else if (copy + 1 < this.#files.length) this.#writeCopy(record, copy + 1);
      else this.#written(record);
      this.#closeWhenIdle();
    });
  }

  #written(record: WaitingRecord): void {
    this.#waiting.shift();
    this.#writeNext();
    record.done?.(undefined);
  }

  #closeWhenIdle(): void {
    if (!this.#isClosed || this.#isWriting) return;
    closeAll(this.#files);
    this.#files = [];
  }

  #break(error: DiskError): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#onFailure(error);
    for (const { done } of this.#waiting.splice(0)) done?.(error);
  }

  #reserve(length: number): void {
    const needed = this.#endOffset + length;
    if (needed <= this.#reservedOffset) return;
    const zeros = new Uint8Array(Math.max(RESERVE_SIZE_BYTES, needed - this.#reservedOffset));
    try {
      for (const file of this.#files) {
        file.writeSync(zeros, 0, zeros.length, this.#reservedOffset);
      }
    } catch (error) {
      // What the failed write left are zeros: the next attempt writes over them.
      if (!isNoSpace(error)) this.#break(asDiskError(error, this.#directory));
      throw error;
    }
    this.#reservedOffset += zeros.length;
  }

  /** Goes on in a new file; on a full disk it goes on in the old one. */
  #rotate(): void {
    const number = this.#number + 1;
    let started: StartedFile;
    try {
      started = startFile(this.#disk, this.#directory, this.storeId, number, this.catalog);
    } catch (error) {
      if (isNoSpace(error)) {
        this.#baseSizeBytes = this.#endOffset;
        return;
      }
      this.#break(asDiskError(error, this.#directory));
      throw error;
    }
    try {
      placeMarker(this.#disk, this.#directory, number);
    } catch (error) {
      // Either file may be the one in force after a crash: there is no way back, nor for no room.
      const broken = new DiskError("io", this.#directory, error);
      this.#break(broken);
      throw broken;
    }
    closeAll(this.#files);
    removeOlder(this.#disk, this.#directory, number);
    this.#files = started.files;
    this.#number = number;
    this.#endOffset = started.endOffset;
    this.#reservedOffset = started.endOffset;
    this.#baseSizeBytes = started.endOffset;
  }
}

export interface ManifestCopies {
  readonly number: number;
  /** Where the copies should be. */
  readonly paths: readonly string[];
  readonly copies: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

interface WaitingRecord {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly done: ((error: DiskError | undefined) => void) | undefined;
}

interface ManifestPlace {
  readonly disk: Disk;
  readonly directory: string;
  readonly storeId: string;
  readonly onFailure: (error: DiskError) => void;
}

interface StartedFile {
  /** The manifest and its copy. */
  readonly files: readonly DiskFile[];
  readonly number: number;
  readonly endOffset: number;
}

/** Writes a manifest that holds the catalog, twice, durably; no marker names it yet. */
function startFile(
  disk: Disk,
  directory: string,
  storeId: string,
  number: number,
  catalog: Catalog,
): StartedFile {
  const writer = new ByteWriter(4096);
  writer.raw(encodeManifestHeader(number, storeId));
  writeRecord(writer, catalog.snapshot(), number, MANIFEST_HEADER_SIZE_BYTES);
  const files = startCopies(disk, manifestPath(directory, number), writer);
  disk.syncDirectory(directory);
  return { files, number, endOffset: writer.length };
}

/** Where that fails nothing is left: starts on a full disk would pile up files. */
function startCopies(disk: Disk, path: string, content: ByteWriter): readonly DiskFile[] {
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
      file.writeSync(content.bytes, 0, content.length, 0);
    }
    return files;
  } catch (error) {
    closeAll(files);
    if (isNoSpace(error)) for (const file of files) disk.remove(file.path);
    throw error;
  }
}

function closeAll(files: readonly DiskFile[]): void {
  for (const file of files) file.close();
}

function placeMarker(disk: Disk, directory: string, number: number): void {
  disk.open(`${directory}/current-${number}`, { create: true }).close();
  disk.syncDirectory(directory);
}

/** Deletes the markers and manifests before `number`; markers first. */
function removeOlder(disk: Disk, directory: string, number: number): void {
  for (const pattern of [MARKER, MANIFEST]) {
    for (const name of disk.list(directory)) {
      const digits = pattern.exec(name)?.[1];
      if (digits !== undefined && Number(digits) < number) disk.remove(`${directory}/${name}`);
    }
  }
}

function newestNumber(names: readonly string[], pattern: RegExp): number | undefined {
  let newest: number | undefined = undefined;
  for (const name of names) {
    const digits = pattern.exec(name)?.[1];
    if (digits !== undefined && (newest === undefined || Number(digits) > newest)) {
      newest = Number(digits);
    }
  }
  return newest;
}

function manifestPath(directory: string, number: number): string {
  return `${directory}/manifest-${number}`;
}

/** The manifest in force, from whatever is left of its copies. */
function readContent(
  disk: Disk,
  directory: string,
): ManifestContent & { readonly number: number; readonly path: string } {
  const found = Manifest.copiesIn(disk, directory);
  if (found === undefined) throw new CorruptionError(directory, 0, "there is no manifest");
  const { number, copies } = found;
  const path = manifestPath(directory, number);
  if (copies.length === 0) {
    throw new CorruptionError(path, 0, "the manifest that the marker names is not there");
  }
  const bytes = copies.map((copy) => copy.bytes);
  return { ...decodeManifest(bytes, number, path), number, path };
}

/** The bytes of a file; those that cannot be read are zeros, and `error` says why. */
function readPieces(
  disk: Disk,
  path: string,
): { readonly bytes: Uint8Array; readonly error: DiskError | undefined } {
  const file = disk.open(path, { readOnly: true });
  const bytes = new Uint8Array(file.sizeBytes());
  let failure: DiskError | undefined;
  for (let at = 0; at < bytes.length; at += PIECE_SIZE_BYTES) {
    try {
      file.readSync(bytes, at, Math.min(PIECE_SIZE_BYTES, bytes.length - at), at);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "io") throw error;
      failure = error;
    }
  }
  file.close();
  return { bytes, error: failure };
}

function replay(catalog: Catalog, edit: VersionEdit, path: string): void {
  try {
    catalog.apply(edit);
  } catch (error) {
    if (error instanceof InvalidEditError) throw new CorruptionError(path, 0, error.message);
    throw error;
  }
}

function asDiskError(error: unknown, path: string): DiskError {
  return error instanceof DiskError ? error : new DiskError("io", path, error);
}

function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === "noSpace";
}
