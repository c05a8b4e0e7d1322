/**
 * Where the key blocks of a section are. They are known by their ordinals, from 0 on.
 *
 *   one level    the index is a block with a row for each key block, and stays in memory
 *   two levels   where that would be more than a block of the usual size: many blocks, which come
 *                and go with the cache, and the top, which stays and says where they are
 *
 * It holds nothing of what it reads from the cache: what it returns are numbers and copies.
 */
import { readU32, readU53 } from "../base/coding.js";
import type { BlockCache } from "./block-cache.js";
import type { Block } from "./block-reader.js";
import { looseFrame } from "./frame.js";
import type { Frame } from "./frame.js";
import { FrameList, NO_FRAMES } from "./frame-list.js";
import { handleAt } from "./sstable-format.js";
import type { BlockHandle, SectionInfo } from "./sstable-format.js";

/** In the value of a row, behind offset and size of what it leads to. */
const MIN_VERSION_AT = 12;
const FIRST_ORDINAL_AT = 12;

/** Of one level: there are many small tables, and each would have its own (bench: trees). */
const ONE_PART: readonly number[] = [0];

/** The table whose index it is, as sstable-reader.ts has it: all that is read of it is checked. */
export interface IndexedTable {
  readonly cache: BlockCache;
  readBlock(handle: BlockHandle): Uint8Array;
  openRows(frame: Frame, handle: BlockHandle, rowCount?: number): void;
  loadRows(handle: BlockHandle, list: FrameList, ordinal: number, rowCount?: number): Frame;
  corruption(offset: number, detail: string): Error;
}

/** The key blocks that one block of the index tells of. */
export interface IndexPart {
  readonly firstOrdinal: number;
  readonly endOrdinal: number;
  readonly firstKey: Uint8Array;
}

export class KeyIndex {
  readonly #table: IndexedTable;
  readonly #info: SectionInfo;
  readonly #top: Block;
  /** The first key block that each part, which is a block of the index, tells of. */
  readonly #firstOrdinals: readonly number[];
  /** Of two levels: the parts that are in the cache. */
  readonly #parts: FrameList;
  #lastPart = 0;
  /** The part read last, where the cache had no room for it. */
  #loose: { readonly part: number; readonly block: Block } | undefined = undefined;

  constructor(table: IndexedTable, info: SectionInfo) {
    this.#table = table;
    this.#info = info;
    const { keyIndex } = info;
    const frame = looseFrame(table.readBlock(keyIndex));
    table.openRows(frame, keyIndex, keyIndex.isDeep ? undefined : keyIndex.blockCount);
    this.#top = frame.block;
    this.#firstOrdinals = keyIndex.isDeep ? this.#readOrdinals() : ONE_PART;
    this.#parts = keyIndex.isDeep ? new FrameList(this.#firstOrdinals.length) : NO_FRAMES;
  }

  /**
   * The block in which the first entry at or after (key, version) is, or the one before it: where
   * keys have several versions, newer ones may end the block before the one that begins with a key.
   * Where they have one, that is the block, and none is read in vain (bench: storage, get).
   */
  ordinalFor(key: Uint8Array, keyOffset: number, keyLength: number, version: number): number {
    const row = this.#rowFor(this.#top, key, keyOffset, keyLength, version);
    if (!this.#info.keyIndex.isDeep) return row;
    this.#lastPart = row;
    const part = this.#part(row);
    return this.#firstOrdinals[row]! + this.#rowFor(part, key, keyOffset, keyLength, version);
  }

  /** The first key block, or the end, that is told of elsewhere than this one. */
  endOfPart(ordinal: number): number {
    return this.#endOf(this.#partOf(ordinal));
  }

  handleOf(ordinal: number): BlockHandle {
    const part = this.#partOf(ordinal);
    return handleIn(this.#part(part), ordinal - this.#firstOrdinals[part]!);
  }

  /** The first key of a key block. */
  firstKey(ordinal: number): Uint8Array {
    const part = this.#partOf(ordinal);
    return this.#part(part).key(ordinal - this.#firstOrdinals[part]!);
  }

  /** The smallest version in a key block. */
  minVersion(ordinal: number): number {
    const part = this.#partOf(ordinal);
    const block = this.#part(part);
    const at = block.valueStart(ordinal - this.#firstOrdinals[part]!);
    return readU53(block.bytes, at + MIN_VERSION_AT);
  }

  /** What is known without reading any of them. */
  parts(): readonly IndexPart[] {
    return this.#firstOrdinals.map((firstOrdinal, part) => ({
      firstOrdinal,
      endOrdinal: this.#endOf(part),
      firstKey: this.#top.key(part),
    }));
  }

  forget(): void {
    this.#table.cache.forget(this.#parts);
  }

  #rowFor(
    block: Block,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    version: number,
  ): number {
    const at = block.lowerBound(key, keyOffset, keyLength, version);
    if (at === 0) return 0;
    const { keyCount, entryCount } = this.#info;
    const isFirst =
      keyCount === entryCount && at < block.rowCount && block.keyIs(at, key, keyOffset, keyLength);
    return isFirst ? at : at - 1;
  }

  /** Mostly it is the part in which the ordinal was just found (bench: storage, get). */
  #partOf(ordinal: number): number {
    const firsts = this.#firstOrdinals;
    const last = this.#lastPart;
    if (firsts[last]! <= ordinal && ordinal < this.#endOf(last)) return last;
    let low = 0;
    let high = firsts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (firsts[middle]! <= ordinal) low = middle;
      else high = middle;
    }
    this.#lastPart = low;
    return low;
  }

  #endOf(part: number): number {
    return this.#firstOrdinals[part + 1] ?? this.#info.keyIndex.blockCount;
  }

  #rowsOf(part: number): number {
    return this.#endOf(part) - this.#firstOrdinals[part]!;
  }

  /** It holds until the next block is read. */
  #part(part: number): Block {
    if (!this.#info.keyIndex.isDeep) return this.#top;
    const frame = this.#parts.frames[part];
    if (frame === undefined)
      return this.#loose?.part === part ? this.#loose.block : this.#load(part);
    frame.referenced = true;
    return frame.block;
  }

  #load(part: number): Block {
    const handle = handleIn(this.#top, part);
    const { block, home } = this.#table.loadRows(handle, this.#parts, part, this.#rowsOf(part));
    this.#loose = home === undefined ? { part, block } : undefined;
    return block;
  }

  #readOrdinals(): readonly number[] {
    const { keyIndex } = this.#info;
    const top = this.#top;
    const ordinals: number[] = [];
    for (let part = 0; part < top.rowCount; part++) {
      const ordinal = readU32(top.bytes, top.valueStart(part) + FIRST_ORDINAL_AT);
      const isNext = part === 0 ? ordinal === 0 : ordinal > ordinals[part - 1]!;
      if (!isNext || ordinal >= keyIndex.blockCount) {
        throw this.#table.corruption(keyIndex.offset, "an index tells of blocks out of order");
      }
      ordinals.push(ordinal);
    }
    return ordinals;
  }
}

function handleIn(block: Block, row: number): BlockHandle {
  return handleAt(block.bytes, block.valueStart(row));
}
