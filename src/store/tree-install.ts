/** Takes in the files of a snapshot and makes them a tree in one step. (Signatures.) */
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { CheckpointFile } from "./tree-checkpoint.js";

export interface TreeInstall {
  /** Chunks of a file may come in any order and more than once. */
  writeChunk(fileIndex: number, offset: number, bytes: Uint8Array): void;
  /**
   * Checks the files, syncs them and replaces the tree's content by them in one manifest edit.
   * Throws CorruptionError where a file is not what its description says; nothing has changed then.
   * The caller resets the shard's log afterwards, never before.
   */
  finish(state: FlushedState, files: readonly CheckpointFile[]): Tree;
  abort(): void;
}
