/**
 * The sstables of a store by number. Versions of trees hold references to them; a file that the
 * last version has let go of is closed and deleted. That is safe because a tree lets go of a
 * version only when the manifest edit that replaced it is durable.
 */
import { assert, must } from "../base/assert.js";
import type { Disk } from "../env/disk.js";
import type { BlockCache } from "./block-cache.js";
import type { TableFile } from "./slice.js";
import { Sstable } from "./sstable-reader.js";

const NAME = /^(\d{9,})\.sst$/;

export function tablePath(directory: string, fileNumber: number): string {
  return `${directory}/${String(fileNumber).padStart(9, "0")}.sst`;
}

/** The number in the name of a table file, or undefined where it is another file. */
export function tableNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

interface Entry {
  readonly table: Sstable;
  references: number;
}

export class TableSet {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #cache: BlockCache;
  readonly #removeFile: (path: string) => void;
  readonly #entries: Map<number, Entry> = new Map();

  /** `removeFile` deletes a file now or later, in a place where that may take its time. */
  constructor(
    disk: Disk,
    directory: string,
    cache: BlockCache,
    removeFile: (path: string) => void,
  ) {
    this.#disk = disk;
    this.#directory = directory;
    this.#cache = cache;
    this.#removeFile = removeFile;
  }

  /** Names a file that exists; it stays as long as a version refers to it. */
  add(file: TableFile): void {
    assert(!this.#entries.has(file.fileNumber), "a file number is used twice");
    const path = tablePath(this.#directory, file.fileNumber);
    const table = new Sstable(this.#disk, path, file, this.#cache);
    this.#entries.set(file.fileNumber, { table, references: 0 });
  }

  has(fileNumber: number): boolean {
    return this.#entries.has(fileNumber);
  }

  file(fileNumber: number): TableFile {
    return must(this.#entries.get(fileNumber), "table").table.file;
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
    this.remove(fileNumber);
  }

  /** Deletes a file that is not named here. */
  remove(fileNumber: number): void {
    assert(!this.#entries.has(fileNumber), "a file in use is not deleted");
    this.#removeFile(tablePath(this.#directory, fileNumber));
  }

  /** Closes all files and deletes none. */
  close(): void {
    for (const { table } of this.#entries.values()) table.close();
  }
}
