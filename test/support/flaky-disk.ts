/** A disk in memory that gives other bytes of a table than it has, as a bad cable does. */
import type { DiskFile, OpenOptions } from "../../src/env/disk.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ForwardingFile } from "./forwarding-disk.js";

export class FlakyDisk extends MemoryDisk {
  /** How many of the next reads of a table are wrong. */
  wrongReads = 0;

  override open(path: string, options: OpenOptions): DiskFile {
    return new FlakyFile(super.open(path, options), this);
  }
}

class FlakyFile extends ForwardingFile {
  readonly #disk: FlakyDisk;

  constructor(inner: DiskFile, disk: FlakyDisk) {
    super(inner);
    this.#disk = disk;
  }

  override readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    const count = super.readSync(target, offset, length, position);
    if (this.#disk.wrongReads > 0 && this.path.endsWith(".sst")) {
      this.#disk.wrongReads--;
      target[offset]! ^= 1;
    }
    return count;
  }
}
