/** A real tree on a disk in memory, with flush and compaction done on the spot. */
import { ByteWriter, writeU32BE } from "../../src/base/coding.js";
import { utf8 } from "../../src/base/bytes.js";
import { SlabPool } from "../../src/lsm/arena.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { compactTables, flushMemtable } from "../../src/lsm/compaction.js";
import type { WrittenTable } from "../../src/lsm/sstable-writer.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import type { Slice } from "../../src/lsm/slice.js";
import { isBottom } from "../../src/lsm/compaction-picker.js";
import { TableSet } from "../../src/lsm/table-set.js";
import { Tree } from "../../src/lsm/tree.js";
import { sliceOf } from "../../src/lsm/version.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

export const KEYSPACE_ID = 7;
export const PREFIX_LENGTH = 4;

export const INITIAL: FlushedState = {
  index: 0,
  term: 0,
  revision: 1,
  compactedRevision: 0,
  closedRevision: 0,
  logicalClock: 0,
  configuration: new Uint8Array(0),
};

/** The stored key of a user key. */
export function stored(user: string | Uint8Array): Uint8Array {
  const out = new ByteWriter();
  writeU32BE(out.bytes, out.reserve(4), KEYSPACE_ID);
  out.raw(typeof user === "string" ? utf8(user) : user);
  return out.copy();
}

export class TestTree {
  readonly tree: Tree;
  readonly #disk = new MemoryDisk();
  readonly #tables: TableSet;
  #fileNumber = 0;

  constructor() {
    this.#disk.makeDirectory("/t");
    this.#tables = new TableSet(this.#disk, "/t", new BlockCache(1 << 20), (path) =>
      this.#disk.remove(path),
    );
    const end = new Uint8Array(4);
    writeU32BE(end, 0, KEYSPACE_ID + 1);
    this.tree = new Tree(3, {
      range: { start: stored(""), end },
      flushed: INITIAL,
      slices: [],
      tables: this.#tables,
      pool: new SlabPool(),
    });
  }

  flush(state: FlushedState): void {
    this.tree.freeze(state);
    const memtable = this.tree.frozen[0]!;
    const horizon = state.compactedRevision;
    const written = flushMemtable(this.#disk, this.#target(), memtable.image(), horizon);
    this.tree.installFlush(written === undefined ? [] : this.#adopt(written, 0));
  }

  /** Merges all runs of every family into one, with the durable horizon. */
  compact(): void {
    for (const runs of this.tree.version.runs) {
      if (runs.length > 0) this.#compactFamily(runs.map((run) => run.slice));
    }
  }

  #compactFamily(inputs: readonly Slice[]): void {
    const family = inputs[0]!.family;
    const written = compactTables(this.#disk, [this.#target()], {
      family,
      inputs: inputs.map((slice) => ({
        file: this.#tables.file(slice.fileNumber),
        clip: undefined,
      })),
      horizon: this.tree.flushed.compactedRevision,
      isBottom: isBottom(inputs, inputs),
      tableBytesMax: Infinity,
    });
    const added = written.flatMap((table) => this.#adopt(table, 1));
    this.tree.installCompaction(inputs, added);
  }

  #target(): { directory: string; fileNumber: number; salt: number } {
    this.#fileNumber++;
    return { directory: "/t", fileNumber: this.#fileNumber, salt: 1 };
  }

  #adopt(written: WrittenTable, level: number): Slice[] {
    this.#tables.add(written.file);
    return written.sections.map((info) => sliceOf(written.file.fileNumber, info, level));
  }
}
