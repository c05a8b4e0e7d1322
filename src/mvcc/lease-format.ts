/**
 * Leases as they lie in the log and in the tree. Part of the format: DO NOT CHANGE.
 *
 *   entry body of kind `lease`: record…; none at all only carries the clock
 *     record: u8 change (1 granted, 2 renewed, 3 ended) | u32 id low | u32 id high
 *             | u53 ttlSeconds | u53 deadlineMs
 *   family lease:     u32 big-endian id high | u32 big-endian id low
 *                     → u53 ttlSeconds | u53 deadlineMs
 *   family leaseKey:  the same eight bytes | stored key → nothing
 *
 * A deadline is a time of the shard's logical clock. The version of an entry of both families is
 * the index of the log entry that wrote it: a grant or a renewal has no revision.
 */
import { DecodeError, readU32, readU53, writeU32, writeU32BE, writeU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import { leaseHigh, leaseLow } from "../protocol/key-value-codec.js";
import { PAYLOAD_HEADER_BYTES } from "./effects-format.js";

export const LEASE_CHANGES = { granted: 1, renewed: 2, ended: 3 } as const;

export const LEASE_ID_BYTES = 8;
export const LEASE_VALUE_BYTES = 16;

const RECORD_BYTES = 25;
/** An effect that deletes a leased key, without the key; see effects-format. */
const TOMBSTONE_BYTES = 18;

export function writeLeaseId(bytes: Uint8Array, at: number, low: number, high: number): void {
  writeU32BE(bytes, at, high);
  writeU32BE(bytes, at + 4, low);
}

export function writeLeaseValue(bytes: Uint8Array, ttlSeconds: number, deadlineMs: number): void {
  writeU53(bytes, 0, ttlSeconds);
  writeU53(bytes, 8, deadlineMs);
}

/** Appends a record to the body of an entry. */
export function writeLeaseRecord(
  out: ByteWriter,
  change: number,
  id: bigint,
  ttlSeconds: number,
  deadlineMs: number,
): void {
  const at = out.reserve(RECORD_BYTES);
  const bytes = out.bytes;
  bytes[at] = change;
  writeU32(bytes, at + 1, leaseLow(id));
  writeU32(bytes, at + 5, leaseHigh(id));
  writeU53(bytes, at + 9, ttlSeconds);
  writeU53(bytes, at + 17, deadlineMs);
}

/** Walks the records of a payload; the fields describe the one that `next` moved to. */
export class LeaseRecordReader {
  change = 0;
  low = 0;
  high = 0;
  ttlSeconds = 0;
  deadlineMs = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** `offset` and `length` are those of the payload. */
  open(bytes: Uint8Array, offset: number, length: number): void {
    this.#bytes = bytes;
    this.#at = offset + PAYLOAD_HEADER_BYTES;
    this.#end = offset + length;
  }

  next(): boolean {
    const at = this.#at;
    if (at === this.#end) return false;
    if (at + RECORD_BYTES > this.#end) throw new DecodeError("a lease record is cut short");
    const bytes = this.#bytes;
    this.change = bytes[at]!;
    this.low = readU32(bytes, at + 1);
    this.high = readU32(bytes, at + 5);
    this.ttlSeconds = readU53(bytes, at + 9);
    this.deadlineMs = readU53(bytes, at + 17);
    this.#at = at + RECORD_BYTES;
    return true;
  }
}

/** What a key adds to the entry that ends its lease. */
export function endingBytes(storedKeyLength: number): number {
  return TOMBSTONE_BYTES + storedKeyLength;
}
