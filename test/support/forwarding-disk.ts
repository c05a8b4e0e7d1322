/**
 * A disk and its files that hand every call on to another: a test that wants one thing of a disk to
 * go differently derives from them and overrides that.
 */
import type {
  Disk,
  DiskError,
  DiskFile,
  DirectoryChange,
  DirectoryLock,
  OpenOptions,
} from "../../src/env/disk.js";

export class ForwardingDisk implements Disk {
  readonly inner: Disk;

  constructor(inner: Disk) {
    this.inner = inner;
  }

  open(path: string, options: OpenOptions): DiskFile {
    return this.inner.open(path, options);
  }

  makeDirectory(path: string): void {
    this.inner.makeDirectory(path);
  }

  list(path: string): readonly string[] {
    return this.inner.list(path);
  }

  exists(path: string): boolean {
    return this.inner.exists(path);
  }

  rename(from: string, to: string): void {
    this.inner.rename(from, to);
  }

  remove(path: string): void {
    this.inner.remove(path);
  }

  link(from: string, to: string): void {
    this.inner.link(from, to);
  }

  syncDirectory(path: string): void {
    this.inner.syncDirectory(path);
  }

  change(changes: readonly DirectoryChange[], done: (error: DiskError | undefined) => void): void {
    this.inner.change(changes, done);
  }

  freeBytes(path: string): number {
    return this.inner.freeBytes(path);
  }

  lock(directory: string, storeId?: string): Promise<DirectoryLock> {
    return this.inner.lock(directory, storeId);
  }

  absolute(path: string): string {
    return this.inner.absolute(path);
  }
}

export class ForwardingFile implements DiskFile {
  readonly path: string;
  readonly inner: DiskFile;

  constructor(inner: DiskFile) {
    this.path = inner.path;
    this.inner = inner;
  }

  sizeBytes(): number {
    return this.inner.sizeBytes();
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.inner.readSync(target, offset, length, position);
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.inner.writeSync(source, offset, length, position);
  }

  write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    this.inner.write(source, length, position, done);
  }

  syncSync(): void {
    this.inner.syncSync();
  }

  truncateSync(sizeBytes: number): void {
    this.inner.truncateSync(sizeBytes);
  }

  close(): void {
    this.inner.close();
  }
}
