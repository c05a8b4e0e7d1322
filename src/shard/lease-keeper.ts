/**
 * The leases of a shard, watched by the replica that leads it: those that are over are ended
 * through the log, and the shard's clock is written there while there are leases, so that the next
 * leader neither shortens them nor begins them anew.
 *
 * It never decides: an end is evaluated like any write, against all renewals before it, in the term
 * of who proposes it. A clock that no leader moves stands still, so nothing runs out meanwhile.
 */
import { ByteWriter } from "../base/coding.js";
import type { MvccMachine } from "../mvcc/mvcc-machine.js";
import type { KvError } from "../protocol/errors.js";
import { encodeLeaseIds, encodeLeaseState } from "../protocol/lease-codec.js";
import type { LeaseQuestion, LeaseWrite } from "./requests.js";
import type { Responder } from "./responder.js";

/** How far the clock in the log may stay behind: so much longer leases live after a failover. */
const STAMP_INTERVAL_MS = 5000;
/** Ends under way at once; a storm of them must not keep clients waiting. */
const ENDS_MAX = 256;
/** Without a tick for so long, renewals may be waiting to be read: they are given time. */
const STALL_MS = 500;
const STALL_GRACE_MS = 1000;

/** What it needs of its replica. */
export interface LeaseHost {
  readonly machine: Pick<MvccMachine, "leases" | "leasesInUse" | "logicalClock">;
  readonly leads: boolean;
  /** undefined in a keyspace that counts its own revisions: only such ones have leases. */
  readonly revisions: object | undefined;
  readonly writes: {
    logicalClock(): number;
    stampClock(): void;
    submitLease(responder: Responder, requestId: number, request: LeaseWrite): void;
  };
}

export class LeaseKeeper implements Responder {
  readonly #host: LeaseHost;
  readonly #sink = new ByteWriter(0);
  /** Ends that were submitted and not answered, by request id. */
  readonly #ending: Map<number, bigint> = new Map();
  #nextRequestId = 1;
  #inUse = false;
  #tickedMs = Number.NEGATIVE_INFINITY;
  #endsFromMs = 0;
  #stampedAtMs = 0;

  constructor(host: LeaseHost) {
    this.#host = host;
  }

  /** Whether time must pass for this replica. */
  get inUse(): boolean {
    return this.#inUse;
  }

  /**
   * Followers know the leases, too, lest a new leader begins by reading them all. Throws
   * CorruptionError where they cannot be read.
   */
  tick(nowMs: number): void {
    const { machine, writes, leads, revisions } = this.#host;
    if (revisions !== undefined) return;
    if (nowMs - this.#tickedMs > STALL_MS) this.#endsFromMs = nowMs + STALL_GRACE_MS;
    this.#tickedMs = nowMs;
    const { leases } = machine;
    this.#inUse = leads && leases.size > 0;
    if (!leads) leases.dropQueue();
    if (!this.#inUse) return;
    const clockMs = writes.logicalClock();
    if (nowMs >= this.#endsFromMs) this.#endThoseOver(clockMs);
    const stampedMs = Math.max(machine.logicalClock, this.#stampedAtMs);
    if (clockMs - stampedMs < STAMP_INTERVAL_MS) return;
    this.#stampedAtMs = clockMs;
    writes.stampClock();
  }

  beginAnswer(requestId: number): ByteWriter {
    this.#ending.delete(requestId);
    this.#sink.reset();
    return this.#sink;
  }

  endAnswer(): void {}

  /** It may exist still, or have been renewed: it is looked at again. */
  failed(requestId: number, _error: KvError): void {
    const id = this.#ending.get(requestId);
    this.#ending.delete(requestId);
    if (id !== undefined) this.#host.machine.leasesInUse?.putBack(id);
  }

  #endThoseOver(clockMs: number): void {
    const { machine, writes } = this.#host;
    while (this.#ending.size < ENDS_MAX) {
      const id = machine.leases.takeExpired(clockMs);
      if (id === undefined) return;
      const requestId = this.#nextRequestId++;
      this.#ending.set(requestId, id);
      writes.submitLease(this, requestId, { kind: "leaseEnd", id, onlyIfOver: true });
      // Refused at once: what refuses one refuses all.
      if (!this.#ending.has(requestId)) return;
    }
  }
}

/** Writes the answer to a question about leases at a time of the shard's clock. */
export function answerOnLeases(
  machine: MvccMachine,
  question: LeaseQuestion,
  clockMs: number,
  out: ByteWriter,
): void {
  const { id, keys } = question;
  if (id === undefined) {
    const ids = machine.leases.list().map((lease) => lease.id);
    return encodeLeaseIds(out, ids);
  }
  const lease = machine.leases.get(id);
  if (lease === undefined) return encodeLeaseState(out, undefined);
  encodeLeaseState(out, {
    remainingSeconds: Math.max(0, Math.floor((lease.deadlineMs - clockMs) / 1000)),
    grantedSeconds: lease.ttlSeconds,
    keys: keys ? machine.leaseKeys(id) : [],
  });
}
