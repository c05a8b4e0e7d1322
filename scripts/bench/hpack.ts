/**
 * The few pieces of HPACK (RFC 7541) that a client of one server needs to send requests: a header
 * is literal the first time and one byte ever after, as real gRPC clients do it. No Huffman codes,
 * no decoding, and no eviction: all headers of a connection together stay far below the 4,096
 * bytes of the default table.
 */
import { assert } from "../../src/base/assert.js";
import { ByteWriter } from "../../src/base/coding.js";
import { utf8 } from "../../src/base/bytes.js";

export type Header = readonly [name: string, value: string];

/** The table size that RFC 7541 starts with, and each entry's overhead in it. */
export const TABLE_BYTES = 4096;
const ENTRY_OVERHEAD_BYTES = 32;
const STATIC_ENTRIES = 61;

/** Entries of the static table that hold name and value. */
const STATIC_PAIRS: ReadonlyMap<string, number> = new Map([
  [":method POST", 3],
  [":scheme http", 6],
]);
/** Entries of the static table whose name is of use. */
const STATIC_NAMES: ReadonlyMap<string, number> = new Map([
  [":authority", 1],
  [":path", 4],
  ["content-type", 31],
  ["user-agent", 58],
]);

const INDEXED = 0x80;
const LITERAL_INDEXED = 0x40;

export class HeaderEncoder {
  /** What the server's dynamic table holds, oldest first. */
  readonly #sent: string[] = [];
  #sentBytes = 0;

  /** The header block of these headers, which the server must receive in this order. */
  encode(headers: readonly Header[]): Uint8Array {
    const block = new ByteWriter(256);
    for (const [name, value] of headers) this.#encodeOne(block, name, value);
    return block.copy();
  }

  /** How many headers the server remembers; a block holds only while this stays as it is. */
  get size(): number {
    return this.#sent.length;
  }

  #encodeOne(block: ByteWriter, name: string, value: string): void {
    const pair = `${name} ${value}`;
    const at = this.#sent.indexOf(pair);
    const index = STATIC_PAIRS.get(pair) ?? (at < 0 ? 0 : STATIC_ENTRIES + this.#sent.length - at);
    if (index > 0) {
      prefixed(block, INDEXED, 7, index);
      return;
    }
    const nameIndex = STATIC_NAMES.get(name) ?? 0;
    prefixed(block, LITERAL_INDEXED, 6, nameIndex);
    if (nameIndex === 0) text(block, name);
    text(block, value);
    this.#sent.push(pair);
    this.#sentBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    assert(this.#sentBytes <= TABLE_BYTES, "the headers exceed the dynamic table");
  }
}

/** An integer with a prefix of `bits` bits (RFC 7541, 5.1). */
function prefixed(block: ByteWriter, first: number, bits: number, value: number): void {
  const limit = 2 ** bits - 1;
  if (value < limit) {
    block.u8(first | value);
    return;
  }
  block.u8(first | limit);
  block.varint(value - limit);
}

function text(block: ByteWriter, value: string): void {
  const bytes = utf8(value);
  prefixed(block, 0, 7, bytes.length);
  block.raw(bytes);
}
