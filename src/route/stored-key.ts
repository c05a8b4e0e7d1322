/**
 * Stored keys and user keys. A stored key is the keyspace u32, in a hash keyspace the bucket u16,
 * and the user key, big-endian, so that a keyspace is an interval of stored keys, and in a range
 * keyspace so is every interval of user keys. An end that is open, in user keys the one byte 0 as
 * in etcd, is clipped to the keyspace.
 */
import { writeU16BE, writeU32BE } from "../base/coding.js";
import { HASH_BUCKETS, bucketOf } from "../base/hash.js";
import type { KeyRange } from "../base/key-range.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";

const KEYSPACE_BYTES = 4;
const BUCKET_BYTES = 2;
const KEYSPACE_ID_MAX = 0xffff_ffff;

/** As the end of a range of user keys: everything from its start on. */
export const OPEN_END: Uint8Array = new Uint8Array([0]);

export function isOpenEnd(end: Uint8Array): boolean {
  return end.length === 1 && end[0] === 0;
}

/** Bytes in front of the user key. */
export function keyPrefixLength(keyspace: KeyspaceDescriptor): number {
  return keyspace.kind === "hash" ? KEYSPACE_BYTES + BUCKET_BYTES : KEYSPACE_BYTES;
}

export function storedKey(keyspace: KeyspaceDescriptor, userKey: Uint8Array): Uint8Array {
  const prefix = keyPrefixLength(keyspace);
  const stored = new Uint8Array(prefix + userKey.length);
  writeU32BE(stored, 0, keyspace.keyspaceId);
  if (prefix > KEYSPACE_BYTES) writeU16BE(stored, KEYSPACE_BYTES, bucketOf(userKey));
  stored.set(userKey, prefix);
  return stored;
}

/** The user key as a view into the stored one. */
export function userKeyView(keyspace: KeyspaceDescriptor, stored: Uint8Array): Uint8Array {
  return stored.subarray(keyPrefixLength(keyspace));
}

/** All stored keys of a keyspace. */
export function keyspaceRange(keyspaceId: number): KeyRange {
  return { start: u32Key(keyspaceId), end: keyspaceEnd(keyspaceId) };
}

/** The stored keys of [start, end) of a range keyspace's user keys; `end` may be OPEN_END. */
export function storedRange(
  keyspace: KeyspaceDescriptor,
  start: Uint8Array,
  end: Uint8Array,
): KeyRange {
  const open = isOpenEnd(end);
  return {
    start: storedKey(keyspace, start),
    end: open ? keyspaceEnd(keyspace.keyspaceId) : storedKey(keyspace, end),
  };
}

/** Stored keys at which a hash keyspace is cut into `count` arcs of equal size. */
export function arcBoundaries(keyspaceId: number, count: number): readonly Uint8Array[] {
  const boundaries: Uint8Array[] = [];
  for (let i = 1; i < count; i++) {
    const boundary = new Uint8Array(KEYSPACE_BYTES + BUCKET_BYTES);
    writeU32BE(boundary, 0, keyspaceId);
    writeU16BE(boundary, KEYSPACE_BYTES, Math.floor((i * HASH_BUCKETS) / count));
    boundaries.push(boundary);
  }
  return boundaries;
}

function keyspaceEnd(keyspaceId: number): Uint8Array | undefined {
  return keyspaceId === KEYSPACE_ID_MAX ? undefined : u32Key(keyspaceId + 1);
}

function u32Key(value: number): Uint8Array {
  const key = new Uint8Array(KEYSPACE_BYTES);
  writeU32BE(key, 0, value);
  return key;
}
