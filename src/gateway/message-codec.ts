/**
 * Messages as plain objects, by their tables: for requests that are not hot, and for JSON, which is
 * another writing of the same. Numbers of 64 bits are bigints. A field that is absent has its
 * default value; a repeated one that is absent is empty. What is hot has a codec of its own.
 */
import { utf8 } from "../base/bytes.js";
import { DecodeError } from "../base/coding.js";
import { TRANSACTION_DEPTH_MAX } from "../base/limits.js";
import type { Field, FieldType, MessageType } from "./schema.js";
import { WIRE_TYPES, WireReader } from "./wire.js";
import type { WireWriter } from "./wire.js";

export type Value = bigint | number | boolean | string | Uint8Array | Message | readonly Value[];

/** Values by the fields' names; enums by their numbers. */
export interface Message {
  readonly [field: string]: Value | undefined;
}

/** Two for each transaction in another, and far from the end of the stack. */
export const NESTING_MAX: number = 2 * TRANSACTION_DEPTH_MAX + 8;
/** What a nested message of unknown size is taken for. */
const SIZE_HINT = 64;

/** Throws DecodeError. */
export function decodeMessage(type: MessageType, bytes: Uint8Array): Message {
  return readMessage(type, new WireReader(bytes), 0);
}

export function encodeMessage(out: WireWriter, type: MessageType, message: Message): void {
  for (const field of type.fields) {
    const value = message[field.name];
    if (value === undefined) continue;
    if (field.repeated) writeItems(out, field, value as readonly Value[]);
    else if (field.alternative || !isDefault(value)) writeItem(out, field, value);
  }
}

function readMessage(type: MessageType, reader: WireReader, depth: number): Message {
  if (depth > NESTING_MAX) throw new DecodeError("messages are nested too deeply");
  const message: Record<string, Value> = {};
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const field = type.field(tag >>> 3);
    const packs = field?.repeated === true && isPackable(field.type);
    if (field === undefined) reader.skip(tag);
    else if ((tag & 7) === wireTypeOf(field.type)) {
      const value = readValue(field.type, reader, depth);
      if (field.repeated) itemsOf(message, field).push(value);
      else message[field.name] = value;
    } else if (packs && (tag & 7) === WIRE_TYPES.length) readPacked(field, reader, message);
    else reader.skip(tag, field.number);
  }
  return message;
}

function readPacked(field: Field, reader: WireReader, message: Record<string, Value>): void {
  const outer = reader.enter();
  const items = itemsOf(message, field);
  while (reader.offset < reader.end) items.push(readValue(field.type, reader, 0));
  reader.leave(outer);
}

function itemsOf(message: Record<string, Value>, field: Field): Value[] {
  const items = (message[field.name] ?? []) as Value[];
  message[field.name] = items;
  return items;
}

function readValue(type: FieldType, reader: WireReader, depth: number): Value {
  switch (type.kind) {
    case "bytes":
      return reader.blob();
    case "string":
      return reader.text();
    case "bool":
      return reader.bool();
    case "int64":
      return reader.int64Big();
    case "uint64":
      return reader.uint64Big();
    case "uint32":
      return reader.int32() >>> 0;
    case "enum":
      return reader.int32();
    case "message": {
      const outer = reader.enter();
      const message = readMessage(type.type, reader, depth + 1);
      reader.leave(outer);
      return message;
    }
  }
}

/** Lists of numbers are packed, as proto3 writes them. */
function writeItems(out: WireWriter, field: Field, items: readonly Value[]): void {
  if (items.length === 0) return;
  if (!isPackable(field.type)) {
    for (const item of items) writeItem(out, field, item);
    return;
  }
  const start = out.begin(field.number, items.length);
  for (const item of items) out.varint(Number(item));
  out.end(start, items.length);
}

function writeItem(out: WireWriter, { number, type }: Field, value: Value): void {
  switch (type.kind) {
    case "bytes":
      return out.item(number, value as Uint8Array);
    case "string":
      return out.item(number, utf8(value as string));
    case "message": {
      const start = out.begin(number, SIZE_HINT);
      encodeMessage(out, type.type, value as Message);
      return out.end(start, SIZE_HINT);
    }
    default:
      out.tag(number, WIRE_TYPES.varint);
      out.varintBig(BigInt(value as bigint | number | boolean));
  }
}

function isPackable(type: FieldType): boolean {
  return wireTypeOf(type) === WIRE_TYPES.varint;
}

function wireTypeOf({ kind }: FieldType): number {
  const isLong = kind === "bytes" || kind === "string" || kind === "message";
  return isLong ? WIRE_TYPES.length : WIRE_TYPES.varint;
}

function isDefault(value: Value): boolean {
  if (typeof value === "object") return value instanceof Uint8Array && value.length === 0;
  return value === 0n || value === 0 || value === false || value === "";
}
