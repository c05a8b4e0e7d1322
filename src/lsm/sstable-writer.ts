/**
 * Writes an sstable (sstable-format.ts) from entries that come in order: families ascending, in
 * each the keys ascending and their versions descending. It goes to the disk in pieces, and every
 * mebibyte is synced, so that no single sync has much to do. The file is durable when finish
 * returns, its name is not: the directory is the caller's to sync.
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES, compareSlices } from "../base/bytes.js";
import { crc32, placedChecksum } from "../base/checksum.js";
import { ByteWriter } from "../base/coding.js";
import { hash32 } from "../base/hash.js";
import { PIECE_SIZE_BYTES, UNSYNCED_BYTES_MAX } from "../env/disk.js";
import type { DiskFile } from "../env/disk.js";
import { BlockBuilder } from "./block-builder.js";
import { BLOCK_ALIGNMENT_BYTES } from "./block-format.js";
import type { EntrySlot } from "./entry-slot.js";
import type { FamilyId } from "./families.js";
import { buildFilter } from "./filter.js";
import { KeyIndexBuilder } from "./key-index-builder.js";
import type { BlockHandle, SectionInfo } from "./sstable-format.js";
import {
  APART_VALUE_SIZE_BYTES_MIN,
  KEY_BLOCK_SIZE_BYTES,
  encodeFooter,
  writeHandle,
  writeSection,
} from "./sstable-format.js";
import type { TableFile } from "./slice.js";

/** Where a new sstable goes. */
export interface TableTarget {
  readonly directory: string;
  readonly fileNumber: number;
  readonly salt: number;
  /** About the size of its blocks; without it, what the format calls usual. */
  readonly blockSizeBytes?: number | undefined;
}

/** What a table is written to; the positions come in order and without a gap. */
export type TableSink = Pick<DiskFile, "writeSync" | "syncSync">;

export interface WrittenTable {
  readonly file: TableFile;
  readonly sections: readonly SectionInfo[];
}

export class SstableWriter {
  readonly #file: TableSink;
  readonly #fileNumber: number;
  readonly #salt: number;
  readonly #blockSizeBytes: number;
  readonly #output: ByteWriter = new ByteWriter(2048);
  readonly #keyBlock: BlockBuilder = new BlockBuilder();
  readonly #keyIndex: KeyIndexBuilder;
  readonly #valueBlock: ByteWriter = new ByteWriter();
  readonly #valueIndex: ByteWriter = new ByteWriter();
  readonly #sections: SectionInfo[] = [];
  #hashes: Uint32Array = new Uint32Array(64);
  #hashCount = 0;
  #family: FamilyId | undefined = undefined;
  #sectionStart = 0;
  #entryCount = 0;
  #keyCount = 0;
  #tombstoneCount = 0;
  #minVersion: number = Infinity;
  #maxVersion = -1;
  #valueBlockCount = 0;
  #smallestKey: Uint8Array | undefined = undefined;
  /** Of the key block that is gathered now. */
  #firstKey: Uint8Array = EMPTY_BYTES;
  #firstVersion = 0;
  /** Of the key block that was written last. */
  #lastKey: Uint8Array = EMPTY_BYTES;
  #writtenBytes = 0;
  #syncedBytes = 0;
  #checksum = 0;

  /** `blockSizeBytes`: of blocks of keys and of their index; value blocks are twice as large. */
  constructor(
    file: TableSink,
    fileNumber: number,
    salt: number,
    blockSizeBytes: number = KEY_BLOCK_SIZE_BYTES,
  ) {
    this.#blockSizeBytes = blockSizeBytes;
    this.#keyIndex = new KeyIndexBuilder(blockSizeBytes);
    this.#file = file;
    this.#fileNumber = fileNumber;
    this.#salt = salt;
  }

  /** Bytes of the file so far. */
  get sizeBytes(): number {
    return this.#writtenBytes + this.#output.length;
  }

  beginFamily(family: FamilyId): void {
    const last = this.#sections.at(-1);
    assert(this.#family === undefined, "a section is open");
    assert(last === undefined || last.family < family, "families come in ascending order");
    this.#family = family;
    this.#sectionStart = this.sizeBytes;
    this.#entryCount = 0;
    this.#keyCount = 0;
    this.#tombstoneCount = 0;
    this.#minVersion = Infinity;
    this.#maxVersion = -1;
    this.#hashCount = 0;
    this.#valueBlockCount = 0;
    this.#smallestKey = undefined;
    this.#keyIndex.reset();
    this.#valueIndex.reset();
  }

  add(slot: EntrySlot): void {
    const bytes = slot.bytes;
    const keyOffset = slot.keyOffset;
    const keyLength = slot.keyLength;
    const version = slot.version;
    const tombstone = slot.tombstone;
    const valueLength = slot.valueLength;
    const block = this.#keyBlock;
    if (!this.#isLastKey(bytes, keyOffset, keyLength)) this.#addKey(bytes, keyOffset, keyLength);
    const isApart = valueLength >= APART_VALUE_SIZE_BYTES_MIN;
    if (block.rowCount === 0) {
      this.#firstKey = bytes.slice(keyOffset, keyOffset + keyLength);
      this.#firstVersion = version;
    }
    const values = block.add(bytes, keyOffset, keyLength, version, tombstone, isApart);
    if (isApart) this.#addApart(slot, values);
    else values.slice(slot.valueBytes, slot.valueOffset, valueLength);
    this.#entryCount++;
    if (tombstone) this.#tombstoneCount++;
    if (version < this.#minVersion) this.#minVersion = version;
    if (version > this.#maxVersion) this.#maxVersion = version;
    if (block.sizeBytes >= this.#blockSizeBytes) this.#endKeyBlock();
  }

  endFamily(): void {
    assert(this.#family !== undefined && this.#entryCount > 0, "a section has entries");
    this.#endKeyBlock();
    this.#endValueBlock();
    const valueIndex = this.#writeBlock(this.#valueIndex.view());
    const filterWords = buildFilter(this.#hashes, this.#hashCount);
    const filter = this.#writeBlock(new Uint8Array(filterWords.buffer));
    const keyIndex = this.#keyIndex.finish((block) => this.#writeBlock(block));
    this.#sections.push({
      family: this.#family,
      entryCount: this.#entryCount,
      keyCount: this.#keyCount,
      tombstoneCount: this.#tombstoneCount,
      minVersion: this.#minVersion,
      maxVersion: this.#maxVersion,
      sizeBytes: this.sizeBytes - this.#sectionStart,
      smallestKey: this.#smallestKey!,
      largestKey: this.#lastKey,
      keyIndex,
      valueIndex,
      filter,
    });
    this.#family = undefined;
  }

  /** Writes directory and footer and syncs the file. */
  finish(): WrittenTable {
    assert(this.#family === undefined, "a section is open");
    const directory = new ByteWriter();
    directory.u32(this.#sections.length);
    for (const section of this.#sections) writeSection(directory, section);
    const handle = this.#writeBlock(directory.view());
    this.#output.raw(encodeFooter({ salt: this.#salt, directory: handle }));
    this.#writeOutput();
    this.#file.syncSync();
    const file = {
      fileNumber: this.#fileNumber,
      sizeBytes: this.#writtenBytes,
      checksum: this.#checksum,
      salt: this.#salt,
    };
    return { file, sections: this.#sections };
  }

  #isLastKey(bytes: Uint8Array, keyOffset: number, keyLength: number): boolean {
    if (this.#keyBlock.rowCount > 0) return this.#keyBlock.lastKeyIs(bytes, keyOffset, keyLength);
    const last = this.#lastKey;
    return (
      this.#entryCount > 0 && compareSlices(bytes, keyOffset, keyLength, last, 0, last.length) === 0
    );
  }

  #addKey(bytes: Uint8Array, keyOffset: number, keyLength: number): void {
    this.#keyCount++;
    if (this.#smallestKey === undefined) {
      this.#smallestKey = bytes.slice(keyOffset, keyOffset + keyLength);
    }
    if (this.#hashCount === this.#hashes.length) {
      const hashes = new Uint32Array(this.#hashCount * 2);
      hashes.set(this.#hashes);
      this.#hashes = hashes;
    }
    this.#hashes[this.#hashCount++] = hash32(bytes, keyOffset, keyLength);
  }

  #addApart(slot: EntrySlot, reference: ByteWriter): void {
    const length = slot.valueLength;
    const block = this.#valueBlock;
    const isFull = block.length + length > this.#blockSizeBytes * 2;
    if (block.length > 0 && isFull) this.#endValueBlock();
    reference.u32(this.#valueBlockCount);
    reference.u32(block.length);
    reference.u32(length);
    block.slice(slot.valueBytes, slot.valueOffset, length);
  }

  #endKeyBlock(): void {
    const block = this.#keyBlock;
    if (block.rowCount === 0) return;
    const handle = this.#writeBlock(block.finishView());
    const { minVersion, maxVersion } = block;
    this.#keyIndex.add(handle, this.#firstKey, this.#firstVersion, minVersion, maxVersion);
    this.#lastKey = block.lastKey();
    block.reset();
  }

  #endValueBlock(): void {
    if (this.#valueBlock.length === 0) return;
    writeHandle(this.#valueIndex, this.#writeBlock(this.#valueBlock.view()));
    this.#valueBlockCount++;
    this.#valueBlock.reset();
  }

  #writeBlock(block: Uint8Array): BlockHandle {
    const output = this.#output;
    const offset = this.sizeBytes;
    const start = output.length;
    output.raw(block);
    while (output.length % BLOCK_ALIGNMENT_BYTES !== 0) output.u8(0);
    const sizeBytes = output.length - start;
    const checksum = placedChecksum(
      output.bytes.subarray(start, output.length),
      this.#salt,
      offset,
    );
    output.u32(checksum);
    if (output.length >= PIECE_SIZE_BYTES) this.#writeOutput();
    return { offset, sizeBytes };
  }

  #writeOutput(): void {
    const output = this.#output;
    this.#checksum = crc32(output.view(), this.#checksum);
    this.#file.writeSync(output.bytes, 0, output.length, this.#writtenBytes);
    this.#writtenBytes += output.length;
    output.reset();
    if (this.#writtenBytes - this.#syncedBytes >= UNSYNCED_BYTES_MAX) {
      this.#file.syncSync();
      this.#syncedBytes = this.#writtenBytes;
    }
  }
}
