/**
 * The hash behind hash keyspaces and filters: FNV-1a over the bytes, finished by Murmur3's 32-bit
 * mixer so that every bit of the result depends on every bit of the key. Part of the format:
 * DO NOT CHANGE, keys on disk are placed by it.
 */
export const HASH_BUCKETS = 0x1_0000;

export function hash32(bytes: Uint8Array, offset = 0, length: number = bytes.length): number {
  let h = 0x811c_9dc5;
  for (let i = 0; i < length; i++) h = Math.imul(h ^ bytes[offset + i]!, 0x0100_0193);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The bucket, in [0, 65536), of a user key. */
export function bucketOf(bytes: Uint8Array, offset = 0, length: number = bytes.length): number {
  return hash32(bytes, offset, length) >>> 16;
}

const FNV64_PRIME = 0x100_0000_01b3n;

/** FNV-1a of 64 bits, over few bytes. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let h = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * FNV64_PRIME);
  return h;
}
