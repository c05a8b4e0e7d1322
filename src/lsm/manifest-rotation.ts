/**
 * Writes a new pair of manifest files while the old one goes on taking edits, one write after the
 * other and none on the event loop:
 *
 *   the catalog as it was at the beginning, a few trees a record
 *   the edits made meanwhile
 *   zeros, so that no edit has to make room for a good while
 *   the names of the files made durable
 *
 * Then it is ready, and is so again as soon as it has written what came since. It never puts the
 * new files in force: as long as the old ones are, these are rubbish that the next start deletes.
 */
import { assert } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import type { Disk, DiskError, DiskFile } from "../env/disk.js";
import { removeQuietly } from "../env/disk.js";
import type { Catalog } from "./catalog.js";
import { CatalogSnapshot } from "./catalog-snapshot.js";
import {
  closeAll,
  isNoSpace,
  manifestPath,
  openCopies,
  RECORD_OPERATIONS,
} from "./manifest-files.js";
import type { StartedFile } from "./manifest-files.js";
import { encodeManifestHeader, writeRecord } from "./manifest-format.js";
import type { VersionEdit } from "./version-edit.js";

/** What is put together in one turn. */
const STEP_SIZE_BYTES = 256 * 1024;

export interface RotationPlace {
  readonly disk: Disk;
  readonly directory: string;
  readonly storeId: string;
  readonly number: number;
  /** How far the new files are to reach, at least. */
  readonly reservedBytes: number;
}

export interface RotationEvents {
  /** Nothing is left to be written now. */
  ready(): void;
  /** It has ended, and after "noSpace" nothing of it is left. */
  failed(error: DiskError): void;
}

export class ManifestRotation {
  readonly #place: RotationPlace;
  readonly #events: RotationEvents;
  readonly #snapshot: CatalogSnapshot;
  readonly #files: readonly DiskFile[];
  readonly #writer: ByteWriter = new ByteWriter(STEP_SIZE_BYTES);
  /** Edits that the new files do not have yet, in order. */
  readonly #since: VersionEdit[] = [];
  #isSnapshotWritten = false;
  #areNamesDurable = false;
  #isBusy = false;
  #isEnded = false;
  #endOffset = 0;
  #reservedOffset = 0;

  /** Throws DiskError where the files cannot be made. */
  constructor(place: RotationPlace, catalog: Catalog, events: RotationEvents) {
    const { disk, directory, number, storeId } = place;
    this.#place = place;
    this.#events = events;
    this.#files = openCopies(disk, manifestPath(directory, number));
    this.#snapshot = new CatalogSnapshot(catalog);
    this.#writer.raw(encodeManifestHeader(number, storeId));
    this.#step();
  }

  /** The catalog has changed. */
  add(edit: VersionEdit): void {
    this.#since.push(edit);
    if (!this.#isBusy) this.#step();
  }

  /** Whether it has been ready: it is again within a write or two. */
  get isNear(): boolean {
    return this.#areNamesDurable;
  }

  /** Whether the new files have everything. */
  get isReady(): boolean {
    return this.isNear && !this.#isBusy;
  }

  /** Ends, when it is ready. */
  takeOver(): StartedFile & { readonly reservedOffset: number } {
    assert(this.isReady && this.#since.length === 0, "the new files have all edits");
    this.#isEnded = true;
    return {
      files: this.#files,
      number: this.#place.number,
      endOffset: this.#endOffset,
      reservedOffset: this.#reservedOffset,
    };
  }

  /** Nobody wants the new files any more: they are closed when no write to them is on its way. */
  abandon(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!this.#isBusy) closeAll(this.#files);
  }

  #step(): void {
    this.#encode();
    const { length } = this.#writer;
    const rest = this.#place.reservedBytes - this.#reservedOffset;
    if (length > 0) {
      const at = this.#endOffset;
      this.#endOffset += length;
      this.#reservedOffset = Math.max(this.#reservedOffset, this.#endOffset);
      this.#write(this.#writer.bytes, length, at);
    } else if (rest > 0) {
      const zeros = new Uint8Array(Math.min(rest, STEP_SIZE_BYTES));
      const at = this.#reservedOffset;
      this.#reservedOffset += zeros.length;
      this.#write(zeros, zeros.length, at);
    } else if (!this.#areNamesDurable) {
      this.#syncNames();
    } else {
      this.#isBusy = false;
      this.#events.ready();
    }
  }

  /** Puts together what is written next, behind the header at the very beginning. */
  #encode(): void {
    const writer = this.#writer;
    while (writer.length < STEP_SIZE_BYTES) {
      const edit = this.#nextEdit();
      if (edit === undefined) return;
      writeRecord(writer, edit, this.#place.number, this.#endOffset + writer.length);
    }
  }

  #nextEdit(): VersionEdit | undefined {
    if (!this.#isSnapshotWritten) {
      const edit = this.#snapshot.next(RECORD_OPERATIONS);
      if (edit !== undefined) return edit;
      this.#isSnapshotWritten = true;
    }
    return this.#since.shift();
  }

  #write(bytes: Uint8Array, length: number, position: number, copy = 0): void {
    this.#isBusy = true;
    this.#files[copy]!.write(bytes, length, position, (error) => {
      if (this.#hasEnded(error)) return;
      if (copy + 1 < this.#files.length) {
        this.#write(bytes, length, position, copy + 1);
        return;
      }
      this.#writer.reset();
      this.#step();
    });
  }

  #syncNames(): void {
    const { disk, directory } = this.#place;
    this.#isBusy = true;
    disk.change([{ kind: "sync", path: directory }], (error) => {
      if (this.#hasEnded(error)) return;
      this.#areNamesDurable = true;
      this.#step();
    });
  }

  #hasEnded(error: DiskError | undefined): boolean {
    if (error === undefined && !this.#isEnded) return false;
    closeAll(this.#files);
    if (this.#isEnded || error === undefined) return true;
    this.#isEnded = true;
    if (isNoSpace(error)) for (const { path } of this.#files) removeQuietly(this.#place.disk, path);
    this.#events.failed(error);
    return true;
  }
}
