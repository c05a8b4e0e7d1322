/** Which keys a command means, from its arguments and flags, by etcdctl's rules. */
import { prefixEnd, utf8 } from "../base/bytes.js";
import { FIRST_KEY } from "../base/key-range.js";
import { OPEN_END } from "../route/stored-key.js";
import { badArguments } from "./failure.js";

export interface KeySelection {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array | undefined;
  readonly fromKey?: boolean | undefined;
}

/** The smallest key there is; no key is empty. */

export interface SelectionFlags {
  readonly prefix: boolean;
  readonly fromKey: boolean;
}

/** Throws where flags and range end exclude each other. */
export function selectKeys(
  key: string,
  end: string | undefined,
  flags: SelectionFlags,
): KeySelection {
  if (flags.prefix && flags.fromKey) {
    throw badArguments("--prefix and --from-key exclude each other: choose one");
  }
  if (end !== undefined && (flags.prefix || flags.fromKey)) {
    throw badArguments("a range end excludes --prefix and --from-key: choose one");
  }
  const first = utf8(key);
  const isRange = flags.prefix || flags.fromKey;
  if (first.length === 0) return isRange ? { key: FIRST_KEY, fromKey: true } : { key: first };
  if (flags.fromKey) return { key: first, fromKey: true };
  if (flags.prefix) {
    const after = prefixEnd(first);
    return after === undefined ? { key: first, fromKey: true } : { key: first, rangeEnd: after };
  }
  if (end === undefined) return { key: first };
  return end === "" || end === "\0"
    ? { key: first, fromKey: true }
    : { key: first, rangeEnd: utf8(end) };
}

/** The end of a span inside a transaction. */
export function rangeEndOf(span: KeySelection): Uint8Array | undefined {
  return span.fromKey === true ? OPEN_END : span.rangeEnd;
}
