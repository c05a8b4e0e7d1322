/**
 * Writes a pack: tables one behind the other, each as it would be in a file of its own. It goes to
 * the disk in pieces, wherever a table ends, and every mebibyte is synced. The pack is durable when
 * finish returns, its name is not: the directory is the caller's to sync.
 *
 * A table begins at a multiple of 8 with zeros before it. Whatever is written and then given up
 * takes room and is nobody's.
 */
import { assert } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import { PIECE_SIZE_BYTES, UNSYNCED_BYTES_MAX } from "../env/disk.js";
import type { DiskFile } from "../env/disk.js";
import type { Pack } from "./slice.js";
import type { TableSink, TableTarget, WrittenTable } from "./sstable-writer.js";
import { SstableWriter } from "./sstable-writer.js";

const ALIGNMENT_BYTES = 8;

export class PackWriter {
  readonly #file: DiskFile;
  readonly #packNumber: number;
  readonly #output: ByteWriter = new ByteWriter(64 * 1024);
  #writtenBytes = 0;
  #syncedBytes = 0;
  #tableCount = 0;

  constructor(file: DiskFile, packNumber: number) {
    this.#file = file;
    this.#packNumber = packNumber;
  }

  get sizeBytes(): number {
    return this.#writtenBytes + this.#output.length;
  }

  /** Adds what `fill` writes, if that is any entry; `fill` returns how many it wrote. */
  add(target: TableTarget, fill: (writer: SstableWriter) => number): WrittenTable | undefined {
    const offset = this.#begin();
    const { fileNumber, salt, blockSizeBytes } = target;
    const sink = this.#sinkAt(offset);
    const writer = new SstableWriter(sink, fileNumber, salt, blockSizeBytes);
    if (fill(writer) === 0) return undefined;
    const { file, sections } = writer.finish();
    return { file: this.#placed(file, offset), sections };
  }

  /** Adds a table as it is. */
  copy(file: WrittenTable["file"], bytes: Uint8Array): WrittenTable["file"] {
    assert(bytes.length === file.sizeBytes, "a table is copied as a whole");
    const offset = this.#begin();
    this.#put(bytes, 0, bytes.length);
    return this.#placed(file, offset);
  }

  /** Writes what is left and syncs the file; undefined where there are no tables in it. */
  finish(): Pack | undefined {
    if (this.#tableCount === 0) return undefined;
    this.#writeOutput();
    this.#file.syncSync();
    return { packNumber: this.#packNumber, sizeBytes: this.#writtenBytes };
  }

  #begin(): number {
    while (this.sizeBytes % ALIGNMENT_BYTES !== 0) this.#output.u8(0);
    return this.sizeBytes;
  }

  #placed(file: WrittenTable["file"], offset: number): WrittenTable["file"] {
    this.#tableCount++;
    return { ...file, home: { packNumber: this.#packNumber, offset } };
  }

  #sinkAt(start: number): TableSink {
    return {
      writeSync: (source, offset, length, position) => {
        assert(this.sizeBytes === start + position, "a table is written in order");
        this.#put(source, offset, length);
      },
      // Nobody is told of any of the tables before all of them are durable.
      syncSync: () => undefined,
    };
  }

  #put(source: Uint8Array, offset: number, length: number): void {
    this.#output.slice(source, offset, length);
    if (this.#output.length >= PIECE_SIZE_BYTES) this.#writeOutput();
  }

  #writeOutput(): void {
    const output = this.#output;
    this.#file.writeSync(output.bytes, 0, output.length, this.#writtenBytes);
    this.#writtenBytes += output.length;
    output.reset();
    if (this.#writtenBytes - this.#syncedBytes < UNSYNCED_BYTES_MAX) return;
    this.#file.syncSync();
    this.#syncedBytes = this.#writtenBytes;
  }
}
