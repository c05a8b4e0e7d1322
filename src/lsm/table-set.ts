/**
 * The sstables of a store by number. Versions of trees hold references to them; a table that the
 * last version has let go of is gone, and its file is closed and deleted with the last table in it.
 * That is safe because a tree lets go of a version only when the manifest edit that replaced it is
 * durable.
 */
import { assert, must } from "../base/assert.js";
import type { Disk } from "../env/disk.js";
import type { BlockCache } from "./block-cache.js";
import { OpenFiles } from "./open-files.js";
import type { Pack, TableFile } from "./slice.js";
import { Sstable } from "./sstable-reader.js";

const NAME = /^(\d{9,})\.sst$/;
const PACK_NAME = /^(\d{9,})\.pack$/;
/** Files that are open at once, unless someone chooses; a process may often have 1024. */
const OPEN_FILES_MAX = 256;

export function tablePath(directory: string, fileNumber: number): string {
  return `${directory}/${String(fileNumber).padStart(9, "0")}.sst`;
}

export function packPath(directory: string, packNumber: number): string {
  return `${directory}/${String(packNumber).padStart(9, "0")}.pack`;
}

/** The file in which a table lies. */
export function pathOfTable(directory: string, { fileNumber, home }: TableFile): string {
  return home === undefined
    ? tablePath(directory, fileNumber)
    : packPath(directory, home.packNumber);
}

/** The number in the name of a table file, or undefined where it is another file. */
export function tableNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The number in the name of a pack, or undefined where it is another file. */
export function packNumber(name: string): number | undefined {
  const digits = PACK_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The number in the name of either. */
export function fileNumberOf(name: string): number | undefined {
  return tableNumber(name) ?? packNumber(name);
}

interface Entry {
  readonly table: Sstable;
  references: number;
}

interface PackEntry {
  readonly sizeBytes: number;
  tableCount: number;
}

export class TableSet {
  readonly directory: string;
  readonly #cache: BlockCache;
  readonly #removeFile: (path: string) => void;
  readonly #entries: Map<number, Entry> = new Map();
  readonly #packs: Map<number, PackEntry> = new Map();
  readonly #files: OpenFiles;
  #sizeBytes = 0;

  /** `removeFile` deletes a file now or later, in a place where that may take its time. */
  constructor(
    disk: Disk,
    directory: string,
    cache: BlockCache,
    removeFile: (path: string) => void,
    openFilesMax: number = OPEN_FILES_MAX,
  ) {
    this.#files = new OpenFiles(disk, openFilesMax);
    this.directory = directory;
    this.#cache = cache;
    this.#removeFile = removeFile;
  }

  /** Names a file in which tables lie that are added next. */
  addPack({ packNumber: number, sizeBytes }: Pack): void {
    assert(!this.#packs.has(number), "a file number is used twice");
    this.#packs.set(number, { sizeBytes, tableCount: 0 });
    this.#sizeBytes += sizeBytes;
  }

  /** Names a table that exists; it stays as long as a version refers to it. */
  add(file: TableFile): void {
    assert(!this.#entries.has(file.fileNumber), "a file number is used twice");
    const path = pathOfTable(this.directory, file);
    const table = new Sstable(this.#files, path, file, this.#cache);
    this.#entries.set(file.fileNumber, { table, references: 0 });
    if (file.home === undefined) this.#sizeBytes += file.sizeBytes;
    else must(this.#packs.get(file.home.packNumber), "pack").tableCount++;
  }

  has(fileNumber: number): boolean {
    return this.#entries.has(fileNumber);
  }

  file(fileNumber: number): TableFile {
    return must(this.#entries.get(fileNumber), "table").table.file;
  }

  pack(number: number): Pack {
    return { packNumber: number, sizeBytes: must(this.#packs.get(number), "pack").sizeBytes };
  }

  files(): TableFile[] {
    return [...this.#entries.values()].map((entry) => entry.table.file);
  }

  retain(fileNumber: number): Sstable {
    const entry = must(this.#entries.get(fileNumber), "table");
    entry.references++;
    return entry.table;
  }

  release(fileNumber: number): void {
    const entry = must(this.#entries.get(fileNumber), "table");
    entry.references--;
    if (entry.references > 0) return;
    this.#entries.delete(fileNumber);
    entry.table.close();
    const { home, sizeBytes } = entry.table.file;
    if (home !== undefined) return this.#leavePack(home.packNumber);
    this.#sizeBytes -= sizeBytes;
    this.remove(fileNumber);
  }

  /** Deletes the file of a table that is not named here. */
  remove(fileNumber: number): void {
    assert(!this.#entries.has(fileNumber), "a file in use is not deleted");
    this.#removeFile(tablePath(this.directory, fileNumber));
  }

  /** Deletes a pack that is not named here. */
  removePack(number: number): void {
    assert(!this.#packs.has(number), "a file in use is not deleted");
    this.#removeFile(packPath(this.directory, number));
  }

  /** Of all files, also what lies in packs and belongs to nobody any more. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Closes all files and deletes none. */
  close(): void {
    this.#files.closeAll();
  }

  #leavePack(number: number): void {
    const pack = must(this.#packs.get(number), "pack");
    pack.tableCount--;
    if (pack.tableCount > 0) return;
    this.#packs.delete(number);
    this.#sizeBytes -= pack.sizeBytes;
    this.#files.close(packPath(this.directory, number));
    this.removePack(number);
  }
}
