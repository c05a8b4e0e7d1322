/**
 * A disk that a test can fill: while `full`, nothing grows and nothing is created, as on a real
 * file system without a free block; what is already there can be overwritten and read.
 */
import { DiskError } from "../../src/env/disk.js";
import type { Disk, DiskFile, DirectoryLock, OpenOptions } from "../../src/env/disk.js";

export class FillableDisk implements Disk {
  full = false;
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  open(path: string, options: OpenOptions): DiskFile {
    if (this.full && options.create === true && !this.#disk.exists(path)) throw noSpace(path);
    return new FillableFile(this, this.#disk.open(path, options));
  }

  makeDirectory(path: string): void {
    this.#disk.makeDirectory(path);
  }

  list(path: string): readonly string[] {
    return this.#disk.list(path);
  }

  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  rename(from: string, to: string): void {
    this.#disk.rename(from, to);
  }

  remove(path: string): void {
    this.#disk.remove(path);
  }

  link(from: string, to: string): void {
    this.#disk.link(from, to);
  }

  syncDirectory(path: string): void {
    this.#disk.syncDirectory(path);
  }

  freeBytes(path: string): number {
    return this.full ? 0 : this.#disk.freeBytes(path);
  }

  lock(directory: string, storeId: string): Promise<DirectoryLock> {
    return this.#disk.lock(directory, storeId);
  }
}

class FillableFile implements DiskFile {
  readonly path: string;
  readonly #disk: FillableDisk;
  readonly #file: DiskFile;

  constructor(disk: FillableDisk, file: DiskFile) {
    this.path = file.path;
    this.#disk = disk;
    this.#file = file;
  }

  sizeBytes(): number {
    return this.#file.sizeBytes();
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#file.readSync(target, offset, length, position);
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    if (this.#grows(position + length)) throw noSpace(this.path);
    this.#file.writeSync(source, offset, length, position);
  }

  write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    if (this.#grows(position + length)) setImmediate(() => done(noSpace(this.path)));
    else this.#file.write(source, length, position, done);
  }

  syncSync(): void {
    this.#file.syncSync();
  }

  truncateSync(sizeBytes: number): void {
    this.#file.truncateSync(sizeBytes);
  }

  close(): void {
    this.#file.close();
  }

  #grows(end: number): boolean {
    return this.#disk.full && end > this.#file.sizeBytes();
  }
}

function noSpace(path: string): DiskError {
  return new DiskError("noSpace", path);
}
