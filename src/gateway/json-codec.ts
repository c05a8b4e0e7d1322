/**
 * Messages as JSON, as etcd's gateway has them: bytes in base64, numbers of 64 bits as strings,
 * enums by name, fields under their own names, and none that has its default value. Read are also
 * names in camel case, numbers as numbers, and enums by number; fields that nobody knows are passed
 * over.
 */
import { fromBase64, toBase64 } from "./base64.js";
import { NESTING_MAX } from "./message-codec.js";
import type { Message, Value } from "./message-codec.js";
import type { Field, FieldType, MessageType, ScalarType } from "./schema.js";
import { GRPC, StatusError } from "./status.js";

type Json = { readonly [name: string]: unknown };

export function messageToJson(type: MessageType, message: Message): Json {
  const json: Record<string, unknown> = {};
  for (const field of type.fields) {
    const value = message[field.name];
    if (value === undefined || (isEmpty(value) && !field.alternative)) continue;
    json[field.name] = Array.isArray(value)
      ? value.map((item: Value) => toJson(field.type, item))
      : toJson(field.type, value);
  }
  return json;
}

/** Throws StatusError where the JSON is no such message. */
export function messageFromJson(type: MessageType, json: unknown, depth = 0): Message {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw wrong(type.name, "an object");
  }
  if (depth > NESTING_MAX) throw wrong(type.name, "nested less deeply");
  const message: Record<string, Value> = {};
  let chosen: Field | undefined;
  for (const [name, value] of Object.entries(json)) {
    const field = type.fieldNamed(name);
    if (field === undefined || value === null) continue;
    if (field.alternative) {
      if (chosen !== undefined) throw wrong(field.name, `absent where ${chosen.name} is given`);
      chosen = field;
    }
    message[field.name] = field.repeated
      ? itemsFrom(field, value, depth)
      : fromJson(field, value, depth);
  }
  return message;
}

function toJson(type: FieldType, value: Value): unknown {
  switch (type.kind) {
    case "bytes":
      return toBase64(value as Uint8Array);
    case "int64":
    case "uint64":
      return String(value as bigint);
    case "enum":
      return type.type.values[Number(value)] ?? Number(value);
    case "message":
      return messageToJson(type.type, value as Message);
    default:
      return value;
  }
}

function isEmpty(value: Value): boolean {
  if (typeof value !== "object")
    return value === 0n || value === 0 || value === false || value === "";
  return (value instanceof Uint8Array || Array.isArray(value)) && value.length === 0;
}

function itemsFrom(field: Field, json: unknown, depth: number): readonly Value[] {
  if (!Array.isArray(json)) throw wrong(field.name, "a list");
  return json.map((item: unknown) => fromJson(field, item, depth));
}

function fromJson(field: Field, json: unknown, depth: number): Value {
  const { type, name } = field;
  switch (type.kind) {
    case "bytes": {
      const bytes = typeof json === "string" ? fromBase64(json) : undefined;
      if (bytes === undefined) throw wrong(name, "base64");
      return bytes;
    }
    case "string":
      if (typeof json !== "string") throw wrong(name, "a text");
      return json;
    case "bool":
      if (typeof json !== "boolean") throw wrong(name, "true or false");
      return json;
    case "enum":
      return enumFrom(name, type.type.values, json);
    case "message":
      return messageFromJson(type.type, json, depth + 1);
    default:
      return integerFrom(name, type.kind, json);
  }
}

function enumFrom(name: string, values: readonly string[], json: unknown): number {
  const number = typeof json === "string" ? values.indexOf(json) : json;
  const isUnknown = typeof json === "string" && number === -1;
  if (isUnknown || typeof number !== "number" || number !== (number | 0)) {
    throw wrong(name, `one of ${values.join(", ")}`);
  }
  return number;
}

function integerFrom(name: string, kind: ScalarType, json: unknown): bigint {
  const isNumber = typeof json === "number" && Number.isInteger(json);
  if (!isNumber && (typeof json !== "string" || !/^-?(?:0|[1-9]\d{0,19})$/.test(json))) {
    throw wrong(name, "an integer");
  }
  const value = BigInt(json);
  const fits = kind === "int64" ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  if (fits !== value) throw wrong(name, `within ${kind}`);
  return value;
}

/**
 * The text as `JSON.parse` must see it, which knows no integers beyond 2^53: longer ones are made
 * texts, as which they are read too.
 */
export function withLongIntegers(text: string): string {
  if (!/\d{16}/.test(text)) return text;
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?\d{16,}$/.test(token) ? `"${token}"` : token,
  );
}

function wrong(name: string, wanted: string): StatusError {
  return new StatusError(GRPC.invalidArgument, `flotilla: ${name} must be ${wanted}`);
}
