/**
 * Protobuf's wire format, by offset: a message is fields, each a tag (number << 3 | type) and a
 * varint (type 0), eight bytes (1), a length and bytes (2), or four bytes (5). It knows no message.
 * The reader throws DecodeError where bytes are cut short or are no field; what it hands out as
 * bytes are views. The writer leaves out fields that have their default value, as proto3 does.
 */
import { ByteWriter, DecodeError } from "../base/coding.js";
import { EMPTY_BYTES, utf8, utf8Text } from "../base/bytes.js";

export const WIRE_TYPES = { varint: 0, fixed64: 1, length: 2, fixed32: 5 } as const;
const GROUP_START = 3;
const GROUP_END = 4;

const TWO_32 = 0x1_0000_0000;
const VARINT_BYTES_MAX = 10;

export class WireReader {
  bytes: Uint8Array;
  offset: number;
  end: number;
  /** The halves of the varint read last. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array = EMPTY_BYTES, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** The next field's tag, 0 at the end of the message. */
  tag(): number {
    if (this.offset === this.end) return 0;
    this.#varint();
    // As Go reads it: a tag may be of 64 bits, of which 32 count as the number of the field.
    const field = (this.#high << 29) | (this.#low >>> 3);
    if (field <= 0) throw new DecodeError("no field has that tag");
    return field * 8 + (this.#low & 7);
  }

  /** Exact within 2^53, else the nearest double. */
  int64(): number {
    this.#varint();
    return (this.#high | 0) * TWO_32 + (this.#low >>> 0);
  }

  int64Big(): bigint {
    return BigInt.asIntN(64, this.uint64Big());
  }

  uint64Big(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low >>> 0);
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }

  /** An enum's number, or the low half of any other. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  bool(): boolean {
    this.#varint();
    return (this.#low | this.#high) !== 0;
  }

  /** A view. */
  blob(): Uint8Array {
    const length = this.#length();
    const at = this.offset;
    this.offset = at + length;
    return this.bytes.subarray(at, at + length);
  }

  text(): string {
    return utf8Text(this.blob());
  }

  /** Narrows the reader to the message that is the field's value; gives what `leave` wants. */
  enter(): number {
    const length = this.#length();
    const outer = this.end;
    this.end = this.offset + length;
    return outer;
  }

  leave(outer: number): void {
    this.offset = this.end;
    this.end = outer;
  }

  /**
   * Passes over the value of a field that nobody knows. Fields up to the number `known` are known,
   * so that this one came with another type than it has.
   */
  skip(tag: number, known: number = 0): void {
    if (tag >>> 3 <= known) {
      throw new DecodeError(`field ${tag >>> 3} has not the wire type ${tag & 7}`);
    }
    switch (tag & 7) {
      case WIRE_TYPES.varint:
        return this.#varint();
      case WIRE_TYPES.fixed64:
        return this.#pass(8);
      case WIRE_TYPES.length:
        return this.#pass(this.#length());
      case WIRE_TYPES.fixed32:
        return this.#pass(4);
      case GROUP_START:
        return this.#passGroup(tag >>> 3);
      default:
        throw new DecodeError(`no field has the wire type ${tag & 7}`);
    }
  }

  #length(): number {
    this.#varint();
    if (this.#high !== 0 || this.#low >>> 0 > this.end - this.offset) {
      throw new DecodeError("a length reaches beyond the end");
    }
    return this.#low;
  }

  /** A group, which nobody writes any more, ends with a tag of its own and may hold others. */
  #passGroup(number: number): void {
    const open = [number];
    while (open.length > 0) {
      const tag = this.tag();
      if (tag === 0) throw new DecodeError("unexpected end of the message");
      const type = tag & 7;
      if (type === GROUP_START) open.push(tag >>> 3);
      else if (type !== GROUP_END) this.skip(tag);
      else if (open.pop() !== tag >>> 3) throw new DecodeError("a group ends that is not open");
    }
  }

  #pass(count: number): void {
    if (count > this.end - this.offset) throw new DecodeError("unexpected end of the message");
    this.offset += count;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      if (this.offset >= this.end) throw new DecodeError("unexpected end of the message");
      const byte = this.bytes[this.offset++]!;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i > 4) high |= bits << (7 * i - 32);
      else {
        low |= bits << 28;
        high = bits >>> 4;
      }
      if (byte >= 0x80) continue;
      this.#low = low;
      this.#high = high;
      return;
    }
    throw new DecodeError("a varint is longer than ten bytes");
  }
}

export class WireWriter extends ByteWriter {
  int64(field: number, value: number): void {
    if (value === 0) return;
    if (value < 0) return this.int64Big(field, BigInt(value));
    this.tag(field, WIRE_TYPES.varint);
    this.varint(value);
  }

  /** Signed or not: the same 64 bits. */
  int64Big(field: number, value: bigint): void {
    if (value === 0n) return;
    this.tag(field, WIRE_TYPES.varint);
    this.varintBig(value);
  }

  varintBig(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.u8(Number(rest));
  }

  bool(field: number, value: boolean): void {
    if (!value) return;
    this.tag(field, WIRE_TYPES.varint);
    this.u8(1);
  }

  bytesField(field: number, value: Uint8Array): void {
    if (value.length > 0) this.item(field, value);
  }

  textField(field: number, value: string): void {
    if (value !== "") this.item(field, utf8(value));
  }

  /** An item of a repeated field, which is written also where it is empty. */
  item(field: number, value: Uint8Array): void {
    this.tag(field, WIRE_TYPES.length);
    this.varint(value.length);
    this.slice(value, 0, value.length);
  }

  /**
   * Begins a nested message of probably `sizeHint` bytes; gives what `end` wants, together with the
   * same hint. A wrong hint costs moving the message by a byte or two.
   */
  begin(field: number, sizeHint: number): number {
    this.tag(field, WIRE_TYPES.length);
    return this.reserve(varintSize(sizeHint)) + varintSize(sizeHint);
  }

  end(start: number, sizeHint: number): void {
    const size = this.length - start;
    const reserved = varintSize(sizeHint);
    const needed = varintSize(size);
    if (needed !== reserved) {
      if (needed > reserved) this.reserve(needed - reserved);
      this.bytes.copyWithin(start - reserved + needed, start, start + size);
    }
    this.length = start - reserved;
    this.varint(size);
    this.length += size;
  }

  tag(field: number, wireType: number): void {
    const tag = (field << 3) | wireType;
    if (tag < 0x80) this.u8(tag);
    else this.varint(tag);
  }
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
