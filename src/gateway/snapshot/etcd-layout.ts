/**
 * What etcd keeps in which bucket of its file, as far as a snapshot of ours has it. The format is
 * etcd's: DO NOT CHANGE.
 *
 *   key    u64 revision | "_" | u64 place in the transaction, big-endian, and "t" behind it where a
 *          key was deleted → mvccpb.KeyValue
 *   lease  u64 id, big-endian → leasepb.Lease: ID=1, TTL=2
 *   meta   how far the log was applied, and compacted revisions, as keys of "key"
 */
import { readU53BE, writeU32BE, writeU53BE } from "../../base/coding.js";
import { EMPTY_BYTES } from "../../base/bytes.js";
import type { KeyValue } from "../../protocol/key-value.js";
import { WIRE_TYPES, WireReader, WireWriter } from "../wire.js";

/** Ascending. etcd wants each of them, if only empty. */
export const BUCKETS = [
  "alarm",
  "auth",
  "authRoles",
  "authUsers",
  "cluster",
  "key",
  "lease",
  "members",
  "members_removed",
  "meta",
] as const;
export const KEY_BUCKET = "key";
export const LEASE_BUCKET = "lease";
export const META_BUCKET = "meta";
/** Ascending, as they lie in the bucket. */
export const META_KEYS = {
  applied: "consistent_index",
  compacted: "finishedCompactRev",
  compacting: "scheduledCompactRev",
} as const;

export const REVISION_BYTES = 17;
const SEPARATOR = 0x5f;
const TOMBSTONE = 0x74;

export interface StoredRevision {
  readonly revision: number;
  readonly isTombstone: boolean;
}

export function revisionKey(revision: number, place: number): Uint8Array {
  const key = new Uint8Array(REVISION_BYTES);
  writeU53BE(key, 0, revision);
  key[8] = SEPARATOR;
  writeU32BE(key, 13, place);
  return key;
}

/** undefined: it is no such key. */
export function readRevisionKey(key: Uint8Array): StoredRevision | undefined {
  const isTombstone = key.length === REVISION_BYTES + 1 && key[REVISION_BYTES] === TOMBSTONE;
  if (!isTombstone && key.length !== REVISION_BYTES) return undefined;
  if (key[8] !== SEPARATOR) return undefined;
  return { revision: readU53BE(key, 0), isTombstone };
}

export function leaseKey(id: bigint): Uint8Array {
  return u64(BigInt.asUintN(64, id));
}

export function leaseValue(id: bigint, ttlSeconds: number): Uint8Array {
  const out = new WireWriter(24);
  out.int64Big(1, id);
  out.int64(2, ttlSeconds);
  return out.copy();
}

/** As granted, in seconds. */
export function readLeaseTtl(value: Uint8Array): number {
  const reader = new WireReader(value);
  let ttlSeconds = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((2 << 3) | WIRE_TYPES.varint)) ttlSeconds = reader.int64();
    else reader.skip(tag);
  }
  return ttlSeconds;
}

/** Of a value in "key"; what it hands out are views. */
export function readKeyValue(value: Uint8Array): KeyValue {
  const kv = { key: EMPTY_BYTES, value: EMPTY_BYTES, lease: 0n };
  const numbers = [0, 0, 0];
  const reader = new WireReader(value);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const field = tag >>> 3;
    const isBytes = (tag & 7) === WIRE_TYPES.length;
    if (isBytes && field === 1) kv.key = reader.blob();
    else if (isBytes && field === 5) kv.value = reader.blob();
    else if (!isBytes && field >= 2 && field <= 4) numbers[field - 2] = reader.int64();
    else if (!isBytes && field === 6) kv.lease = reader.uint64Big();
    else reader.skip(tag, 6);
  }
  const [createRevision = 0, modRevision = 0, version = 0] = numbers;
  return { ...kv, createRevision, modRevision, version };
}

/** Big-endian. */
export function u64(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value);
  return new Uint8Array(view.buffer);
}
