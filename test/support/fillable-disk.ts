/**
 * A disk that a test can fill: while `full`, nothing grows and nothing is created, as on a real
 * file system without a free block; what is already there can be overwritten and read.
 */
import { DiskError } from "../../src/env/disk.js";
import type { DiskFile, OpenOptions } from "../../src/env/disk.js";
import { ForwardingDisk, ForwardingFile } from "./forwarding-disk.js";

export class FillableDisk extends ForwardingDisk {
  full = false;
  /** As under a quota: what is free on the file system is not free for us. */
  tellsRoom = false;

  override open(path: string, options: OpenOptions): DiskFile {
    if (this.full && options.create === true && !this.exists(path)) throw noSpace(path);
    return new FillableFile(this, super.open(path, options));
  }

  override freeBytes(path: string): number {
    return this.full && !this.tellsRoom ? 0 : super.freeBytes(path);
  }
}

class FillableFile extends ForwardingFile {
  readonly #disk: FillableDisk;

  constructor(disk: FillableDisk, file: DiskFile) {
    super(file);
    this.#disk = disk;
  }

  override writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    if (this.#grows(position + length)) throw noSpace(this.path);
    super.writeSync(source, offset, length, position);
  }

  override write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    if (this.#grows(position + length)) setImmediate(() => done(noSpace(this.path)));
    else super.write(source, length, position, done);
  }

  #grows(end: number): boolean {
    return this.#disk.full && end > this.sizeBytes();
  }
}

function noSpace(path: string): DiskError {
  return new DiskError("noSpace", path);
}
