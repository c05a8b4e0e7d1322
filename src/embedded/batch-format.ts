/**
 * The bytes of an atomic batch, which is one entry of the log: operations one after another.
 *
 *   put      u8 1 | varint key length | varint value length | key | value
 *   delete   u8 2 | varint key length | key
 *
 * The version of an operation is its number among all operations of the store; it is not written,
 * because batches are applied in order and without gaps. DO NOT CHANGE: logs hold it.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import { DecodeError } from "../base/coding.js";
import { FAMILY } from "../lsm/families.js";
import type { Tree } from "../lsm/tree.js";

const PUT = 1;
const DELETE = 2;
/** Up to here a byte loop beats a view and a native copy. */
const LOOP_COPY_MAX = 40;

/** Room that is enough for an operation's kind and lengths. */
export const OPERATION_OVERHEAD_BYTES = 11;

/** Writes a put at `at`; returns where it ends. */
export function writePut(
  bytes: Uint8Array,
  at: number,
  key: Uint8Array,
  value: Uint8Array,
): number {
  bytes[at] = PUT;
  const lengthsEnd = writeLength(bytes, writeLength(bytes, at + 1, key.length), value.length);
  return copyInto(bytes, copyInto(bytes, lengthsEnd, key), value);
}

/** Writes a delete at `at`; returns where it ends. */
export function writeDelete(bytes: Uint8Array, at: number, key: Uint8Array): number {
  bytes[at] = DELETE;
  return copyInto(bytes, writeLength(bytes, at + 1, key.length), key);
}

/** Where the last readLength ended: one number, so that a length costs no object. */
let lengthEnd = 0;

/**
 * Inserts the operations in bytes[start, end) into the tree, the first one with version
 * `revision` + 1; returns the version of the last one.
 */
export function applyBatch(
  tree: Tree,
  bytes: Uint8Array,
  start: number,
  end: number,
  revision: number,
): number {
  let version = revision;
  for (let at = start; at < end;) {
    const kind = bytes[at]!;
    const isPut = kind === PUT;
    if (!isPut && kind !== DELETE) throw new DecodeError(`unknown operation ${kind} in a batch`);
    const keyLength = readLength(bytes, at + 1, end);
    const valueLength = isPut ? readLength(bytes, lengthEnd, end) : 0;
    const keyAt = lengthEnd;
    const valueAt = keyAt + keyLength;
    at = valueAt + valueLength;
    if (at > end) throw new DecodeError("an operation passes the end of its batch");
    version++;
    const value = isPut ? bytes : EMPTY_BYTES;
    const valueFrom = isPut ? valueAt : 0;
    tree.insert(
      FAMILY.data,
      bytes,
      keyAt,
      keyLength,
      version,
      !isPut,
      value,
      valueFrom,
      valueLength,
    );
  }
  return version;
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  let end = at;
  let rest = length;
  while (rest >= 0x80) {
    bytes[end++] = rest | 0x80;
    rest >>>= 7;
  }
  bytes[end++] = rest;
  return end;
}

function readLength(bytes: Uint8Array, at: number, end: number): number {
  let length = 0;
  for (let i = 0; i < 5 && at + i < end; i++) {
    const byte = bytes[at + i]!;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      lengthEnd = at + i + 1;
      return length;
    }
  }
  throw new DecodeError("a length in a batch has no end");
}

function copyInto(target: Uint8Array, at: number, source: Uint8Array): number {
  const length = source.length;
  if (length > LOOP_COPY_MAX) target.set(source, at);
  else for (let i = 0; i < length; i++) target[at + i] = source[i]!;
  return at + length;
}
