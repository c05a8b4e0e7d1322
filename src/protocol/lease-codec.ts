/**
 * The requests of leases, all of one type and told apart by a byte, and their answers behind the
 * answer header.
 *
 *   routed header | u8 kind | u32 id low | u32 id high | u53 ttlSeconds | u8 keys | optional fields
 *
 *   grant       u53 ttlSeconds granted
 *   revoke      nothing
 *   keepAlive   u53 ttlSeconds, 0 where there is no such lease
 *   timeToLive  u8 exists [| u53 remaining seconds | u53 granted seconds | u32 count
 *               | (u32 length | user key)…]
 *   list        u32 count | (u32 id low | u32 id high)…, soonest to expire first
 */
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { ShardDescriptor } from "./cluster.js";
import { decodeLease, encodeLease } from "./key-value-codec.js";
import { encodeRoutedHeader } from "./routed-header.js";

export type LeaseRequestKind = "grant" | "revoke" | "keepAlive" | "timeToLive" | "list";

const KINDS: readonly LeaseRequestKind[] = ["grant", "revoke", "keepAlive", "timeToLive", "list"];

export interface LeaseRequest {
  readonly kind: LeaseRequestKind;
  /** 0n where the kind has no use for it. */
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** timeToLive: also the keys. */
  readonly keys: boolean;
}

export interface LeaseState {
  readonly remainingSeconds: number;
  readonly grantedSeconds: number;
  readonly keys: readonly Uint8Array[];
}

export function encodeLeaseRequest(
  out: ByteWriter,
  shard: ShardDescriptor,
  request: LeaseRequest,
): void {
  encodeRoutedHeader(out, shard);
  out.u8(KINDS.indexOf(request.kind));
  encodeLease(out, request.id);
  out.u53(request.ttlSeconds);
  out.u8(request.keys ? 1 : 0);
}

/** Reads what follows the routed header. */
export function decodeLeaseRequest(reader: ByteReader): LeaseRequest {
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError("an unknown request of leases");
  return { kind, id: decodeLease(reader), ttlSeconds: reader.u53(), keys: reader.u8() === 1 };
}

/** The state of a lease that may not exist. */
export function encodeLeaseState(out: ByteWriter, state: LeaseState | undefined): void {
  out.u8(state === undefined ? 0 : 1);
  if (state === undefined) return;
  out.u53(state.remainingSeconds);
  out.u53(state.grantedSeconds);
  out.u32(state.keys.length);
  for (const key of state.keys) {
    out.u32(key.length);
    out.raw(key);
  }
}

export function decodeLeaseState(reader: ByteReader): LeaseState | undefined {
  if (reader.u8() === 0) return undefined;
  const remainingSeconds = reader.u53();
  const grantedSeconds = reader.u53();
  const keys: Uint8Array[] = [];
  for (let left = reader.u32(); left > 0; left--) keys.push(reader.rawView(reader.u32()).slice());
  return { remainingSeconds, grantedSeconds, keys };
}

export function encodeLeaseIds(out: ByteWriter, ids: readonly bigint[]): void {
  out.u32(ids.length);
  for (const id of ids) encodeLease(out, id);
}

export function decodeLeaseIds(reader: ByteReader): bigint[] {
  const ids: bigint[] = [];
  for (let left = reader.u32(); left > 0; left--) ids.push(decodeLease(reader));
  return ids;
}
