/**
 * A disk in memory that behaves as badly as a real one may: what was not synced is lost, kept or
 * torn by `crash`, operations can be made to fail, space can run out, bits can flip. Two views of
 * everything: live (what programs see) and durable (what is promised to survive).
 *
 * An operation, for counting and for faults, is whatever changes the disk: create, write, sync,
 * truncate, rename, remove, link, syncDirectory. Reads and listings are not counted.
 *
 * It never keeps a promise that was not asked for: a synced file whose directory was not synced
 * may be gone.
 */
import { assert } from "../../src/base/assert.js";
import { equalBytes } from "../../src/base/bytes.js";
import type { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import type {
  DirectoryChange,
  DirectoryLock,
  Disk,
  DiskErrorCode,
  DiskFile,
  OpenOptions,
} from "../../src/env/disk.js";
import { keeps, MemoryInode, PAGE_SIZE_BYTES, SECTOR_SIZE_BYTES } from "./memory-inode.js";
import type { CrashStyle } from "./memory-inode.js";

export type { CrashStyle } from "./memory-inode.js";

export type DiskOperation =
  | "create"
  | "write"
  | "sync"
  | "truncate"
  | "rename"
  | "remove"
  | "link"
  | "syncDirectory"
  /** Fails where a fault says so, and is not counted. */
  | "read";

/**
 * What a failed write leaves: nothing; some of it, as if it had not been synced yet; all of it so;
 * or all of it to be read and none of it durable, for the system takes the pages for clean.
 */
export type FailedWrite = "nothing" | "half" | "dirty" | "clean";

export interface DiskFault {
  readonly code: DiskErrorCode;
  /** Only operations of this kind; all kinds without it. */
  readonly operation?: DiskOperation | undefined;
  /** Only paths that contain this text. */
  readonly pathPart?: string | undefined;
  /** How many matching operations still succeed; 0 without it. */
  readonly skip?: number | undefined;
  /** Of a failed sync: what is read then is what is durable, not what was written. */
  readonly reverts?: boolean | undefined;
  /** Of a failed write; "half" without it. */
  readonly leaves?: FailedWrite | undefined;
  /** How often it strikes; 1 without it, Infinity for a disk that stays broken. */
  readonly times?: number | undefined;
}

export interface MemoryDiskOptions {
  /** Total size of all files; a write beyond it fails with "noSpace". */
  readonly quotaBytes?: number | undefined;
  /**
   * When asynchronous operations complete. "immediate": each in a later turn (the default).
   * "manual": when `pump` is called. A function: it is handed each completion to run later.
   */
  readonly completion?: "immediate" | "manual" | ((complete: () => void) => void) | undefined;
  /** Is told of each operation that was made to fail. */
  readonly failed?: ((operation: DiskOperation, path: string) => void) | undefined;
}

/** An asynchronous operation that has not been completed. */
interface Pending {
  readonly complete: () => void;
  /** What may have reached the disk already; a change of a directory begins when it completes. */
  readonly write: PendingWrite | undefined;
}

interface PendingWrite {
  readonly inode: MemoryInode;
  readonly data: Uint8Array;
  readonly position: number;
}

/** A change of a directory: `name` now means `inode`, or nothing; a rename clears `from` too. */
interface EntryChange {
  readonly name: string;
  readonly inode: MemoryInode | undefined;
  readonly from?: string;
}

interface Directory {
  live: Map<string, MemoryInode>;
  durable: Map<string, MemoryInode>;
  unsynced: EntryChange[];
}

interface ActiveFault {
  readonly fault: DiskFault;
  skip: number;
  times: number;
}

export class MemoryDisk implements Disk {
  /** May be changed at any time. */
  quotaBytes: number;
  readonly #completion: "immediate" | "manual" | ((complete: () => void) => void);
  readonly #failed: (operation: DiskOperation, path: string) => void;
  readonly #directories = new Map<string, Directory>();
  readonly #locks = new Set<string>();
  #pending: Pending[] = [];
  #faults: ActiveFault[] = [];
  #operations = 0;
  #haltAt = Infinity;
  #misdirected: RegExp | undefined;
  #before: (operation: DiskOperation) => void = () => undefined;

  constructor(options: MemoryDiskOptions = {}) {
    this.quotaBytes = options.quotaBytes ?? Infinity;
    this.#completion = options.completion ?? "immediate";
    this.#failed = options.failed ?? (() => undefined);
    this.#directories.set("/", emptyDirectory());
  }

  // What tests steer.

  /** Operations so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Asynchronous operations not yet completed: writes, and changes of directories. */
  get pendingWrites(): number {
    return this.#pending.length;
  }

  /** Completes up to `count` asynchronous operations, oldest first. */
  pump(count: number = Infinity): void {
    for (let i = 0; i < count && this.#pending.length > 0; i++) this.#pending[0]!.complete();
  }

  /** Completes the asynchronous operation that is the `index`-th of those pending. */
  pumpOne(index: number): void {
    this.#pending[index]!.complete();
  }

  inject(fault: DiskFault): void {
    this.#faults.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  /** Calls `look` before each operation: the disk may be copied by `crash` then. */
  watch(look: (operation: DiskOperation) => void): void {
    this.#before = look;
  }

  /**
   * The machine stops when `operations` have been done in all: later ones have no effect, throw
   * "io" where they are synchronous and never complete where they are not. Then call `crash`.
   */
  haltAt(operations: number): void {
    this.#haltAt = operations;
  }

  get halted(): boolean {
    return this.#operations >= this.#haltAt;
  }

  /**
   * The disk after a power cut at this moment, drawn from `prng`. This disk is left as it is, so
   * that many outcomes of one moment can be tried.
   */
  crash(prng: Prng, style: CrashStyle = "mixed", options: MemoryDiskOptions = {}): MemoryDisk {
    const after = new MemoryDisk({
      quotaBytes: this.quotaBytes,
      completion: this.#completion,
      failed: this.#failed,
      ...options,
    });
    const torn = new Map<MemoryInode, MemoryInode>();
    for (const { write } of this.#pending) {
      if (write === undefined) continue;
      const copy = torn.get(write.inode) ?? write.inode.clone();
      copy.write(write.data, write.position);
      torn.set(write.inode, copy);
    }
    const survivors = new Map<MemoryInode, MemoryInode>();
    for (const [path, directory] of this.#directories) {
      const entries = emptyDirectory();
      after.#directories.set(path, entries);
      for (const [name, inode] of survivingEntries(directory, prng, style)) {
        let survivor = survivors.get(inode);
        survivor ??= (torn.get(inode) ?? inode).survivor(prng, style);
        survivors.set(inode, survivor);
        entries.live.set(name, survivor);
        entries.durable.set(name, survivor);
      }
    }
    return after;
  }

  /**
   * The process is killed, the machine goes on: writes in flight reach the page cache in part, are
   * not synced, and are never answered; locks are free. The disk is then used by the next process.
   */
  kill(prng: Prng): void {
    for (const { write } of this.#pending) {
      if (write === undefined) continue;
      const { inode, data, position } = write;
      const blocks = Math.ceil(data.length / SECTOR_SIZE_BYTES);
      const length = prng.between(0, blocks) * SECTOR_SIZE_BYTES;
      inode.write(data.subarray(0, length), position);
    }
    this.#pending = [];
    this.#locks.clear();
  }

  /** The bytes of a file as programs see them. */
  content(path: string): Uint8Array {
    return this.#inode(path).content();
  }

  /** The bytes of a file that a power cut is promised to leave. */
  durableContent(path: string): Uint8Array {
    return this.#inode(path).durableContent();
  }

  /** Replaces a file's bytes, durably and without counting: for preparing a scene. */
  setContent(path: string, bytes: Uint8Array): void {
    const { directory, name } = this.#locate(path);
    const inode = new MemoryInode();
    inode.write(bytes, 0);
    inode.sync();
    directory.live.set(name, inode);
    directory.durable.set(name, inode);
  }

  /** The next write to a path like this lands somewhere else in its file. */
  misdirect(path: RegExp): void {
    this.#misdirected = path;
  }

  /** Changes bytes in what is read and in what is durable alike. */
  overwrite(path: string, bytes: Uint8Array, position: number): void {
    const inode = this.#inode(path);
    inode.write(bytes, position);
    inode.syncRange(position, position + bytes.length);
  }

  /** Reads of this byte fail from now on, whoever asks and however often he starts. */
  spoil(path: string, position: number): void {
    this.#inode(path).spoil(Math.floor(position / SECTOR_SIZE_BYTES));
  }

  flipBit(path: string, bit: number): void {
    this.#inode(path).flipBit(bit);
  }

  usedBytes(): number {
    const inodes = new Set<MemoryInode>();
    for (const directory of this.#directories.values()) {
      for (const inode of directory.live.values()) inodes.add(inode);
    }
    let used = 0;
    for (const inode of inodes) used += inode.sizeBytes;
    return used;
  }

  // The port.

  open(path: string, options: OpenOptions): DiskFile {
    const { directory, name } = this.#locate(path);
    let inode = directory.live.get(name);
    if (inode === undefined) {
      if (options.create !== true) throw new DiskError("notFound", path);
      this.#operation("create", path);
      inode = new MemoryInode();
      change(directory, { name, inode });
    }
    return this.#handle(path, inode, options);
  }

  makeDirectory(path: string): void {
    let walked = "";
    for (const part of parts(path)) {
      walked += `/${part}`;
      if (!this.#directories.has(walked)) this.#directories.set(walked, emptyDirectory());
    }
  }

  list(path: string): readonly string[] {
    const base = normal(path);
    const names = [...this.#directory(path).live.keys()];
    const prefix = base === "/" ? "/" : `${base}/`;
    for (const other of this.#directories.keys()) {
      const rest = other.startsWith(prefix) ? other.slice(prefix.length) : "";
      if (rest !== "" && !rest.includes("/")) names.push(rest);
    }
    return names.sort();
  }

  exists(path: string): boolean {
    if (this.#directories.has(normal(path))) return true;
    const parent = this.#directories.get(parentOf(path));
    return parent !== undefined && parent.live.has(nameOf(path));
  }

  rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#operation("rename", to);
    const source = this.#locate(from);
    const target = this.#locate(to);
    if (source.directory === target.directory) {
      change(target.directory, { name: target.name, inode, from: source.name });
      return;
    }
    change(target.directory, { name: target.name, inode });
    change(source.directory, { name: source.name, inode: undefined });
  }

  remove(path: string): void {
    this.#inode(path);
    this.#operation("remove", path);
    const { directory, name } = this.#locate(path);
    change(directory, { name, inode: undefined });
  }

  link(from: string, to: string): void {
    const inode = this.#inode(from);
    if (this.exists(to)) throw new DiskError("exists", to);
    this.#operation("link", to);
    const { directory, name } = this.#locate(to);
    change(directory, { name, inode });
  }

  syncDirectory(path: string): void {
    const directory = this.#directory(path);
    this.#operation("syncDirectory", path);
    directory.durable = new Map(directory.live);
    directory.unsynced = [];
  }

  change(changes: readonly DirectoryChange[], done: (error: DiskError | undefined) => void): void {
    const [first, ...rest] = changes;
    assert(first !== undefined, "there is a change to make");
    this.#later(undefined, () => {
      const failure = failureOf(() => this.#change(first));
      if (failure === undefined && rest.length > 0) this.change(rest, done);
      else done(failure);
    });
  }

  #change(change: DirectoryChange): void {
    switch (change.kind) {
      case "rename":
        return this.rename(change.from, change.to);
      case "remove":
        return this.remove(change.path);
      case "sync":
        return this.syncDirectory(change.path);
    }
  }

  freeBytes(path: string): number {
    this.#directory(path);
    const ample = Number.MAX_SAFE_INTEGER;
    return Math.max(0, Math.min(ample, this.quotaBytes - this.usedBytes()));
  }

  lock(directory: string, storeId?: string): Promise<DirectoryLock> {
    const name = storeId ?? directory;
    if (this.#locks.has(name)) return Promise.reject(new DiskError("exists", directory));
    this.#locks.add(name);
    return Promise.resolve({ release: () => this.#locks.delete(name) });
  }

  absolute(path: string): string {
    return path;
  }

  // Files.

  #handle(path: string, inode: MemoryInode, options: OpenOptions): DiskFile {
    let open = true;
    const check = (): void => assert(open, () => `${path} is closed`);
    const checkWritable = (): void => {
      check();
      assert(options.readOnly !== true, () => `${path} is open for reading`);
    };
    const dataSync = options.dataSync === true;
    return {
      path,
      sizeBytes: () => (check(), inode.sizeBytes),
      readSync: (target, offset, length, position) => {
        check();
        this.#strike("read", path);
        if (!inode.isReadable(position, length)) throw this.#injected("read", "io", path);
        return inode.read(target, offset, length, position);
      },
      writeSync: (source, offset, length, position) => {
        checkWritable();
        this.#write(path, inode, source.slice(offset, offset + length), position, dataSync);
      },
      write: (source, length, position, done) => {
        checkWritable();
        const view = source.subarray(0, length);
        this.#writeLater(path, inode, view, position, dataSync, done);
      },
      syncSync: () => {
        checkWritable();
        this.#operation("sync", path, ({ reverts }) => {
          if (reverts === true) inode.revertDirty();
          else inode.forgetDirty();
        });
        inode.sync();
      },
      truncateSync: (sizeBytes) => {
        checkWritable();
        this.#operation("truncate", path);
        inode.truncate(sizeBytes);
      },
      close: () => {
        check();
        open = false;
      },
    };
  }

  #write(
    path: string,
    inode: MemoryInode,
    data: Uint8Array,
    wanted: number,
    dataSync: boolean,
  ): void {
    const position = this.#landing(path, wanted);
    this.#operation("write", path, ({ leaves = "half" }) => {
      leave(leaves, inode, data, position);
    });
    const growth = Math.max(0, position + data.length - inode.sizeBytes);
    if (growth > 0 && this.usedBytes() + growth > this.quotaBytes) {
      throw new DiskError("noSpace", path);
    }
    inode.write(data, position);
    if (dataSync) inode.syncRange(position, position + data.length);
  }

  /** Where a write lands: not always where it was meant to. */
  #landing(path: string, wanted: number): number {
    if (this.#misdirected === undefined || !this.#misdirected.test(path)) return wanted;
    this.#misdirected = undefined;
    return wanted >= PAGE_SIZE_BYTES ? wanted - PAGE_SIZE_BYTES : wanted + PAGE_SIZE_BYTES;
  }

  #writeLater(
    path: string,
    inode: MemoryInode,
    source: Uint8Array,
    position: number,
    dataSync: boolean,
    done: (error: DiskError | undefined) => void,
  ): void {
    const data = source.slice();
    this.#later({ inode, data, position }, () => {
      assert(equalBytes(source, data), () => `${path}: a buffer changed while it was written`);
      done(failureOf(() => this.#write(path, inode, data, position, dataSync)));
    });
  }

  /** Runs an operation when it is to complete, unless the machine has stopped by then. */
  #later(write: PendingWrite | undefined, run: () => void): void {
    const complete = (): void => {
      const at = this.#pending.indexOf(pending);
      if (this.halted || at < 0) return;
      this.#pending.splice(at, 1);
      run();
    };
    const pending: Pending = { complete, write };
    this.#pending.push(pending);
    if (this.#completion === "manual") return;
    if (this.#completion === "immediate") setImmediate(complete);
    else this.#completion(complete);
  }

  /** Counts an operation, and fails it where a fault or a halt says so. */
  #operation(operation: DiskOperation, path: string, onFailure?: (fault: DiskFault) => void): void {
    if (this.halted) throw new DiskError("io", path, new Error("the machine has stopped"));
    this.#before(operation);
    this.#operations++;
    this.#strike(operation, path, onFailure);
  }

  #strike(operation: DiskOperation, path: string, onFailure?: (fault: DiskFault) => void): void {
    for (const active of this.#faults) {
      const { fault } = active;
      if (fault.operation !== undefined && fault.operation !== operation) continue;
      if (fault.operation === undefined && operation === "read") continue;
      if (fault.pathPart !== undefined && !path.includes(fault.pathPart)) continue;
      if (active.skip > 0) {
        active.skip--;
        continue;
      }
      if (active.times <= 0) continue;
      active.times--;
      if (fault.code !== "noSpace") onFailure?.(fault);
      throw this.#injected(operation, fault.code, path);
    }
  }

  #injected(operation: DiskOperation, code: DiskErrorCode, path: string): DiskError {
    this.#failed(operation, path);
    return new DiskError(code, path, new Error("injected"));
  }

  // Names.

  #directory(path: string): Directory {
    const directory = this.#directories.get(normal(path));
    if (directory === undefined) throw new DiskError("notFound", path);
    return directory;
  }

  #locate(path: string): { directory: Directory; name: string } {
    const directory = this.#directories.get(parentOf(path));
    if (directory === undefined) throw new DiskError("notFound", path);
    return { directory, name: nameOf(path) };
  }

  #inode(path: string): MemoryInode {
    const { directory, name } = this.#locate(path);
    const inode = directory.live.get(name);
    if (inode === undefined) throw new DiskError("notFound", path);
    return inode;
  }
}

function failureOf(run: () => void): DiskError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof DiskError) return error;
    throw error;
  }
}

function leave(what: FailedWrite, inode: MemoryInode, data: Uint8Array, position: number): void {
  if (what === "nothing") return;
  const half = Math.floor(data.length / 2 / SECTOR_SIZE_BYTES) * SECTOR_SIZE_BYTES;
  inode.write(what === "half" ? data.subarray(0, half) : data, position);
  if (what === "clean") inode.forgetDirtyRange(position, position + data.length);
}

function emptyDirectory(): Directory {
  return { live: new Map(), durable: new Map(), unsynced: [] };
}

function change(directory: Directory, entry: EntryChange): void {
  applyChange(directory.live, entry);
  directory.unsynced.push(entry);
}

function applyChange(entries: Map<string, MemoryInode>, entry: EntryChange): void {
  if (entry.from !== undefined) entries.delete(entry.from);
  if (entry.inode === undefined) entries.delete(entry.name);
  else entries.set(entry.name, entry.inode);
}

/** Each unsynced change is kept or lost on its own; a rename within a directory is one change. */
function survivingEntries(
  directory: Directory,
  prng: Prng,
  style: CrashStyle,
): ReadonlyMap<string, MemoryInode> {
  const entries = new Map(directory.durable);
  for (const entry of directory.unsynced) if (keeps(prng, style)) applyChange(entries, entry);
  return entries;
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function normal(path: string): string {
  return `/${parts(path).join("/")}`;
}

function parentOf(path: string): string {
  return `/${parts(path).slice(0, -1).join("/")}`;
}

function nameOf(path: string): string {
  return parts(path).at(-1) ?? "";
}
