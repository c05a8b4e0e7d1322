/**
 * The disk port. Metadata operations and reads are synchronous: they are used at open, in worker
 * jobs and for blocks that the page cache holds. `write` is the one asynchronous data path: one
 * hop through the thread pool, for the shared log. `change` is for metadata while others wait.
 *
 * Errors are thrown (or handed to `done`) as DiskError. After a failed write or sync the content
 * of the file is unknown, and the owner must stop: nothing here retries.
 */

/**
 * Whoever writes a file in the background syncs it after so much, because everybody else's synced
 * writes wait behind what the disk was given at once.
 */
export const UNSYNCED_BYTES_MAX: number = 1024 * 1024;

/** And so much it writes at once: between two pieces it may rest. */
export const PIECE_SIZE_BYTES: number = 64 * 1024;

export type DiskErrorCode = "noSpace" | "notFound" | "exists" | "io";

export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, cause?: unknown) {
    super(`${code} at ${path}${cause instanceof Error ? `: ${cause.message}` : ""}`, { cause });
    this.code = code;
    this.path = path;
  }
}

export interface OpenOptions {
  /** Create the file if it is absent. */
  readonly create?: boolean | undefined;
  /** Every write is durable when it completes (O_DSYNC). */
  readonly dataSync?: boolean | undefined;
  readonly readOnly?: boolean | undefined;
}

export interface DiskFile {
  readonly path: string;
  sizeBytes(): number;
  /** Reads up to `length` bytes into `target` at `offset`; returns how many there were. */
  readSync(target: Uint8Array, offset: number, length: number, position: number): number;
  /** Writes all of source[offset, offset + length) at `position`. */
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void;
  /**
   * As writeSync, off the event loop. `source` must not change until `done`, which is called
   * exactly once, in a later turn. Writes to one file may be in flight together.
   */
  write(
    source: Uint8Array,
    length: number,
    position: number,
    done: (error: DiskError | undefined) => void,
  ): void;
  /** Makes all completed writes durable (fdatasync). */
  syncSync(): void;
  truncateSync(sizeBytes: number): void;
  close(): void;
}

/** A change of a directory's entries; "sync" makes those before it durable. */
export type DirectoryChange =
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "sync"; readonly path: string };

export interface Disk {
  open(path: string, options: OpenOptions): DiskFile;
  /** Creates a directory and its parents; makes each created one durable in its parent. */
  makeDirectory(path: string): void;
  /** Names in a directory, sorted. */
  list(path: string): readonly string[];
  exists(path: string): boolean;
  rename(from: string, to: string): void;
  remove(path: string): void;
  link(from: string, to: string): void;
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(path: string): void;
  /**
   * Makes one change after another, off the event loop, up to the first that fails: each may have
   * to wait for the journal of the file system, which syncs of other files fill. `done` is called
   * exactly once, in a later turn.
   */
  change(changes: readonly DirectoryChange[], done: (error: DiskError | undefined) => void): void;
  /** Bytes that can still be written to the file system that holds `path`. */
  freeBytes(path: string): number;
  /**
   * Claims a directory that is there for this process until it ends, however it ends; throws
   * DiskError "exists" where it is held already, by whatever path. With the id of the store that
   * is in it, the store is claimed instead, wherever copies of it lie.
   */
  lock(directory: string, storeId?: string): Promise<DirectoryLock>;
  /** The same path, wherever the process goes later. */
  absolute(path: string): string;
}

export interface DirectoryLock {
  release(): void;
}

/** Deletes a file that the next start would delete: where the disk refuses, it stays till then. */
export function removeQuietly(disk: Pick<Disk, "remove">, path: string): void {
  try {
    disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
}
