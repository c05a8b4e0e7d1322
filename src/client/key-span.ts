/** From what a user names to the keys that are meant, with the checks that need no server. */
import { prefixEnd, utf8 } from "../base/bytes.js";
import { FIRST_KEY } from "../base/key-range.js";
import { KEY_SIZE_BYTES_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import { OPEN_END } from "../route/stored-key.js";
import type { BytesLike, Span } from "./client-types.js";

/** [key, rangeEnd) in user keys, rangeEnd perhaps OPEN_END; or one key, without rangeEnd. */
export interface KeySpan {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array | undefined;
}

/** The smallest key there is: no key is empty. */

export function bytesFrom(value: BytesLike): Uint8Array {
  return typeof value === "string" ? utf8(value) : value;
}

/** The key's bytes; throws KvError keyEmpty or keyTooLarge. */
export function checkedKey(value: BytesLike): Uint8Array {
  const key = bytesFrom(value);
  if (key.length === 0) throw notApplied("keyEmpty", "a key must not be empty");
  if (key.length > KEY_SIZE_BYTES_MAX) {
    const text = `a key of ${key.length} bytes exceeds the limit of ${KEY_SIZE_BYTES_MAX}`;
    throw notApplied("keyTooLarge", text, { bound: KEY_SIZE_BYTES_MAX });
  }
  return key;
}

export function keySpan(span: Span): KeySpan {
  const ends = [span.rangeEnd !== undefined, span.prefix === true, span.fromKey === true];
  if (ends.filter(Boolean).length > 1) {
    throw notApplied("invalidArgument", "rangeEnd, prefix and fromKey exclude each other");
  }
  if (span.prefix === true) return prefixSpan(bytesFrom(span.key));
  if (span.fromKey === true) {
    const key = bytesFrom(span.key);
    return { key: key.length === 0 ? FIRST_KEY : checkedKey(key), rangeEnd: OPEN_END };
  }
  const key = checkedKey(span.key);
  if (span.rangeEnd === undefined) return { key, rangeEnd: undefined };
  return { key, rangeEnd: checkedKey(span.rangeEnd) };
}

function prefixSpan(prefix: Uint8Array): KeySpan {
  if (prefix.length === 0) return { key: FIRST_KEY, rangeEnd: OPEN_END };
  return { key: checkedKey(prefix), rangeEnd: prefixEnd(prefix) ?? OPEN_END };
}
