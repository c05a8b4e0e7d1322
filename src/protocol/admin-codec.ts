/**
 * Plain objects as MessagePack: for messages that are not hot. Byte arrays come back as
 * Uint8Array. Types are asserted by the caller, who checks what it depends on.
 */
import { Packr } from "msgpackr";
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";

const packr = new Packr({ useRecords: false, int64AsType: "number" });

export function encodePlain(out: ByteWriter, value: object): void {
  out.raw(packr.pack(value));
}

/** Everything from the reader's place to its end; DecodeError unless it is one object. */
export function decodePlain<T extends object>(reader: ByteReader): T {
  let value: unknown;
  try {
    value = packr.unpack(reader.rawView(reader.remaining));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DecodeError(`no MessagePack: ${reason}`);
  }
  // Extensions of MessagePack decode to objects of their own classes.
  const plain = typeof value === "object" && value !== null;
  if (!plain || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new DecodeError("a plain object is expected");
  }
  return value as T;
}
