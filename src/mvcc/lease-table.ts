/**
 * The leases of a shard as they are applied, in memory: what evaluation and the watch for those
 * that are over ask. It is read from the tree once, when it is first needed, and follows the log
 * from then on; nothing of it is its own.
 *
 * Who asks which are over, the leader, has all in a heap, each at a deadline that it has or had
 * before it was renewed: renewals do not move it, it is put back when its turn comes too early.
 */
import { must } from "../base/assert.js";
import { EMPTY_BYTES } from "../base/bytes.js";
import { readU32BE, readU53 } from "../base/coding.js";
import { FAMILY } from "../lsm/families.js";
import { leaseId } from "../protocol/key-value-codec.js";
import { LEASE_ID_BYTES, endingBytes } from "./lease-format.js";
import type { DataTree } from "./state-view.js";

const QUEUE_SLACK = 1024;
const EVERYTHING = { start: EMPTY_BYTES, end: undefined };

export interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** By the shard's logical clock. */
  deadlineMs: number;
  keyCount: number;
  /** What the effects take that delete its keys. */
  effectsBytes: number;
}

export class LeaseTable {
  readonly #leases: Map<bigint, Lease> = new Map();
  /** undefined while nobody asks what is over. */
  #queue: LeaseQueue | undefined;

  constructor(tree: DataTree) {
    this.#readLeases(tree);
    this.#readKeys(tree);
  }

  get size(): number {
    return this.#leases.size;
  }

  get(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  /** Soonest to expire first. */
  list(): Lease[] {
    return [...this.#leases.values()].sort((a, b) => a.deadlineMs - b.deadlineMs);
  }

  granted(id: bigint, ttlSeconds: number, deadlineMs: number): void {
    this.#leases.set(id, { id, ttlSeconds, deadlineMs, keyCount: 0, effectsBytes: 0 });
    this.#queue?.add(id, deadlineMs);
  }

  renewed(id: bigint, deadlineMs: number): void {
    must(this.#leases.get(id), "the lease that is renewed").deadlineMs = deadlineMs;
  }

  ended(id: bigint): void {
    this.#leases.delete(id);
  }

  attached(id: bigint, storedKeyLength: number): void {
    const lease = must(this.#leases.get(id), "the lease that a key is attached to");
    lease.keyCount++;
    lease.effectsBytes += endingBytes(storedKeyLength);
  }

  detached(id: bigint, storedKeyLength: number): void {
    const lease = must(this.#leases.get(id), "the lease that a key is detached from");
    lease.keyCount--;
    lease.effectsBytes -= endingBytes(storedKeyLength);
  }

  /** A lease that is over at `clockMs`. It is given once, unless it is put back. */
  takeExpired(clockMs: number): bigint | undefined {
    const queue = this.#queueInUse();
    for (;;) {
      const id = queue.takeUpTo(clockMs);
      if (id === undefined) return undefined;
      const lease = this.#leases.get(id);
      if (lease === undefined) continue;
      if (lease.deadlineMs <= clockMs) return id;
      queue.add(id, lease.deadlineMs);
    }
  }

  /** Nobody will ask what is over for now. */
  dropQueue(): void {
    this.#queue = undefined;
  }

  /** A lease that was taken and could not be ended. */
  putBack(id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) this.#queue?.add(id, lease.deadlineMs);
  }

  /** Leases that were ended before their time stay in it, so it is made anew when they are many. */
  #queueInUse(): LeaseQueue {
    const known = this.#queue;
    if (known !== undefined && known.size <= 2 * this.size + QUEUE_SLACK) return known;
    const queue = new LeaseQueue();
    for (const { id, deadlineMs } of this.#leases.values()) queue.add(id, deadlineMs);
    this.#queue = queue;
    return queue;
  }

  #readLeases(tree: DataTree): void {
    const cursor = tree.cursor(FAMILY.lease, EVERYTHING, Number.MAX_SAFE_INTEGER, "newest");
    while (cursor.next()) {
      const { entry } = cursor;
      if (entry.tombstone) continue;
      const { valueBytes, valueOffset } = entry;
      const id = idAt(entry.bytes, entry.keyOffset);
      this.granted(id, readU53(valueBytes, valueOffset), readU53(valueBytes, valueOffset + 8));
    }
    cursor.close();
  }

  #readKeys(tree: DataTree): void {
    if (this.size === 0) return;
    const cursor = tree.cursor(FAMILY.leaseKey, EVERYTHING, Number.MAX_SAFE_INTEGER, "newest");
    while (cursor.next()) {
      const { entry } = cursor;
      if (entry.tombstone) continue;
      this.attached(idAt(entry.bytes, entry.keyOffset), entry.keyLength - LEASE_ID_BYTES);
    }
    cursor.close();
  }
}

function idAt(bytes: Uint8Array, at: number): bigint {
  return leaseId(readU32BE(bytes, at + 4), readU32BE(bytes, at));
}

/** A binary heap of leases by deadline. */
class LeaseQueue {
  readonly #ids: bigint[] = [];
  readonly #deadlines: number[] = [];

  get size(): number {
    return this.#ids.length;
  }

  add(id: bigint, deadlineMs: number): void {
    let at = this.#ids.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#deadlines[parent]! <= deadlineMs) break;
      this.#set(at, this.#ids[parent]!, this.#deadlines[parent]!);
      at = parent;
    }
    this.#set(at, id, deadlineMs);
  }

  /** Takes the first one, if its deadline is not after `clockMs`. */
  takeUpTo(clockMs: number): bigint | undefined {
    if (this.#ids.length === 0 || this.#deadlines[0]! > clockMs) return undefined;
    const first = this.#ids[0]!;
    const id = this.#ids.pop()!;
    const deadlineMs = this.#deadlines.pop()!;
    if (this.#ids.length > 0) this.#sink(id, deadlineMs);
    return first;
  }

  #sink(id: bigint, deadlineMs: number): void {
    const count = this.#ids.length;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      if (child + 1 < count && this.#deadlines[child + 1]! < this.#deadlines[child]!) child++;
      if (this.#deadlines[child]! >= deadlineMs) break;
      this.#set(at, this.#ids[child]!, this.#deadlines[child]!);
      at = child;
    }
    this.#set(at, id, deadlineMs);
  }

  #set(at: number, id: bigint, deadlineMs: number): void {
    this.#ids[at] = id;
    this.#deadlines[at] = deadlineMs;
  }
}
