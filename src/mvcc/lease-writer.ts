/**
 * Applies what entries say of leases to the tree, on every replica and blindly: the leases
 * themselves, and which keys are attached to each.
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { readU32 } from "../base/coding.js";
import { FAMILY } from "../lsm/families.js";
import { leaseId } from "../protocol/key-value-codec.js";
import { EFFECT_TYPES } from "./effects-format.js";
import type { EffectReader } from "./effects-format.js";
import {
  LEASE_CHANGES,
  LEASE_ID_BYTES,
  LEASE_VALUE_BYTES,
  LeaseRecordReader,
  writeLeaseId,
  writeLeaseValue,
} from "./lease-format.js";
import type { Leases } from "./leases.js";
import type { DataTree } from "./state-view.js";
import { storedHasLease, storedLeaseHigh, storedLeaseLow } from "./stored-value.js";

export class LeaseWriter {
  readonly #tree: DataTree;
  readonly #leases: Leases;
  readonly #records = new LeaseRecordReader();
  readonly #value = new Uint8Array(LEASE_VALUE_BYTES);
  #key = new Uint8Array(256);

  constructor(tree: DataTree, leases: Leases) {
    this.#tree = tree;
    this.#leases = leases;
  }

  /** The records of an entry of kind lease. */
  records(index: number, bytes: Uint8Array, offset: number, length: number): void {
    const records = this.#records;
    records.open(bytes, offset, length);
    while (records.next()) {
      const { change, low, high, ttlSeconds, deadlineMs } = records;
      this.#change(index, change, low, high, ttlSeconds, deadlineMs);
    }
  }

  /** The effects of this payload were the end of the lease that stands behind them. */
  ended(index: number, bytes: Uint8Array, offset: number, length: number): void {
    const at = offset + length - LEASE_ID_BYTES;
    this.#change(index, LEASE_CHANGES.ended, readU32(bytes, at), readU32(bytes, at + 4), 0, 0);
  }

  /** The effect that the reader stands on: its key changes hands where its lease is another. */
  effect(index: number, effect: EffectReader): void {
    const { bytes, storedOffset, previousLeaseLow: low, previousLeaseHigh: high } = effect;
    const isPut = effect.type === EFFECT_TYPES.put;
    if (isPut && storedHasLease(bytes, storedOffset, low, high)) return;
    const { keyOffset, keyLength } = effect;
    const table = this.#leases.tableInUse;
    if ((low | high) !== 0) {
      this.#attach(index, low, high, bytes, keyOffset, keyLength, true);
      table?.detached(leaseId(low, high), keyLength);
    }
    if (!isPut || storedHasLease(bytes, storedOffset, 0, 0)) return;
    const newLow = storedLeaseLow(bytes, storedOffset);
    const newHigh = storedLeaseHigh(bytes, storedOffset);
    this.#attach(index, newLow, newHigh, bytes, keyOffset, keyLength, false);
    table?.attached(leaseId(newLow, newHigh), keyLength);
  }

  #change(
    index: number,
    change: number,
    low: number,
    high: number,
    ttlSeconds: number,
    deadlineMs: number,
  ): void {
    const isEnd = change === LEASE_CHANGES.ended;
    assert(isEnd || change === LEASE_CHANGES.granted || change === LEASE_CHANGES.renewed);
    writeLeaseId(this.#key, 0, low, high);
    writeLeaseValue(this.#value, ttlSeconds, deadlineMs);
    const length = isEnd ? 0 : LEASE_VALUE_BYTES;
    this.#tree.insert(
      FAMILY.lease,
      this.#key,
      0,
      LEASE_ID_BYTES,
      index,
      isEnd,
      this.#value,
      0,
      length,
    );
    this.#leases.applied(change, leaseId(low, high), ttlSeconds, deadlineMs);
  }

  #attach(
    index: number,
    low: number,
    high: number,
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    isDetached: boolean,
  ): void {
    const length = LEASE_ID_BYTES + keyLength;
    if (length > this.#key.length) this.#key = new Uint8Array(length * 2);
    const key = this.#key;
    writeLeaseId(key, 0, low, high);
    key.set(bytes.subarray(keyOffset, keyOffset + keyLength), LEASE_ID_BYTES);
    this.#tree.insert(FAMILY.leaseKey, key, 0, length, index, isDetached, EMPTY_BYTES, 0, 0);
  }
}
