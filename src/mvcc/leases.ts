/**
 * The leases of a shard as its leader sees them: those that are applied, and what was decided after
 * them. It says what a lease is and which keys it holds; the evaluator decides, the log makes true.
 */
import { compareBytes } from "../base/bytes.js";
import { LEASE_EFFECTS_BYTES_MAX } from "../base/limits.js";
import { FAMILY } from "../lsm/families.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { leaseHigh, leaseId, leaseLow } from "../protocol/key-value-codec.js";
import { LEASE_CHANGES, LEASE_ID_BYTES, endingBytes, writeLeaseId } from "./lease-format.js";
import { LeaseOverlay } from "./lease-overlay.js";
import { LeaseTable } from "./lease-table.js";
import type { Overlay } from "./overlay.js";
import type { DataTree } from "./state-view.js";

export interface LiveLease {
  readonly ttlSeconds: number;
  /** By the shard's logical clock. */
  readonly deadlineMs: number;
}

/** Of a row what is to be known where it is put with a lease. */
export interface RowToPut {
  readonly leaseLow: number;
  readonly leaseHigh: number;
  /** Of the stored key. */
  readonly keyLength: number;
}

export class Leases {
  readonly overlay: LeaseOverlay = new LeaseOverlay();
  readonly #tree: DataTree;
  readonly #data: Overlay;
  #table: LeaseTable | undefined;

  constructor(tree: DataTree, data: Overlay) {
    this.#tree = tree;
    this.#data = data;
  }

  /** Those that are applied; the first call reads them from the tree. */
  get table(): LeaseTable {
    return (this.#table ??= new LeaseTable(this.#tree));
  }

  /** The same, if somebody has asked for it before: a shard without leases never reads any. */
  get tableInUse(): LeaseTable | undefined {
    return this.#table;
  }

  find(id: bigint): LiveLease | undefined {
    const change = this.overlay.newest(id);
    return change === undefined ? this.table.get(id) : change.live;
  }

  /**
   * Why a key cannot be put with a lease that it does not have, if so. Keys that are decided and
   * not applied count too; where only those of other transactions are too many it may still be
   * otherwise, but those of its own, of `revision`, stay too many however often it is tried.
   */
  attachRefusal(row: RowToPut, revision: number): KvError | undefined {
    const { leaseLow: low, leaseHigh: high } = row;
    const id = leaseId(low, high);
    if (this.find(id) === undefined) return leaseNotFound();
    const bound = LEASE_EFFECTS_BYTES_MAX;
    const held = this.table.get(id)?.effectsBytes ?? 0;
    const needed = held + endingBytes(row.keyLength);
    if (needed > bound) return leaseFull();
    if (needed + this.#data.leasedBytes <= bound) return undefined;
    if (needed + this.#data.leasedBytesOf(low, high, revision) > bound) return leaseFull();
    if (needed + this.#data.leasedBytesOf(low, high, 0) <= bound) return undefined;
    return notApplied("overloaded", "too many keys are being put with the lease; try again");
  }

  /** Stored keys that may have this lease, in order, each once. */
  candidates(id: bigint): Uint8Array[] {
    const low = leaseLow(id);
    const high = leaseHigh(id);
    const keys = this.keysOf(id);
    const applied = keys.length;
    keys.push(...this.#data.keysOfLease(low, high));
    if (keys.length === applied) return keys;
    keys.sort(compareBytes);
    return keys.filter((key, at) => at === 0 || compareBytes(key, keys[at - 1]!) !== 0);
  }

  /** Stored keys that have this lease in the applied state, in order. */
  keysOf(id: bigint): Uint8Array[] {
    const start = new Uint8Array(LEASE_ID_BYTES);
    writeLeaseId(start, 0, leaseLow(id), leaseHigh(id));
    const following = BigInt.asUintN(64, id + 1n);
    const end = new Uint8Array(LEASE_ID_BYTES);
    writeLeaseId(end, 0, leaseLow(following), leaseHigh(following));
    const range = { start, end: following === 0n ? undefined : end };
    const cursor = this.#tree.cursor(FAMILY.leaseKey, range, Number.MAX_SAFE_INTEGER, "newest");
    const keys: Uint8Array[] = [];
    while (cursor.next()) {
      const { bytes, keyOffset, keyLength, tombstone } = cursor.entry;
      if (!tombstone) keys.push(bytes.slice(keyOffset + LEASE_ID_BYTES, keyOffset + keyLength));
    }
    cursor.close();
    return keys;
  }

  /** A change was applied. */
  applied(change: number, id: bigint, ttlSeconds: number, deadlineMs: number): void {
    if (this.overlay.size > 0) this.overlay.applied(id);
    const table = this.#table;
    if (table === undefined) return;
    if (change === LEASE_CHANGES.granted) table.granted(id, ttlSeconds, deadlineMs);
    else if (change === LEASE_CHANGES.renewed) table.renewed(id, deadlineMs);
    else table.ended(id);
  }
}

function leaseFull(): KvError {
  const bound = LEASE_EFFECTS_BYTES_MAX;
  const text = `the keys of a lease, each with ${endingBytes(0)} bytes more, may take ${bound} bytes`;
  return notApplied("leaseFull", `${text}, for they are deleted at once; use more leases`, {
    bound,
  });
}

export function leaseNotFound(): KvError {
  return notApplied("leaseNotFound", "the lease does not exist");
}
