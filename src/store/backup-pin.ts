/**
 * Trees of a store that somebody else backs up: their tables, pinned, with what makes an empty
 * store them, and piece by piece the bytes. Tables that trees share stay shared.
 */
import type { TableSet } from "../lsm/table-set.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import { editOf, withoutPacks } from "./checkpoint-edit.js";
import type { PinnedTree } from "./checkpoint-edit.js";
import type { TreeCheckpoint } from "./tree-checkpoint.js";

interface Place {
  readonly checkpoint: TreeCheckpoint;
  readonly fileIndex: number;
}

export class BackupPin {
  readonly edit: VersionEdit;
  readonly #trees: readonly PinnedTree[];
  readonly #places: Map<number, Place> = new Map();

  constructor(tables: TableSet, trees: readonly PinnedTree[]) {
    this.edit = withoutPacks(editOf(tables, trees));
    this.#trees = trees;
    for (const { checkpoint } of trees) {
      for (const [fileIndex, { file }] of checkpoint.files.entries()) {
        this.#places.set(file.fileNumber, { checkpoint, fileIndex });
      }
    }
  }

  /** A copy of [offset, offset + length) of a table, shorter at its end; undefined: no table. */
  readChunk(fileNumber: number, offset: number, length: number): Uint8Array | undefined {
    const place = this.#places.get(fileNumber);
    return place?.checkpoint.readChunk(place.fileIndex, offset, length);
  }

  /** The tables may be deleted afterwards. */
  release(): void {
    for (const { checkpoint } of this.#trees) checkpoint.release();
  }
}
