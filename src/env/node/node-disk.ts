/**
 * The file system. Everything is a system call on the event loop but `write`, which takes one hop
 * through the thread pool, and `change`, which takes some for each change. A file opened with
 * dataSync has O_DSYNC, so that a completed write is durable without a second call.
 */
import fs from "node:fs";
import path from "node:path";
import { must } from "../../base/assert.js";
import { DiskError } from "../disk.js";
import type {
  DirectoryChange,
  DirectoryLock,
  Disk,
  DiskErrorCode,
  DiskFile,
  OpenOptions,
} from "../disk.js";
import { lockDirectory } from "./node-lock.js";

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOSPC: "noSpace",
  // No descriptor to be had: as with a full disk, there may be one later.
  EMFILE: "noSpace",
  ENFILE: "noSpace",
  EDQUOT: "noSpace",
  ENOENT: "notFound",
  EEXIST: "exists",
};

export const nodeDisk: Disk = {
  open: (file, options) => guard(file, () => new NodeFile(file, fs.openSync(file, flags(options)))),
  makeDirectory: (directory) => guard(directory, () => makeDirectory(path.resolve(directory))),
  list: (directory) => guard(directory, () => fs.readdirSync(directory).sort()),
  exists: (file) => fs.existsSync(file),
  rename: (from, to) => guard(from, () => fs.renameSync(from, to)),
  remove: (file) => guard(file, () => fs.unlinkSync(file)),
  link: (from, to) => guard(to, () => fs.linkSync(from, to)),
  syncDirectory: (directory) => guard(directory, () => syncDirectory(directory)),
  change: (changes, done) => changeFrom(changes, 0, done),
  freeBytes: (file) =>
    guard(file, () => {
      const { bavail, bsize } = fs.statfsSync(file);
      return bavail * bsize;
    }),
  lock: (directory, storeId): Promise<DirectoryLock> => lockDirectory(directory, storeId),
  absolute: (file) => path.resolve(file),
};

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(file: string, descriptor: number) {
    this.path = file;
    this.#descriptor = descriptor;
  }

  sizeBytes(): number {
    return guard(this.path, () => fs.fstatSync(this.#descriptor).size);
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    try {
      let total = 0;
      while (total < length) {
        const rest = length - total;
        const at = position + total;
        const count = fs.readSync(this.#descriptor, target, offset + total, rest, at);
        if (count === 0) break;
        total += count;
      }
      return total;
    } catch (error) {
      throw diskError(this.path, error);
    }
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    try {
      let total = 0;
      while (total < length) {
        const rest = length - total;
        const at = position + total;
        total += fs.writeSync(this.#descriptor, source, offset + total, rest, at);
      }
    } catch (error) {
      throw diskError(this.path, error);
    }
  }

  write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    this.#writeFrom(source, 0, length, position, done);
  }

  /** Writes source[offset, length); what a short write leaves goes out with the next call. */
  #writeFrom(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void {
    fs.write(this.#descriptor, source, offset, length - offset, position, (error, count) => {
      if (error !== null) done(diskError(this.path, error));
      else if (offset + count === length) done(undefined);
      else this.#writeFrom(source, offset + count, length, position + count, done);
    });
  }

  syncSync(): void {
    guard(this.path, () => fs.fdatasyncSync(this.#descriptor));
  }

  truncateSync(sizeBytes: number): void {
    guard(this.path, () => fs.ftruncateSync(this.#descriptor, sizeBytes));
  }

  close(): void {
    guard(this.path, () => fs.closeSync(this.#descriptor));
  }
}

/** What a system call's failure means to the rest of Flotilla. */
export function diskError(file: string, error: unknown): DiskError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return new DiskError(CODES[code] ?? "io", file, error);
}

function guard<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw diskError(file, error);
  }
}

function flags(options: OpenOptions): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_DSYNC } = fs.constants;
  if (options.readOnly === true) return O_RDONLY;
  let bits = O_RDWR;
  if (options.create === true) bits |= O_CREAT;
  if (options.dataSync === true) bits |= O_DSYNC;
  return bits;
}

function makeDirectory(directory: string): void {
  if (fs.existsSync(directory)) return;
  const parent = path.dirname(directory);
  makeDirectory(parent);
  fs.mkdirSync(directory);
  syncDirectory(parent);
}

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

type Failure = NodeJS.ErrnoException | null;

function changeFrom(
  changes: readonly DirectoryChange[],
  at: number,
  done: (error: DiskError | undefined) => void,
): void {
  const change = must(changes[at], "a change");
  makeChange(change, (failure) => {
    if (failure !== null) {
      done(diskError(change.kind === "rename" ? change.from : change.path, failure));
    } else if (at + 1 < changes.length) changeFrom(changes, at + 1, done);
    else done(undefined);
  });
}

function makeChange(change: DirectoryChange, done: (failure: Failure) => void): void {
  switch (change.kind) {
    case "rename":
      return fs.rename(change.from, change.to, done);
    case "remove":
      return fs.unlink(change.path, done);
    case "sync":
      return syncDirectorySoon(change.path, done);
  }
}

function syncDirectorySoon(directory: string, done: (failure: Failure) => void): void {
  fs.open(directory, fs.constants.O_RDONLY, (failure, descriptor) => {
    if (failure !== null) return done(failure);
    fs.fsync(descriptor, (unsynced) =>
      fs.close(descriptor, (unclosed) => done(unsynced ?? unclosed)),
    );
  });
}
