/**
 * Reads an sstable. A file is opened at its first use; of a section the top of its index, filter
 * and value index are read at their first use and then stay, its blocks come and go with the cache.
 * Everything is checked before it is used: a byte that is bad, or that the disk does not give, is a
 * CorruptionError with file and offset, once it is so twice.
 */
import { crc32, placedChecksum } from "../base/checksum.js";
import { ByteReader, DecodeError, readU32 } from "../base/coding.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { BlockCache } from "./block-cache.js";
import { BLOCK_ALIGNMENT_BYTES, CHECKSUM_SIZE_BYTES } from "./block-format.js";
import type { EntrySlot, ValueSource } from "./entry-slot.js";
import type { FamilyId } from "./families.js";
import { isFilterLength, mayContain } from "./filter.js";
import { Frame, FrameMemory } from "./frame.js";
import { FrameList, NO_FRAMES } from "./frame-list.js";
import { KeyIndex } from "./key-index.js";
import type { IndexPart } from "./key-index.js";
import { TableReader } from "./open-files.js";
import type { OpenFiles } from "./open-files.js";
import { readTwice } from "./read-twice.js";
import type { BlockHandle, SectionInfo } from "./sstable-format.js";
import {
  FOOTER_SIZE_BYTES,
  VALUE_HANDLE_SIZE_BYTES,
  decodeFooter,
  handleAt,
  readSection,
} from "./sstable-format.js";
import type { TableFile } from "./slice.js";

const VERIFY_CHUNK_SIZE_BYTES = 1024 * 1024;
/** Memory for a span is larger than it by this part of it. */
const SPAN_ROOM_SHARE = 8;

export class Sstable {
  readonly path: string;
  readonly file: TableFile;
  readonly cache: BlockCache;
  readonly #bytes: TableReader;
  #sections: Section[] | undefined = undefined;

  /** `path`: of the file in which the table lies. */
  constructor(files: OpenFiles, path: string, file: TableFile, cache: BlockCache) {
    this.#bytes = new TableReader(files, path, file);
    this.path = path;
    this.file = file;
    this.cache = cache;
  }

  /** The section of a family, which the caller knows to be there. */
  section(family: FamilyId): Section {
    for (const section of this.sections()) if (section.info.family === family) return section;
    throw this.corruption(0, `there is no section of family ${family}`);
  }

  sections(): readonly Section[] {
    this.#sections ??= readTwice(this.path, this.#startsAt, () => this.#openSections());
    return this.#sections;
  }

  /** The bytes of a block, checked. The buffer is the block's own and starts at its offset 0. */
  readBlock(handle: BlockHandle): Uint8Array {
    this.cache.blocksRead++;
    return readTwice(this.path, this.#startsAt + handle.offset, () => this.#blockBytes(handle));
  }

  /** A block, checked, in a frame of the cache, which the caller adds to it or gives back. */
  readFrame(handle: BlockHandle): Frame {
    const frame = this.cache.take(handle.sizeBytes + CHECKSUM_SIZE_BYTES);
    try {
      readTwice(this.path, this.#startsAt + handle.offset, () =>
        this.#readBlock(handle, frame.memory.bytes, frame.start),
      );
      this.cache.blocksRead++;
      return frame;
    } catch (error) {
      this.cache.giveBack(frame);
      throw error;
    }
  }

  /** A block of rows, checked, that the cache keeps from now on as this one of the list. */
  loadRows(handle: BlockHandle, list: FrameList, ordinal: number, rowCount?: number): Frame {
    const frame = this.readFrame(handle);
    try {
      this.openRows(frame, handle, rowCount);
    } catch (error) {
      this.cache.giveBack(frame);
      throw error;
    }
    this.cache.add(frame, list, ordinal);
    return frame;
  }

  /** `rowCount`: where it is known how many rows there have to be. */
  openRows(frame: Frame, { offset, sizeBytes }: BlockHandle, rowCount?: number): void {
    try {
      frame.openBlock(sizeBytes);
      const found = frame.block.rowCount;
      if (found === 0) throw this.corruption(offset, "a block has no rows");
      if (found !== (rowCount ?? found)) {
        throw this.corruption(offset, `a block has ${found} rows instead of ${rowCount}`);
      }
    } catch (error) {
      if (error instanceof DecodeError) throw this.corruption(offset, error.message);
      throw error;
    }
  }

  /**
   * Reads what holds `first` to `last` and all between at once and unchecked, to `spare` where that
   * is large enough. Undefined where it cannot be read; `spare` is no longer what it was then.
   */
  readSpan(first: BlockHandle, last: BlockHandle, spare?: FrameMemory): FrameMemory | undefined {
    const length = endOf(last) - first.offset;
    if (first.offset + length > this.file.sizeBytes) return undefined;
    const memory = fitting(length, spare);
    try {
      const count = this.#bytes.readSync(memory.bytes, 0, length, first.offset);
      return count === length ? memory : undefined;
    } catch (error) {
      if (error instanceof DiskError) return undefined;
      throw error;
    }
  }

  /** Whether bytes that were read from `offset` on have their checksum behind them. */
  isSound(span: Uint8Array, at: number, { offset, sizeBytes }: BlockHandle): boolean {
    const sum = placedChecksum(span.subarray(at, at + sizeBytes), this.file.salt, offset);
    return sum === readU32(span, at + sizeBytes);
  }

  /** Reads the whole file and compares size and checksum with what the manifest says. */
  verify(): void {
    const { sizeBytes, checksum } = this.file;
    const chunk = new Uint8Array(Math.min(VERIFY_CHUNK_SIZE_BYTES, sizeBytes));
    let sum = 0;
    for (let at = 0; at < sizeBytes; at += chunk.length) {
      const length = Math.min(chunk.length, sizeBytes - at);
      if (this.#bytes.readSync(chunk, 0, length, at) !== length) {
        throw this.corruption(at, "the file is shorter than its description");
      }
      sum = crc32(length === chunk.length ? chunk : chunk.subarray(0, length), sum);
    }
    if (sum !== checksum || this.#bytes.sizeBytes() !== sizeBytes) {
      throw this.corruption(0, "the file is not the one that was described");
    }
  }

  /** In its file. */
  get #startsAt(): number {
    return this.file.home?.offset ?? 0;
  }

  /** A copy of raw bytes, shorter at the end of the file. */
  readRaw(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.file.sizeBytes - offset)));
    const count = this.#bytes.readSync(bytes, 0, bytes.length, offset);
    return count === bytes.length ? bytes : bytes.subarray(0, count);
  }

  close(): void {
    for (const section of this.#sections ?? []) section.forget();
    this.#sections = undefined;
    this.#bytes.close();
  }

  /** Says that the byte at `offset` of the table is not what was written. */
  corruption(offset: number, detail: string): CorruptionError {
    return new CorruptionError(this.path, this.#startsAt + offset, detail);
  }

  #openSections(): Section[] {
    const { sizeBytes, salt } = this.file;
    const footerAt = sizeBytes - FOOTER_SIZE_BYTES;
    const footerBytes = new Uint8Array(FOOTER_SIZE_BYTES);
    if (
      footerAt < 0 ||
      this.#bytes.sizeBytes() !== sizeBytes ||
      this.#bytes.readSync(footerBytes, 0, FOOTER_SIZE_BYTES, footerAt) !== FOOTER_SIZE_BYTES
    ) {
      throw this.corruption(0, "the file has not the size it was written with");
    }
    const footer = decodeFooter(footerBytes, this.path, this.#startsAt + footerAt);
    if (footer.salt !== salt) {
      throw this.corruption(footerAt, "this is another file than the manifest names");
    }
    const reader = new ByteReader(this.#blockBytes(footer.directory));
    const sections: Section[] = [];
    const rowCountOf = (handle: BlockHandle): number => readU32(this.#blockBytes(handle), 0);
    for (let count = reader.u32(); count > 0; count--) {
      const info = readSection(reader, this.path, footer.formatVersion, rowCountOf);
      sections.push(new Section(this, info));
    }
    return sections;
  }

  #blockBytes(handle: BlockHandle): Uint8Array {
    const bytes = new Uint8Array(handle.sizeBytes + CHECKSUM_SIZE_BYTES);
    this.#readBlock(handle, bytes, 0);
    return bytes.subarray(0, handle.sizeBytes);
  }

  /** Reads a block and its checksum to `target`, from `at` on. */
  #readBlock(handle: BlockHandle, target: Uint8Array, at: number): void {
    const { offset } = handle;
    const length = handle.sizeBytes + CHECKSUM_SIZE_BYTES;
    if (offset + length > this.file.sizeBytes) {
      throw this.corruption(offset, "a block passes the end of the file");
    }
    if (this.#bytes.readSync(target, at, length, offset) !== length) {
      throw this.corruption(offset, "the file is shorter than it was");
    }
    if (!this.isSound(target, at, handle)) {
      throw this.corruption(offset, "a block fails its checksum");
    }
  }
}

/** One family's part of an sstable. */
export class Section implements ValueSource {
  readonly info: SectionInfo;
  readonly #table: Sstable;
  /** They have their size as soon as the index of the blocks is there. */
  #blocks: FrameList = NO_FRAMES;
  #valueBlocks: FrameList = NO_FRAMES;
  #keyIndex: KeyIndex | undefined = undefined;
  #filter: Int32Array | undefined = undefined;
  #valueIndex: Uint8Array | undefined = undefined;

  constructor(table: Sstable, info: SectionInfo) {
    this.#table = table;
    this.info = info;
  }

  get blockCount(): number {
    return this.info.keyIndex.blockCount;
  }

  /**
   * The newest version of the key that is at most `maxVersion`, shown in `slot`; false where there
   * is none. `hash` is the key's hash32.
   */
  get(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    hash: number,
    maxVersion: number,
    slot: EntrySlot,
  ): boolean {
    if (!mayContain(this.#filter ?? this.#loadFilter(), hash)) return false;
    let ordinal = this.ordinalFor(key, keyOffset, keyLength, maxVersion);
    let frame = this.frame(ordinal);
    let row = frame.block.find(key, keyOffset, keyLength, maxVersion);
    if (row < 0) return false;
    if (row === frame.block.rowCount) {
      // The place is between two blocks: the version looked for may be the next one's first.
      if (++ordinal === this.blockCount) return false;
      frame = this.frame(ordinal);
      row = 0;
      if (!frame.block.keyIs(row, key, keyOffset, keyLength)) return false;
    }
    frame.block.show(row, slot, this);
    slot.hold(frame);
    return true;
  }

  /** As KeyIndex says. */
  ordinalFor(key: Uint8Array, keyOffset: number, keyLength: number, version: number): number {
    const index = this.#keyIndex ?? this.#index();
    return index.ordinalFor(key, keyOffset, keyLength, version);
  }

  /** A block of rows. It holds until the next block is read, unless it is pinned. */
  frame(ordinal: number): Frame {
    const frame = this.#blocks.frames[ordinal];
    if (frame === undefined) return this.#loadBlock(ordinal);
    frame.referenced = true;
    return frame;
  }

  /** As `frame`, if it is in the cache, for who walks by: that is no sign that it is wanted. */
  cachedFrame(ordinal: number): Frame | undefined {
    return this.#blocks.frames[ordinal];
  }

  /**
   * Blocks from `ordinal` on, up to `countMax` of them, in one read and past the cache, for who
   * walks on: what is read once leaves there what is read again. Fewer, or none, where they do not
   * lie together, another part of the index tells of them, or they are not sound; `frame` says then
   * what is wrong. Measured: bench storage, scan. `spare` is memory that nobody looks at any more.
   */
  blocksAhead(ordinal: number, countMax: number, spare?: FrameMemory): readonly Frame[] {
    const index = this.#index();
    const handles = [index.handleOf(ordinal)];
    const end = Math.min(index.endOfPart(ordinal), ordinal + countMax);
    for (let next = ordinal + 1; next < end; next++) {
      const handle = index.handleOf(next);
      if (handle.offset - endOf(handles.at(-1)!) >= BLOCK_ALIGNMENT_BYTES) break;
      handles.push(handle);
    }
    const first = handles[0]!;
    const memory = this.#table.readSpan(first, handles.at(-1)!, spare);
    if (memory === undefined) return [];
    const frames: Frame[] = [];
    for (const handle of handles) {
      const at = handle.offset - first.offset;
      const isAligned = at % BLOCK_ALIGNMENT_BYTES === 0;
      if (!isAligned || !this.#table.isSound(memory.bytes, at, handle)) break;
      const frame = new Frame(memory, at, handle.sizeBytes, undefined);
      this.#table.openRows(frame, handle);
      frames.push(frame);
    }
    this.#table.cache.blocksRead += frames.length;
    return frames;
  }

  /** The first key of a block, which need not be read for it. */
  blockStart(ordinal: number): Uint8Array {
    return this.#index().firstKey(ordinal);
  }

  /** The smallest version in a block, which need not be read for it. */
  blockMinVersion(ordinal: number): number {
    return this.#index().minVersion(ordinal);
  }

  /** By the blocks of the index, each of which may be damaged. */
  indexParts(): readonly IndexPart[] {
    return this.#index().parts();
  }

  valueFrame(ordinal: number): Frame {
    const frame = this.#valueBlocks.frames[ordinal];
    if (frame === undefined) return this.#loadValueBlock(ordinal);
    frame.referenced = true;
    return frame;
  }

  forget(): void {
    this.#keyIndex?.forget();
    this.#table.cache.forget(this.#blocks);
    this.#table.cache.forget(this.#valueBlocks);
  }

  #index(): KeyIndex {
    if (this.#keyIndex === undefined) {
      this.#keyIndex = new KeyIndex(this.#table, this.info);
      this.#blocks = new FrameList(this.blockCount);
    }
    return this.#keyIndex;
  }

  #loadFilter(): Int32Array {
    const bytes = this.#table.readBlock(this.info.filter);
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    if (!isFilterLength(words.length)) this.#fail(this.info.filter, "a filter has no such size");
    this.#filter = words;
    return words;
  }

  #loadBlock(ordinal: number): Frame {
    const handle = this.#index().handleOf(ordinal);
    return this.#table.loadRows(handle, this.#blocks, ordinal);
  }

  #loadValueBlock(ordinal: number): Frame {
    const { cache } = this.#table;
    const frame = this.#table.readFrame(this.#valueHandleOf(ordinal));
    cache.add(frame, this.#valueBlocks, ordinal);
    return frame;
  }

  #valueHandleOf(ordinal: number): BlockHandle {
    if (this.#valueIndex === undefined) {
      this.#valueIndex = this.#table.readBlock(this.info.valueIndex);
      this.#valueBlocks = new FrameList(this.#valueIndex.length / VALUE_HANDLE_SIZE_BYTES);
    }
    const index = this.#valueIndex;
    const at = ordinal * VALUE_HANDLE_SIZE_BYTES;
    if (at + VALUE_HANDLE_SIZE_BYTES > index.length) {
      this.#fail(this.info.valueIndex, `there is no value block ${ordinal}`);
    }
    return handleAt(index, at);
  }

  #fail(handle: BlockHandle, detail: string): never {
    throw this.#table.corruption(handle.offset, detail);
  }
}

/** Memory for so many bytes, and for a few more: spans that follow each other differ a little. */
function fitting(sizeBytes: number, spare: FrameMemory | undefined): FrameMemory {
  if (spare !== undefined && spare.bytes.length >= sizeBytes) return spare;
  return new FrameMemory(new Uint8Array(sizeBytes + Math.ceil(sizeBytes / SPAN_ROOM_SHARE)));
}

function endOf({ offset, sizeBytes }: BlockHandle): number {
  return offset + sizeBytes + CHECKSUM_SIZE_BYTES;
}
