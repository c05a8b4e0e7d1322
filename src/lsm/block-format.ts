/**
 * A block of rows in entry order. All columns are 32-bit words from the start of the block, so a
 * search reads integers where they lie and nothing is decoded beforehand.
 *
 * word 0      number of rows n
 * word 1      skip: all keys share this many leading bytes
 * word 2..3   smallest version (low half, high half)
 * word 4..5   largest version
 * n words     prefix: four bytes of the key after `skip`, as in key-prefix.ts
 * n+1 words   byte at which the key starts; the last one is where the keys end
 * n words     version, low half
 * n words     version, high half, and the flags below
 * n+1 words   byte at which the value starts; the last one is where the values end
 * bytes       keys, then values, each in row order
 *
 * The value of a row flagged APART is a reference: u32 ordinal of a value block of the section,
 * u32 offset in it, u32 length. Behind each block on disk follows its u32 placed checksum.
 * Words are little-endian; a big-endian host cannot open a store.
 */
import { assert } from "../base/assert.js";

export const HEADER_WORDS = 6;
export const TOMBSTONE_FLAG = 0x8000_0000;
export const APART_FLAG = 0x4000_0000;
export const VERSION_HIGH_MASK = 0x001f_ffff;
export const REFERENCE_SIZE_BYTES = 12;
export const CHECKSUM_SIZE_BYTES = 4;
/** Blocks begin and end at multiples of this, for their columns are read as words. */
export const BLOCK_ALIGNMENT_BYTES = 4;
export const TWO_32 = 0x1_0000_0000;

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "the host is big-endian");
