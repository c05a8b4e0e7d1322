/**
 * Little-endian encoding by offset. A ByteWriter is a growing buffer that is reused; a ByteReader
 * walks a buffer and throws DecodeError instead of reading past its end. Counters are doubles in
 * memory (at a million writes a second 2^53 lasts 285 years) and two 32-bit halves in bytes.
 *
 * varint: 7 bits a byte, low bits first, the high bit set on all but the last; at most 2^53 - 1.
 */
import { EMPTY_BYTES, utf8, utf8Text } from "./bytes.js";

const TWO_32 = 0x1_0000_0000;

/** Bytes that are not what the format says. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** A counter of up to 2^53 - 1 from eight bytes; more is a DecodeError. */
export function readU53(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at + 4);
  if (high > 0x1f_ffff) throw new DecodeError("a counter exceeds 2^53 - 1");
  return high * TWO_32 + readU32(bytes, at);
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeU53(bytes: Uint8Array, at: number, value: number): void {
  // The shift takes the value modulo 2^32, many times faster than the remainder operator.
  writeU32(bytes, at, value >>> 0);
  writeU32(bytes, at + 4, Math.floor(value / TWO_32));
}

/** Big-endian forms: their byte order is their numeric order, so they are used inside keys. */
export function writeU16BE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeU32BE(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function readU16BE(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readU32BE(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

export function writeU53BE(bytes: Uint8Array, at: number, value: number): void {
  writeU32BE(bytes, at, Math.floor(value / TWO_32));
  writeU32BE(bytes, at + 4, value >>> 0);
}

export function readU53BE(bytes: Uint8Array, at: number): number {
  return readU32BE(bytes, at) * TWO_32 + readU32BE(bytes, at + 4);
}

/** A buffer that grows and is written front to back; `length` is what has been written. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  /** Over memory of its own, or over bytes that nobody else uses until it outgrows them. */
  constructor(memory: number | Uint8Array = 256) {
    this.bytes = typeof memory === "number" ? new Uint8Array(memory) : memory;
  }

  /** Forgets what was written, keeps the memory. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes; returns the offset at which they start. */
  reserve(count: number): number {
    const at = this.length;
    const needed = at + count;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
    }
    this.length = needed;
    return at;
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.reserve(2);
    writeU16(this.bytes, at, value);
  }

  u32(value: number): void {
    const at = this.reserve(4);
    writeU32(this.bytes, at, value);
  }

  u53(value: number): void {
    const at = this.reserve(8);
    writeU53(this.bytes, at, value);
  }

  f64(value: number): void {
    const at = this.reserve(8);
    new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).setFloat64(0, value, true);
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  raw(source: Uint8Array): void {
    const at = this.reserve(source.length);
    this.bytes.set(source, at);
  }

  /** Copies source[offset, offset + length); short ones by a loop, which is faster than a view. */
  slice(source: Uint8Array, offset: number, length: number): void {
    const at = this.reserve(length);
    const target = this.bytes;
    if (length > 48) {
      target.set(source.subarray(offset, offset + length), at);
      return;
    }
    for (let i = 0; i < length; i++) target[at + i] = source[offset + i]!;
  }

  /** A u32 length and the bytes. */
  blob(source: Uint8Array): void {
    this.u32(source.length);
    this.raw(source);
  }

  text(value: string): void {
    this.blob(utf8(value));
  }

  /** The written bytes as a view: valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** The written bytes as a copy of their own. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Walks bytes[offset, end). Every read that would pass `end` throws DecodeError. */
export class ByteReader {
  bytes: Uint8Array;
  offset: number;
  end: number;

  constructor(bytes: Uint8Array = EMPTY_BYTES, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** Points the reader at other bytes, so that one reader serves many messages. */
  open(bytes: Uint8Array, offset: number, end: number): void {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  /** Moves past `count` bytes and returns the offset at which they start. */
  take(count: number): number {
    const at = this.offset;
    if (count > this.end - at) {
      throw new DecodeError(`${count} bytes expected, ${this.end - at} left`);
    }
    this.offset = at + count;
    return at;
  }

  u8(): number {
    return this.bytes[this.take(1)]!;
  }

  u16(): number {
    return readU16(this.bytes, this.take(2));
  }

  u32(): number {
    return readU32(this.bytes, this.take(4));
  }

  u53(): number {
    return readU53(this.bytes, this.take(8));
  }

  f64(): number {
    const at = this.take(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, 8).getFloat64(0, true);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new DecodeError("a varint exceeds 2^53 - 1");
        return value;
      }
      scale *= 0x80;
    }
    throw new DecodeError("a varint is longer than eight bytes");
  }

  /** `length` bytes as a view into the underlying buffer. */
  rawView(length: number): Uint8Array {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** A blob as a view into the underlying buffer. */
  blobView(): Uint8Array {
    return this.rawView(this.u32());
  }

  /** A blob as a copy that may be kept. */
  blobCopy(): Uint8Array {
    return this.blobView().slice();
  }

  text(): string {
    return utf8Text(this.blobView());
  }
}
