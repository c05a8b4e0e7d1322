/**
 * Takes in the files of a snapshot and makes them a tree in one step. Until then nothing refers to
 * the files, so that whatever an install that never ended left is removed at the next start.
 */
import { assert } from "../base/assert.js";
import { crc32 } from "../base/checksum.js";
import type { KeyRange } from "../base/key-range.js";
import type { DiskFile } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Slice, TableFile } from "../lsm/slice.js";
import { Sstable } from "../lsm/sstable-reader.js";
import { tablePath } from "../lsm/table-set.js";
import { Tree } from "../lsm/tree.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { StoreCore } from "./store-core.js";
import type { CheckpointFile } from "./tree-checkpoint.js";

const SYNC_SIZE_BYTES = 4 * 1024 * 1024;

interface Staged {
  readonly fileNumber: number;
  readonly handle: DiskFile;
  /** Up to here chunks came in order and are in `checksum`. */
  orderedBytes: number;
  checksum: number;
  unsyncedBytes: number;
}

export class TreeInstall {
  readonly #core: StoreCore;
  readonly #shardId: number;
  readonly #range: KeyRange;
  readonly #staged: Map<number, Staged> = new Map();
  #isOver = false;

  constructor(core: StoreCore, shardId: number, range: KeyRange) {
    this.#core = core;
    this.#shardId = shardId;
    this.#range = range;
  }

  /** Chunks of a file may come in any order and more than once; in order is checked on the way. */
  writeChunk(fileIndex: number, offset: number, bytes: Uint8Array): void {
    assert(!this.#isOver, "the install is over");
    const staged = this.#staged.get(fileIndex) ?? this.#stage(fileIndex);
    staged.handle.writeSync(bytes, 0, bytes.length, offset);
    if (offset === staged.orderedBytes) {
      staged.checksum = crc32(bytes, staged.checksum);
      staged.orderedBytes += bytes.length;
    } else if (offset < staged.orderedBytes) {
      // Written again: what was added up may no longer be what lies there.
      staged.orderedBytes = -1;
    }
    staged.unsyncedBytes += bytes.length;
    if (staged.unsyncedBytes < SYNC_SIZE_BYTES) return;
    staged.handle.syncSync();
    staged.unsyncedBytes = 0;
  }

  /**
   * Checks the files, syncs them and replaces the tree's content by them in one manifest edit.
   * Throws CorruptionError where a file is not what its description says; the install is aborted
   * then and nothing has changed. The caller resets the shard's log afterwards, never before.
   */
  finish(state: FlushedState, files: readonly CheckpointFile[]): Tree {
    assert(!this.#isOver, "the install is over");
    const received: TableFile[] = [];
    const slices: Slice[] = [];
    try {
      for (const [index, description] of files.entries()) {
        const file = this.#check(index, description);
        received.push(file);
        for (const slice of description.slices) {
          slices.push({ ...slice, fileNumber: file.fileNumber });
        }
      }
      this.#core.env.disk.syncDirectory(this.#core.directory);
      this.#core.append(this.#edit(state, received, slices));
    } catch (error) {
      // After a failed edit nobody knows whether the files are referred to: they stay.
      if (!this.#core.hasFailed) this.abort();
      throw error;
    }
    this.#isOver = true;
    for (const file of received) this.#core.tables.add(file);
    return this.#publish(state, slices);
  }

  /** Deletes what was received. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { handle, fileNumber } of this.#staged.values()) {
      handle.close();
      this.#core.tables.remove(fileNumber);
    }
  }

  #stage(fileIndex: number): Staged {
    const { fileNumber } = this.#core.newTarget();
    const path = tablePath(this.#core.directory, fileNumber);
    const handle = this.#core.env.disk.open(path, { create: true });
    const staged = { fileNumber, handle, orderedBytes: 0, checksum: 0, unsyncedBytes: 0 };
    this.#staged.set(fileIndex, staged);
    return staged;
  }

  /** The file under its number here, once its bytes are known to be right and durable. */
  #check(index: number, description: CheckpointFile): TableFile {
    const staged = this.#staged.get(index);
    const described = description.file;
    if (staged === undefined) {
      throw new CorruptionError(this.#core.directory, 0, "a file of the snapshot never came");
    }
    staged.handle.syncSync();
    const file = { ...described, fileNumber: staged.fileNumber };
    const { disk } = this.#core.env;
    const path = tablePath(this.#core.directory, staged.fileNumber);
    const table = new Sstable(disk, path, file, this.#core.cache);
    try {
      const isKnownGood =
        staged.orderedBytes === file.sizeBytes && staged.checksum === file.checksum;
      if (!isKnownGood) table.verify();
      for (const slice of description.slices) table.section(slice.family);
    } finally {
      table.close();
    }
    return file;
  }

  #edit(
    state: FlushedState,
    files: readonly TableFile[],
    slices: readonly Slice[],
  ): EditOperation[] {
    const shardId = this.#shardId;
    const edit: EditOperation[] = [];
    // Dropped and made again, because the flushed index may also fall by an install.
    if (this.#core.trees.has(shardId)) edit.push({ kind: "dropTree", shardId });
    edit.push({ kind: "createTree", shardId, range: this.#range, flushed: state });
    for (const file of files) edit.push({ kind: "addFile", file });
    for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    return edit;
  }

  #publish(state: FlushedState, slices: readonly Slice[]): Tree {
    for (const { handle } of this.#staged.values()) handle.close();
    const { trees, tables, pool } = this.#core;
    const existing = trees.get(this.#shardId);
    if (existing !== undefined) {
      existing.installSnapshot(this.#range, state, slices);
      return existing;
    }
    const parts = { range: this.#range, flushed: state, slices, tables, pool };
    const tree = new Tree(this.#shardId, parts);
    trees.set(this.#shardId, tree);
    return tree;
  }
}
