/**
 * The files of a tree, pinned as of its flushed state, for a Raft snapshot. Files are sent whole;
 * their description says which parts of them belong to the tree.
 */
import { ByteReader, ByteWriter } from "../base/coding.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Slice, TableFile } from "../lsm/slice.js";
import type { Sstable } from "../lsm/sstable-reader.js";
import type { Tree } from "../lsm/tree.js";
import { readSlice, readTableFile, writeSlice, writeTableFile } from "../lsm/version-edit.js";

/** One file of a snapshot and the parts of it that belong to the tree. */
export interface CheckpointFile {
  readonly file: TableFile;
  readonly slices: readonly Slice[];
}

export class TreeCheckpoint {
  readonly state: FlushedState;
  readonly files: readonly CheckpointFile[];
  readonly #tables: readonly Sstable[];
  #release: (() => void) | undefined;

  constructor(tree: Tree) {
    const version = tree.version;
    version.retain();
    this.#release = () => version.release();
    this.state = tree.flushed;
    const tables = new Map<Sstable, Slice[]>();
    for (const run of version.runs.flat()) {
      const slices = tables.get(run.table);
      if (slices === undefined) tables.set(run.table, [run.slice]);
      else slices.push(run.slice);
    }
    this.#tables = [...tables.keys()];
    this.files = [...tables].map(([table, slices]) => ({ file: table.file, slices }));
  }

  /** A copy of [offset, offset + length) of a file, shorter at its end. */
  readChunk(fileIndex: number, offset: number, length: number): Uint8Array {
    return this.#tables[fileIndex]!.readRaw(offset, length);
  }

  /** The files may be deleted afterwards. A second call does nothing. */
  release(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/** The description of a snapshot's files as bytes: u32 count, then file, u32 count, its slices. */
export function encodeCheckpointFiles(files: readonly CheckpointFile[]): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(files.length);
  for (const { file, slices } of files) {
    writeTableFile(writer, file);
    writer.u32(slices.length);
    for (const slice of slices) writeSlice(writer, slice);
  }
  return writer.copy();
}

/** Throws DecodeError where the bytes are not such a description. */
export function decodeCheckpointFiles(bytes: Uint8Array): CheckpointFile[] {
  const reader = new ByteReader(bytes);
  const files: CheckpointFile[] = [];
  for (let count = reader.u32(); count > 0; count--) {
    const file = readTableFile(reader);
    const slices: Slice[] = [];
    for (let left = reader.u32(); left > 0; left--) slices.push(readSlice(reader));
    files.push({ file, slices });
  }
  return files;
}
