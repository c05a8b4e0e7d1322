/**
 * CRC-32 (IEEE), as zlib computes it: over 3 GB/s, about 150 ns a call, so it is called once a
 * block or batch and never once an entry.
 */
import { crc32 as zlibCrc32 } from "node:zlib";

/** The CRC-32 of `bytes`, continuing from `seed` (the CRC of what came before). */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}

/**
 * The CRC-32 of `bytes`, bound to the place where they belong (a file or segment number and an
 * offset), so that a block which was written or read at a wrong place fails its check.
 */
export function placedChecksum(bytes: Uint8Array, fileNumber: number, offset: number): number {
  const place = Math.imul(fileNumber ^ Math.imul(offset % 0x1_0000_0000, 0x9e37_79b1), 0x85eb_ca6b);
  return (zlibCrc32(bytes, 0) ^ place ^ Math.floor(offset / 0x1_0000_0000)) >>> 0;
}
