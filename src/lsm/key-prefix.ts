/** Four bytes of a key as one integer that sorts like them: what searches compare first. */

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
