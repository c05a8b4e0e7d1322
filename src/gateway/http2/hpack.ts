/**
 * HPACK (RFC 7541), the receiving side. A header block is a row of
 *
 *   1xxxxxxx  an entry of the tables, by its index
 *   01xxxxxx  a literal that goes into the dynamic table, its name by index or, for 0, in full
 *   0000xxxx  a literal that does not, 0001xxxx one that never may
 *   001xxxxx  a new bound of the dynamic table, at the beginning of a block only
 *
 * Indexes and lengths are integers with a prefix (5.1), texts may be in the Huffman code. Whatever
 * is wrong throws DecodeError, after which both sides know different tables and must part.
 *
 * What is sent needs no table: `literalHeader` writes headers that leave the peer's as it is.
 */
import { ByteWriter, DecodeError } from "../../base/coding.js";
import { utf8 } from "../../base/bytes.js";
import { STATIC_HEADERS } from "./hpack-static.js";
import type { HeaderEntry } from "./hpack-static.js";
import { huffmanText } from "./huffman.js";

/** The bound of the dynamic table that RFC 7541 starts with, which is never changed here. */
const TABLE_BYTES_MAX = 4096;
/** What an entry counts besides its texts. */
export const ENTRY_BYTES = 32;
/** Where dynamic entries begin. */
const DYNAMIC_INDEX: number = STATIC_HEADERS.length + 1;
/** Bytes of an integer behind its prefix: enough for what fits a block. */
const INTEGER_BYTES_MAX = 4;
const HUFFMAN = 0x80;

/** What moves along with a block. */
interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
}

export class HpackDecoder {
  /** Newest last. */
  readonly #table: HeaderEntry[] = [];
  #tableBytes = 0;
  #tableBytesMax = TABLE_BYTES_MAX;

  /** Hands out the headers of a complete block; throws DecodeError. */
  decode(bytes: Uint8Array, offset: number, end: number, take: (entry: HeaderEntry) => void): void {
    const block: Cursor = { bytes, at: offset, end };
    let mayResize = true;
    while (block.at < end) {
      const first = bytes[block.at]!;
      if (first >= 0x80) {
        take(this.#entry(integer(block, 7)));
      } else if (first >= 0x40) {
        const entry = this.#literal(block, 6);
        this.#insert(entry);
        take(entry);
      } else if (first < 0x20) {
        take(this.#literal(block, 4));
      } else {
        if (!mayResize) throw new DecodeError("a table size in the middle of a block");
        this.#resize(integer(block, 5));
        continue;
      }
      mayResize = false;
    }
  }

  #entry(index: number): HeaderEntry {
    if (index > 0 && index < DYNAMIC_INDEX) return STATIC_HEADERS[index - 1]!;
    const found = this.#table[this.#table.length - 1 - (index - DYNAMIC_INDEX)];
    if (index === 0 || found === undefined) throw new DecodeError(`no header has index ${index}`);
    return found;
  }

  #literal(block: Cursor, prefixBits: number): HeaderEntry {
    const index = integer(block, prefixBits);
    const name = index === 0 ? text(block) : this.#entry(index).name;
    const value = text(block);
    return { name, value, isSound: isNameSound(name) && isValueSound(value) };
  }

  #insert(entry: HeaderEntry): void {
    const size = sizeOf(entry);
    this.#evict(this.#tableBytesMax - size);
    // What does not fit at all leaves the table empty.
    if (size > this.#tableBytesMax) return;
    this.#table.push(entry);
    this.#tableBytes += size;
  }

  #resize(bytesMax: number): void {
    if (bytesMax > TABLE_BYTES_MAX) throw new DecodeError("the table would exceed its bound");
    this.#tableBytesMax = bytesMax;
    this.#evict(bytesMax);
  }

  #evict(bytesMax: number): void {
    while (this.#tableBytes > bytesMax && this.#table.length > 0) {
      this.#tableBytes -= sizeOf(this.#table.shift()!);
    }
  }
}

function sizeOf({ name, value }: HeaderEntry): number {
  return name.length + value.length + ENTRY_BYTES;
}

function integer(block: Cursor, prefixBits: number): number {
  const limit = 2 ** prefixBits - 1;
  let value = byte(block) & limit;
  if (value < limit) return value;
  for (let i = 0; i < INTEGER_BYTES_MAX; i++) {
    const next = byte(block);
    value += (next & 0x7f) * 2 ** (7 * i);
    if (next < 0x80) return value;
  }
  throw new DecodeError("an integer has too many bytes");
}

function text(block: Cursor): string {
  if (block.at >= block.end) throw new DecodeError("a header block is cut short");
  const isHuffman = (block.bytes[block.at]! & HUFFMAN) !== 0;
  const length = integer(block, 7);
  const from = block.at;
  if (length > block.end - from) throw new DecodeError("a text reaches beyond its block");
  block.at = from + length;
  if (isHuffman) return huffmanText(block.bytes, from, block.at);
  let plain = "";
  for (let at = from; at < block.at; at++) plain += String.fromCharCode(block.bytes[at]!);
  return plain;
}

function byte(block: Cursor): number {
  if (block.at >= block.end) throw new DecodeError("a header block is cut short");
  return block.bytes[block.at++]!;
}

function isNameSound(name: string): boolean {
  return /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name);
}

function isValueSound(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 0x0a || code === 0x0d) return false;
  }
  return true;
}

/** A header as a literal that no table takes, its texts as they are. */
export function literalHeader(out: ByteWriter, name: string, value: string): void {
  out.u8(0);
  for (const part of [name, value]) {
    const bytes = utf8(part);
    writeLength(out, bytes.length);
    out.raw(bytes);
  }
}

function writeLength(out: ByteWriter, length: number): void {
  if (length < 0x7f) return out.u8(length);
  out.u8(0x7f);
  out.varint(length - 0x7f);
}

/** The first thing to say: that the peer need not keep a table for us. */
export const NO_TABLE = 0x20;

/** A block of such headers. */
export function headerBlock(
  headers: readonly (readonly [name: string, value: string])[],
): Uint8Array {
  const out = new ByteWriter(64);
  for (const [name, value] of headers) literalHeader(out, name, value);
  return out.copy();
}
