/**
 * The payload of a log entry: the concrete effects that evaluation decided, so that replicas apply
 * without reading anything first. Part of the format: DO NOT CHANGE; an unknown version, kind or
 * flag stops the replica.
 *
 *   u8 version | u8 kind | u8 flags (2: effects that end a lease)
 *   | u32 keyspace | u32 configuration epoch | u32 range epoch
 *   | u53 evaluation term | u53 predecessor revision | u53 revision | u53 closed revision
 *   | u53 clock stamp | u32 effect count | body
 *
 *   body of effects: effect… [u32 lease low | u32 lease high: the one that ends]
 *        of close: nothing     of compact: u53 compacted revision     of lease: see lease-format
 *   effect: u8 flags (1 was live, 2 previous lease) | u32 keyLength | u32 storedLength
 *           [| u32 previous lease low | u32 previous lease high] | u8 type | key | stored value
 *
 * Type and key together are what the revision index stores, key and stored value lie as the data
 * family takes them: apply hands out offsets and builds nothing.
 */
import { DecodeError, readU32, readU53, writeU32, writeU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";

export const EFFECTS_VERSION = 1;
export const ENTRY_KINDS = { effects: 1, close: 2, compact: 3, lease: 4 } as const;
export const EFFECT_TYPES = { put: 0, tombstone: 1 } as const;
export const EFFECT_FLAGS = { wasLive: 1, previousLease: 2 } as const;

const ENDS_LEASE = 2;

export const PAYLOAD_HEADER_BYTES = 59;
const EFFECT_FIXED_BYTES = 9;
const LEASE_BYTES = 8;

/** An entry that this release cannot apply: the node must stop rather than skip it. */
export class UnknownEntryError extends Error {
  override readonly name = "UnknownEntryError";
}

/** The header of a payload, written from and read into the same object again and again. */
export class PayloadHeader {
  kind = 0;
  keyspaceId = 0;
  configuration = 0;
  range = 0;
  term = 0;
  predecessor = 0;
  revision = 0;
  closedRevision = 0;
  clock = 0;
  effectCount = 0;
  /** Effects only: they are the end of a lease, whose id stands behind them. */
  endsLease = false;
}

/** Makes room for the length and header of an entry; returns where the entry starts. */
export function beginEntry(out: ByteWriter): number {
  return out.reserve(ENTRY_HEADER_SIZE_BYTES + PAYLOAD_HEADER_BYTES);
}

/** Fills in what beginEntry left room for, once the body is written. */
export function finishEntry(out: ByteWriter, start: number, header: PayloadHeader): void {
  const bytes = out.bytes;
  const at = start + ENTRY_HEADER_SIZE_BYTES;
  writeU32(bytes, start, out.length - at);
  bytes[at] = EFFECTS_VERSION;
  bytes[at + 1] = header.kind;
  bytes[at + 2] = header.endsLease ? ENDS_LEASE : 0;
  writeU32(bytes, at + 3, header.keyspaceId);
  writeU32(bytes, at + 7, header.configuration);
  writeU32(bytes, at + 11, header.range);
  writeU53(bytes, at + 15, header.term);
  writeU53(bytes, at + 23, header.predecessor);
  writeU53(bytes, at + 31, header.revision);
  writeU53(bytes, at + 39, header.closedRevision);
  writeU53(bytes, at + 47, header.clock);
  writeU32(bytes, at + 55, header.effectCount);
}

/** Reads the header of the payload bytes[offset, offset + length). */
export function readPayloadHeader(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: PayloadHeader,
): void {
  if (length < PAYLOAD_HEADER_BYTES) throw new DecodeError("a payload is cut short");
  const version = bytes[offset]!;
  const kind = bytes[offset + 1]!;
  const flags = bytes[offset + 2]!;
  const known = kind === ENTRY_KINDS.effects ? ENDS_LEASE : 0;
  if (version !== EFFECTS_VERSION || (flags & ~known) !== 0) {
    throw new UnknownEntryError(`entry of version ${version}, flags ${flags}`);
  }
  if (kind < ENTRY_KINDS.effects || kind > ENTRY_KINDS.lease) {
    throw new UnknownEntryError(`entry of kind ${kind}`);
  }
  into.endsLease = flags === ENDS_LEASE;
  into.kind = kind;
  into.keyspaceId = readU32(bytes, offset + 3);
  into.configuration = readU32(bytes, offset + 7);
  into.range = readU32(bytes, offset + 11);
  into.term = readU53(bytes, offset + 15);
  into.predecessor = readU53(bytes, offset + 23);
  into.revision = readU53(bytes, offset + 31);
  into.closedRevision = readU53(bytes, offset + 39);
  into.clock = readU53(bytes, offset + 47);
  into.effectCount = readU32(bytes, offset + 55);
}

/** Walks the effects of a payload; the fields describe the one that `next` moved to. */
export class EffectReader {
  bytes: Uint8Array = new Uint8Array(0);
  flags = 0;
  type = 0;
  /** The type byte lies directly before the key. */
  keyOffset = 0;
  keyLength = 0;
  storedOffset = 0;
  storedLength = 0;
  /** The lease of the version that this one replaces; 0 for none. */
  previousLeaseLow = 0;
  previousLeaseHigh = 0;
  #at = 0;
  #end = 0;

  /** `offset` and `length` are those of the payload. */
  open(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes = bytes;
    this.#at = offset + PAYLOAD_HEADER_BYTES;
    this.#end = offset + length - ((bytes[offset + 2]! & ENDS_LEASE) === 0 ? 0 : LEASE_BYTES);
  }

  /** Moves to the next effect; false at the end of the payload. */
  next(): boolean {
    const at = this.#at;
    if (at === this.#end) return false;
    if (at + EFFECT_FIXED_BYTES > this.#end) throw new DecodeError("an effect is cut short");
    const bytes = this.bytes;
    this.flags = bytes[at]!;
    this.keyLength = readU32(bytes, at + 1);
    this.storedLength = readU32(bytes, at + 5);
    const withLease = (this.flags & EFFECT_FLAGS.previousLease) !== 0;
    this.previousLeaseLow = withLease ? readU32(bytes, at + EFFECT_FIXED_BYTES) : 0;
    this.previousLeaseHigh = withLease ? readU32(bytes, at + EFFECT_FIXED_BYTES + 4) : 0;
    const typeOffset = at + EFFECT_FIXED_BYTES + (withLease ? LEASE_BYTES : 0);
    this.keyOffset = typeOffset + 1;
    this.storedOffset = this.keyOffset + this.keyLength;
    this.#at = this.storedOffset + this.storedLength;
    if (this.#at > this.#end) throw new DecodeError("an effect is cut short");
    this.type = bytes[typeOffset]!;
    return true;
  }
}
