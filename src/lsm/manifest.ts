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
 * nothing is ever appended behind a torn tail, and both copies are whole again. While a store runs
 * the new files are written beside the old ones (manifest-rotation.ts); when they have everything,
 * edits go to them, and none of those is durable before the marker is.
 */
import { finish } from "../base/steps.js";
import type { Steps } from "../base/steps.js";
import { assert, must } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import type { Disk, DiskFile } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { Catalog, InvalidEditError } from "./catalog.js";
import {
  asDiskError,
  closeAll,
  COPY_SUFFIXES,
  isNoSpace,
  makeMarker,
  MANIFEST,
  manifestPath,
  MARKER,
  markerPath,
  newestNumber,
  placeMarker,
  removeOlder,
  startingFile,
} from "./manifest-files.js";
import type { StartedFile } from "./manifest-files.js";
import { decodingManifest, writeRecord } from "./manifest-format.js";
import type { ManifestContent } from "./manifest-format.js";
import { ManifestRotation } from "./manifest-rotation.js";
import type { VersionEdit } from "./version-edit.js";

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
  readonly #rotateSizeBytes: number;
  #rotation: ManifestRotation | undefined = undefined;
  #placing: Placing | undefined = undefined;

  private constructor(
    { disk, directory, storeId, onFailure, rotateSizeBytes }: ManifestPlace,
    catalog: Catalog,
    started: StartedFile,
  ) {
    this.#rotateSizeBytes = rotateSizeBytes;
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
    const started = finish(
      startingFile(disk, directory, storeId, { number: 1, catalog: new Catalog() }),
    );
    closeAll(started.files);
    placeMarker(disk, directory, 1);
  }

  /** Which store the directory's manifest belongs to. */
  static storeIdOf(disk: Disk, directory: string): string {
    return finish(readingContent(disk, directory)).storeId;
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
   * whose edit an append has made durable meanwhile, which nobody waits for. Files that are larger
   * than `rotateSizeBytes`, and than twice the catalog, are replaced by new ones.
   */
  static open(
    disk: Disk,
    directory: string,
    onFailure: (error: DiskError) => void = () => undefined,
    rotateSizeBytes: number = ROTATE_SIZE_BYTES,
  ): Manifest {
    return finish(Manifest.opening(disk, directory, onFailure, { rotateSizeBytes }));
  }

  /** The same in short steps, some trees each. One of another store is left as it is. */
  static *opening(
    disk: Disk,
    directory: string,
    onFailure: (error: DiskError) => void,
    { rotateSizeBytes = ROTATE_SIZE_BYTES, ownerId }: ManifestOptions,
  ): Steps<Manifest> {
    const { number, path, storeId, edits } = yield* readingContent(disk, directory);
    if (ownerId !== undefined && ownerId !== storeId) {
      throw new CorruptionError(directory, 0, "the manifest belongs to another store");
    }
    if (edits.length === 0) throw new CorruptionError(path, 0, "the manifest has no records");
    const catalog = new Catalog();
    for (const edit of edits) {
      replay(catalog, edit, path);
      yield;
    }
    catalog.apply([{ kind: "startRun", run: catalog.run + 1 }]);
    const next = 1 + (newestNumber(disk.list(directory), MANIFEST) ?? number);
    const started = yield* startingFile(disk, directory, storeId, { number: next, catalog });
    placeMarker(disk, directory, next);
    removeOlder(disk, directory, next);
    const place = { disk, directory, storeId, onFailure, rotateSizeBytes };
    return new Manifest(place, catalog, started);
  }

  get sizeBytes(): number {
    return this.#endOffset;
  }

  /**
   * Makes an edit durable and applies it to the catalog. Throws DiskError "noSpace" where there is
   * no room, and nothing has changed then; after any other error the manifest takes no edits.
   */
  append(edit: VersionEdit): void {
    this.#add(edit, undefined);
    if (this.#placing !== undefined) this.#placeNow(this.#placing);
    // Those before it first: what is in flight is written again, the same bytes to the same place.
    for (const file of this.#files) this.#writeWaiting(file);
    for (const { done } of this.#waiting.splice(0)) done?.(undefined);
    this.#rotateWhenLarge();
  }

  /**
   * As append, but the edit is in the catalog before it is durable: `done` is called when it is, in
   * the order of the edits, or with the error that the manifest broke by. Lack of room is thrown.
   */
  appendSoon(edit: VersionEdit, done: (error: DiskError | undefined) => void): void {
    this.#add(edit, done);
    this.#rotateWhenLarge();
    this.#writeNext();
  }

  /** The files are closed when no write to them is on its way or waits any more. */
  close(): void {
    this.#isClosed = true;
    this.#rotation?.abandon();
    this.#rotation = undefined;
    this.#writeNext();
    this.#closeWhenIdle();
  }

  /** Gives an edit its place, applies it to the catalog and lets it wait. */
  #add(edit: VersionEdit, done: WaitingRecord["done"]): void {
    assert(!this.#isBroken, "the manifest failed before");
    const record = this.#recordOf(edit, done);
    this.catalog.apply(edit);
    this.#endOffset += record.bytes.length;
    this.#waiting.push(record);
    this.#rotation?.add(edit);
  }

  /** Throws where there is no room for it. */
  #recordOf(edit: VersionEdit, done: WaitingRecord["done"]): WaitingRecord {
    const writer = this.#writer;
    writer.reset();
    writeRecord(writer, edit, this.#number, this.#endOffset);
    this.#reserve(writer.length);
    return { bytes: writer.copy(), offset: this.#endOffset, done };
  }

  get #isLarge(): boolean {
    return this.#endOffset > Math.max(this.#rotateSizeBytes, this.#baseSizeBytes * 2);
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
    if (this.#isBroken || this.#isWriting || this.#placing !== undefined) return;
    // What waits is about to be in the new files, too.
    if (this.#rotation?.isReady === true) this.#takeOver(this.#rotation);
    if (this.#rotation?.isNear === true || this.#placing !== undefined) return;
    const record = this.#waiting[0];
    if (record !== undefined) this.#writeCopy(record, 0);
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
    if (!this.#isClosed || this.#isWriting || this.#placing !== undefined) return;
    closeAll(this.#files);
    this.#files = [];
  }

  #break(error: DiskError): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#rotation?.abandon();
    this.#rotation = undefined;
    this.#onFailure(error);
    const waiting = [...(this.#placing?.records ?? []), ...this.#waiting.splice(0)];
    this.#placing = undefined;
    for (const { done } of waiting) done?.(error);
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

  /** Begins to write new files; on a full disk it goes on in the old ones. */
  #rotateWhenLarge(): void {
    if (!this.#isLarge || this.#rotation !== undefined || this.#placing !== undefined) return;
    const number = this.#number + 1;
    const reservedBytes = 2 * Math.max(this.#rotateSizeBytes, this.#baseSizeBytes);
    const place = { disk: this.#disk, directory: this.#directory, storeId: this.storeId };
    try {
      this.#rotation = new ManifestRotation({ ...place, number, reservedBytes }, this.catalog, {
        ready: () => this.#writeNext(),
        failed: (error) => this.#rotationFailed(error),
      });
    } catch (error) {
      this.#rotationFailed(asDiskError(error, this.#directory));
    }
  }

  #rotationFailed(error: DiskError): void {
    this.#rotation = undefined;
    if (!isNoSpace(error)) return this.#break(error);
    this.#baseSizeBytes = this.#endOffset;
    this.#writeNext();
  }

  /** From here on edits go to the new files, which have all that waits for the old ones. */
  #takeOver(rotation: ManifestRotation): void {
    const replacedNumber = this.#number;
    closeAll(this.#files);
    const { files, number, endOffset, reservedOffset } = rotation.takeOver();
    this.#rotation = undefined;
    this.#files = files;
    this.#number = number;
    this.#endOffset = endOffset;
    this.#reservedOffset = reservedOffset;
    this.#baseSizeBytes = endOffset;
    const placing = { records: this.#waiting.splice(0) };
    this.#placing = placing;
    try {
      makeMarker(this.#disk, this.#directory, number);
    } catch (error) {
      this.#placeFailed(error);
      return;
    }
    this.#disk.change([{ kind: "sync", path: this.#directory }], (error) => {
      if (error !== undefined) this.#placeFailed(error);
      else if (this.#placing === placing) this.#placed(placing);
      if (error === undefined) this.#removeReplaced(replacedNumber);
      this.#writeNext();
      this.#closeWhenIdle();
    });
  }

  /** For an edit that does not wait. */
  #placeNow(placing: Placing): void {
    try {
      this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      throw this.#placeFailed(error);
    }
    this.#placed(placing);
  }

  /** The new files are in force. */
  #placed({ records }: Placing): void {
    this.#placing = undefined;
    for (const { done } of records) done?.(undefined);
  }

  /** Either pair may be in force after a crash: there is no way back, nor for no room. */
  #placeFailed(error: unknown): DiskError {
    const broken = new DiskError("io", this.#directory, error);
    this.#break(broken);
    return broken;
  }

  /** What is not deleted here the next start deletes. */
  #removeReplaced(number: number): void {
    const path = manifestPath(this.#directory, number);
    const paths = [
      markerPath(this.#directory, number),
      ...COPY_SUFFIXES.map((suffix) => `${path}${suffix}`),
    ];
    this.#disk.change(
      paths.map((each) => ({ kind: "remove", path: each })),
      () => undefined,
    );
  }
}

/** The marker of the files is on its way to the disk. */
interface Placing {
  /** What was durable nowhere when it set out. */
  readonly records: readonly WaitingRecord[];
}

export interface ManifestOptions {
  readonly rotateSizeBytes?: number | undefined;
  /** The store that it has to be of. */
  readonly ownerId?: string | undefined;
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
  readonly rotateSizeBytes: number;
}

/** The manifest in force, from whatever is left of its copies. */
function* readingContent(
  disk: Disk,
  directory: string,
): Steps<ManifestContent & { readonly number: number; readonly path: string }> {
  const found = Manifest.copiesIn(disk, directory);
  if (found === undefined) throw new CorruptionError(directory, 0, "there is no manifest");
  const { number, copies } = found;
  const path = manifestPath(directory, number);
  if (copies.length === 0) {
    throw new CorruptionError(path, 0, "the manifest that the marker names is not there");
  }
  const bytes = copies.map((copy) => copy.bytes);
  return { ...(yield* decodingManifest(bytes, number, path)), number, path };
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
