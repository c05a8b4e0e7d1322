/** A few bytes of a key as one number that sorts like them: what searches compare first. */

/**
 * The bytes of [at, end) as a signed integer in their order; where fewer than four are left the
 * rest counts as zeros, so that equal prefixes of unequal keys still need the bytes compared.
 */
export function prefixAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return (
      ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) ^
      -0x8000_0000
    );
  }
  let prefix = 0;
  for (let i = 0; i < 4; i++) prefix = (prefix << 8) | (at + i < end ? bytes[at + i]! : 0);
  return prefix ^ -0x8000_0000;
}

/** How many of the first `length` bytes of two strings are the same. */
export function commonPrefixLength(
  a: Uint8Array,
  aOffset: number,
  b: Uint8Array,
  bOffset: number,
  length: number,
): number {
  let common = 0;
  while (common < length && a[aOffset + common] === b[bOffset + common]) common++;
  return common;
}

/**
 * Six bytes from `at` on as a number below 2^48 in their order, what is missing before `end`
 * counting as zeros: in keys of text, four bytes too often are the same (bench: fill-random).
 */
export function longPrefixAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 6 <= end) {
    const low = (bytes[at + 2]! << 24) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8);
    return ((bytes[at]! << 8) | bytes[at + 1]!) * 0x1_0000_0000 + ((low | bytes[at + 5]!) >>> 0);
  }
  let prefix = 0;
  for (let i = 0; i < 6; i++) prefix = prefix * 256 + (at + i < end ? bytes[at + i]! : 0);
  return prefix;
}
