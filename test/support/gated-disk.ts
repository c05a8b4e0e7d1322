/**
 * A disk whose log stands still while a test wants it to: with the gate shut, writes of log files
 * wait, in their order, until it opens. Everything else is done at once.
 */
import type { DiskError, DiskFile, OpenOptions } from "../../src/env/disk.js";
import { ForwardingDisk, ForwardingFile } from "./forwarding-disk.js";

export class GatedDisk extends ForwardingDisk {
  readonly #waiting: (() => void)[] = [];
  #shut = false;

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

  override open(path: string, options: OpenOptions): DiskFile {
    const file = super.open(path, options);
    return path.includes("/log/") ? new GatedFile(this, file) : file;
  }
}

class GatedFile extends ForwardingFile {
  readonly #disk: GatedDisk;

  constructor(disk: GatedDisk, file: DiskFile) {
    super(file);
    this.#disk = disk;
  }

  override write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    this.#disk.pass(() => super.write(source, length, position, done));
  }
}
