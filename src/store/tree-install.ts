/**
 * Takes in the files of a snapshot and makes them a tree in one step. Until then nothing refers to
 * the files, so that whatever an install that never ended left is removed at the next start.
 */
import { assert, must } from "../base/assert.js";
import { crc32 } from "../base/checksum.js";
import type { KeyRange } from "../base/key-range.js";
import { UNSYNCED_BYTES_MAX } from "../env/disk.js";
import type { DiskFile } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Slice, TableFile } from "../lsm/slice.js";
import { OpenFiles } from "../lsm/open-files.js";
import { Sstable } from "../lsm/sstable-reader.js";
import { tablePath } from "../lsm/table-set.js";
import { Tree } from "../lsm/tree.js";
import type { EditOperation } from "../lsm/version-edit.js";
import type { StoreCore } from "./store-core.js";
import type { CheckpointFile } from "./tree-checkpoint.js";

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
  /** What was received, once it is known to be whole and durable. */
  #prepared: readonly TableFile[] | undefined;
  #isOver = false;

  constructor(core: StoreCore, shardId: number, range: KeyRange) {
    this.#core = core;
    this.#shardId = shardId;
    this.#range = range;
  }

  /** Chunks of a file may come in any order and more than once; in order is checked on the way. */
  writeChunk(fileIndex: number, offset: number, bytes: Uint8Array): void {
    assert(!this.#isOver && this.#prepared === undefined, "the install is over");
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
    if (staged.unsyncedBytes < UNSYNCED_BYTES_MAX) return;
    staged.handle.syncSync();
    staged.unsyncedBytes = 0;
  }

  /** How much of a file has come, from its beginning on, without a gap. */
  receivedBytes(fileIndex: number): number {
    return Math.max(0, this.#staged.get(fileIndex)?.orderedBytes ?? 0);
  }

  /**
   * Checks the files and syncs them: whatever can go wrong with them goes wrong here. Throws
   * CorruptionError where a file is not what its description says, DiskError where the disk does
   * not take it; the install is aborted then and nothing has changed.
   */
  prepare(files: readonly CheckpointFile[]): void {
    assert(!this.#isOver, "the install is over");
    try {
      this.#prepared = files.map((description, index) => this.#check(index, description));
      this.#core.env.disk.syncDirectory(this.#core.directory);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /**
   * Replaces the tree's content by the files in one manifest edit. The caller resets the shard's
   * log afterwards, never before. An edit that cannot be written ends the store, also on a full
   * disk: whoever calls this has already promised to go on from the snapshot.
   */
  finish(state: FlushedState, files: readonly CheckpointFile[]): Tree {
    assert(!this.#isOver, "the install is over");
    if (this.#prepared === undefined) this.prepare(files);
    const received = must(this.#prepared);
    const slices = files.flatMap((description, index) =>
      description.slices.map((each) => ({ ...each, fileNumber: received[index]!.fileNumber })),
    );
    try {
      this.#core.append(this.#edit(state, received, slices));
    } catch (error) {
      this.#core.fail(error as Error);
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
    const file = { ...described, fileNumber: staged.fileNumber, home: undefined };
    const { disk } = this.#core.env;
    const path = tablePath(this.#core.directory, staged.fileNumber);
    const opened = new OpenFiles(disk, 1);
    const table = new Sstable(opened, path, file, this.#core.cache);
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
