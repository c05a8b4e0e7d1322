/**
 * A disk whose log stands still while a test wants it to: with the gate shut, writes of log files
 * wait, in their order, until it opens. Everything else is done at once.
 */
import type { Disk, DiskError, DiskFile, DirectoryLock, OpenOptions } from "../../src/env/disk.js";

export class GatedDisk implements Disk {
  readonly #disk: Disk;
  readonly #waiting: (() => void)[] = [];
  #shut = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  shut(): void {
    this.#shut = true;
  }

  reopen(): void {
    this.#shut = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Runs `go` now, or when the gate opens. */
  pass(go: () => void): void {
    if (this.#shut) this.#waiting.push(go);
    else go();
  }

  open(path: string, options: OpenOptions): DiskFile {
    const file = this.#disk.open(path, options);
    return path.includes("/log/") ? new GatedFile(this, file) : file;
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
    return this.#disk.freeBytes(path);
  }

  lock(directory: string, storeId: string): Promise<DirectoryLock> {
    return this.#disk.lock(directory, storeId);
  }
}

class GatedFile implements DiskFile {
  readonly path: string;
  readonly #disk: GatedDisk;
  readonly #file: DiskFile;

  constructor(disk: GatedDisk, file: DiskFile) {
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
    this.#file.writeSync(source, offset, length, position);
  }

  write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    this.#disk.pass(() => this.#file.write(source, length, position, done));
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
}
