/**
 * The disk of a worker that rests as the store's pace says (pace.ts): after each piece that it has
 * written, and after it has deleted a file, which keeps the file system as busy as some pieces. It
 * rests by waiting, so only a worker may use it; a pace that changes meanwhile ends the rest.
 */
import { PIECE_SIZE_BYTES } from "../env/disk.js";
import type { Disk, DiskFile } from "../env/disk.js";

/** How many rests a deletion is worth. */
const REMOVED_PIECES = 8;

/** `disk`: an object of functions, as the real one is. `shared` is what the store's pace shares. */
export function pacedDisk(disk: Disk, shared: SharedArrayBuffer): Disk {
  const pace = new Int32Array(shared);
  return {
    ...disk,
    open: (path, options) => {
      const file = disk.open(path, options);
      return options.readOnly === true ? file : new PacedFile(file, pace);
    },
    remove: (path) => {
      disk.remove(path);
      rest(pace, REMOVED_PIECES);
    },
  };
}

class PacedFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #pace: Int32Array;

  constructor(file: DiskFile, pace: Int32Array) {
    this.path = file.path;
    this.#file = file;
    this.#pace = pace;
  }

  sizeBytes(): number {
    return this.#file.sizeBytes();
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#file.readSync(target, offset, length, position);
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.#file.writeSync(source, offset, length, position);
    rest(this.#pace, length / PIECE_SIZE_BYTES);
  }

  write(...args: Parameters<DiskFile["write"]>): void {
    this.#file.write(...args);
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

function rest(pace: Int32Array, pieces: number): void {
  const micros = Atomics.load(pace, 0);
  if (micros > 0) Atomics.wait(pace, 0, micros, (micros * pieces) / 1000);
}
