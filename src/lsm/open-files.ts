/**
 * The files of tables as they are open: as many at once as the bound allows, so that a store with
 * any number of tables needs few handles of the system. A file is opened when it is first read;
 * with too many open one is closed that was not read again since its last turn, and opened again
 * where it is read again. Files are only read, and every read is over when it returns.
 */
import { assert } from "../base/assert.js";
import type { Disk, DiskFile } from "../env/disk.js";
import type { TableFile } from "./slice.js";

/** What a reader needs of the disk. */
export type TableOpener = Pick<Disk, "open">;
/** What a reader needs of a file. */
export type TableBytes = Pick<DiskFile, "sizeBytes" | "readSync" | "close">;

interface OpenFile {
  readonly handle: DiskFile;
  /** Whether it was read again since its turn: queueing at each read costs more (bench: get). */
  isWanted: boolean;
}

export class OpenFiles {
  readonly #disk: TableOpener;
  readonly #countMax: number;
  /** The one whose turn to be closed comes first, first. */
  readonly #handles: Map<string, OpenFile> = new Map();

  constructor(disk: TableOpener, countMax: number) {
    assert(countMax > 0, "a file is open while it is read");
    this.#disk = disk;
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#handles.size;
  }

  /** Good for one read: the next call may close it. */
  handle(path: string): DiskFile {
    const open = this.#handles.get(path);
    if (open === undefined) return this.#open(path);
    open.isWanted = true;
    return open.handle;
  }

  close(path: string): void {
    this.#handles.get(path)?.handle.close();
    this.#handles.delete(path);
  }

  closeAll(): void {
    for (const { handle } of this.#handles.values()) handle.close();
    this.#handles.clear();
  }

  #open(path: string): DiskFile {
    if (this.#handles.size >= this.#countMax) this.#closeOne();
    const handle = this.#disk.open(path, { readOnly: true });
    this.#handles.set(path, { handle, isWanted: false });
    return handle;
  }

  #closeOne(): void {
    for (const [path, open] of this.#handles) {
      if (!open.isWanted) return this.close(path);
      open.isWanted = false;
      this.#handles.delete(path);
      this.#handles.set(path, open);
    }
  }
}

/** The bytes of one table, wherever they lie. Its file is closed by whoever owns the open files. */
export class TableReader implements TableBytes {
  readonly #files: OpenFiles;
  readonly #path: string;
  readonly #start: number;
  readonly #isShared: boolean;
  readonly #sizeBytesMax: number;

  /** Without a description all of the file is the table. */
  constructor(files: OpenFiles, path: string, file: TableFile | undefined) {
    this.#files = files;
    this.#path = path;
    this.#start = file?.home?.offset ?? 0;
    this.#isShared = file?.home !== undefined;
    this.#sizeBytesMax = this.#isShared ? file!.sizeBytes : Infinity;
  }

  /** How many of its bytes are there; those of a file of its own may also be too many. */
  sizeBytes(): number {
    const sizeBytes = this.#files.handle(this.#path).sizeBytes() - this.#start;
    return Math.max(0, Math.min(sizeBytes, this.#sizeBytesMax));
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    const handle = this.#files.handle(this.#path);
    return handle.readSync(target, offset, length, this.#start + position);
  }

  close(): void {
    if (!this.#isShared) this.#files.close(this.#path);
  }
}
