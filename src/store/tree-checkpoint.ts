/** The files of a tree, pinned as of its flushed state, for a Raft snapshot. (Signatures.) */
import type { FlushedState } from "../lsm/entry.js";
import type { Slice, TableFile } from "../lsm/version.js";

/** One file of a snapshot and the parts of it that belong to the tree. */
export interface CheckpointFile {
  readonly file: TableFile;
  readonly slices: readonly Slice[];
}

export interface TreeCheckpoint {
  readonly state: FlushedState;
  readonly files: readonly CheckpointFile[];
  /** A copy of [offset, offset + length) of a file, shorter at its end. */
  readChunk(fileIndex: number, offset: number, length: number): Uint8Array;
  /** Must be called once; the files may be deleted afterwards. */
  release(): void;
}
