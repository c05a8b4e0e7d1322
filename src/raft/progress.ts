/**
 * What a leader knows of one replica, itself included. Three states:
 *
 *   probe      where the logs agree is unknown: one append at a time, until it is answered
 *   replicate  appends are sent ahead of their answers, within the in-flight window
 *   snapshot   the entries it needs are gone: nothing is sent until a snapshot has arrived
 *
 * While replicating, entries may have to be read from the disk first; nothing else is sent then.
 *
 * matchIndex < nextIndex always, and matchIndex never falls within a term, unless the replica says
 * itself that it has lost what it had acknowledged.
 */
import { assert } from "../base/assert.js";
import { Inflights } from "./inflights.js";
import type { RaftConfig, ReplicaId } from "./types.js";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: ReplicaId;
  readonly inflights: Inflights;
  /** When this replica last answered in this term; at first, when it became known. */
  lastHeardMs: number;
  /** Whether it has answered in this term at all. */
  heard = false;
  /** The highest heartbeat round it has echoed. */
  confirmedRound = 0;
  /** The start of the latest round for which it gave a promise. */
  promisedFromMs: number = Number.NEGATIVE_INFINITY;
  /** The highest commit index it has been told by an append. */
  sentCommitIndex = 0;
  /** When it last said that it lacks something it once had: it cannot lead. */
  refillAskedMs: number = Number.NEGATIVE_INFINITY;
  /** Where the leader's log ended when it first said so. */
  refillEnd: number | undefined = undefined;
  /** An append is due although there is nothing new, to learn whether earlier ones arrived. */
  appendForced = false;
  #state: ProgressState = "probe";
  #matchIndex = 0;
  #nextIndex: number;
  #probeSent = false;
  /** The first of the entries that are being read for it; 0 while none are. */
  #readFrom = 0;
  #snapshotDeadlineMs: number = Number.POSITIVE_INFINITY;
  /** The snapshot that was asked for stands here or later. */
  #snapshotIndex = 0;

  constructor(id: ReplicaId, nextIndex: number, nowMs: number, config: RaftConfig) {
    this.id = id;
    this.#nextIndex = nextIndex;
    this.lastHeardMs = nowMs;
    this.inflights = new Inflights(config.inflightMessagesMax, config.inflightBytesMax);
  }

  get state(): ProgressState {
    return this.#state;
  }

  get matchIndex(): number {
    return this.#matchIndex;
  }

  get nextIndex(): number {
    return this.#nextIndex;
  }

  get isProbeSent(): boolean {
    return this.#probeSent;
  }

  get awaitsEntries(): boolean {
    return this.#readFrom !== 0;
  }

  /** The entries that it needs next are being read. */
  awaitEntries(): void {
    assert(this.#state === "replicate", "entries are read for who replicates");
    this.#readFrom = this.#nextIndex;
  }

  /** Entries were read. Returns whether they are the ones that were waited for. */
  entriesCame(firstIndex: number): boolean {
    if (firstIndex !== this.#readFrom) return false;
    this.#readFrom = 0;
    return true;
  }

  /** An append that ends at `lastIndex` was sent; an empty one carries no bytes. */
  sent(lastIndex: number, bytes: number): void {
    this.appendForced = false;
    if (this.#state === "probe") {
      this.#probeSent = true;
    } else if (lastIndex >= this.#nextIndex) {
      this.#nextIndex = lastIndex + 1;
      this.inflights.add(lastIndex, bytes);
    }
  }

  /** It holds the leader's log up to `index`. Returns whether that is news. */
  acknowledged(index: number): boolean {
    const isNews = index > this.#matchIndex;
    if (isNews) this.#matchIndex = index;
    if (index >= this.#nextIndex) this.#nextIndex = index + 1;
    if (this.#state === "replicate") this.inflights.freeTo(index);
    return isNews;
  }

  /**
   * It rejected an append after `index`; the logs may agree at `hintIndex`. Returns whether the
   * rejection is about what was sent last, and not a late or repeated one.
   */
  rejected(index: number, hintIndex: number): boolean {
    if (this.#state === "snapshot" || index <= this.#matchIndex) return false;
    if (this.#state === "replicate") {
      this.becomeProbe();
      return true;
    }
    if (index !== this.#nextIndex - 1) return false;
    this.#nextIndex = Math.max(Math.min(index, hintIndex + 1), this.#matchIndex + 1);
    this.sentCommitIndex = Math.min(this.sentCommitIndex, this.#nextIndex - 1);
    this.#probeSent = false;
    return true;
  }

  /** It has lost what it held after `lastIndex`. */
  lost(lastIndex: number): void {
    if (lastIndex >= this.#matchIndex) return;
    this.#matchIndex = lastIndex;
    if (this.#state !== "snapshot") this.becomeProbe();
  }

  /** It is alive: a probe may be repeated, and what is in flight is asked after. */
  resume(nowMs: number, lastIndex: number): void {
    if (this.#state === "snapshot" && nowMs >= this.#snapshotDeadlineMs) this.becomeProbe();
    if (this.#state === "probe") this.#probeSent = false;
    else if (this.#state === "replicate") this.appendForced = this.#matchIndex < lastIndex;
  }

  /** Alive, and lacking no committed entry that is not on its way to it. */
  isCaughtUp(commitIndex: number, heardSinceMs: number): boolean {
    if (!this.heard || this.lastHeardMs < heardSinceMs) return false;
    return this.#state === "replicate" && this.#nextIndex > commitIndex;
  }

  becomeProbe(): void {
    this.#become("probe");
    this.#probeSent = false;
  }

  becomeReplicate(): void {
    this.#become("replicate");
  }

  /** Its connection broke: what was in flight is taken for lost. A stream reports by itself. */
  disconnected(): void {
    const isAwaited = this.#snapshotDeadlineMs < Number.POSITIVE_INFINITY;
    if (this.#state === "replicate" || (this.#state === "snapshot" && isAwaited)) {
      this.becomeProbe();
    }
  }

  /** Waits for a snapshot at `index` or later. */
  becomeSnapshot(index: number): void {
    this.#become("snapshot");
    this.#snapshotIndex = index;
    this.#snapshotDeadlineMs = Number.POSITIVE_INFINITY;
  }

  /** The snapshot that was waited for has been installed. */
  get hasInstalledSnapshot(): boolean {
    return this.#state === "snapshot" && this.#matchIndex >= this.#snapshotIndex;
  }

  /** Sends nothing until the replica is heard again. */
  pauseProbe(): void {
    assert(this.#state === "probe", "only a probe pauses");
    this.#probeSent = true;
  }

  /** The snapshot has left; its acknowledgement is waited for until `deadlineMs`. */
  awaitSnapshotUntil(deadlineMs: number): void {
    this.#snapshotDeadlineMs = deadlineMs;
  }

  describe(): string {
    const window = this.inflights.count > 0 ? ` inflight=${this.inflights.count}` : "";
    const paused = this.#state === "probe" && this.#probeSent ? " paused" : "";
    const reading = this.awaitsEntries ? " reading" : "";
    const place = `match=${this.#matchIndex} next=${this.#nextIndex}`;
    return `${this.id}:${this.#state} ${place}${window}${paused}${reading}`;
  }

  #become(state: ProgressState): void {
    this.#state = state;
    this.#nextIndex = this.#matchIndex + 1;
    this.sentCommitIndex = Math.min(this.sentCommitIndex, this.#matchIndex);
    this.appendForced = false;
    this.#readFrom = 0;
    this.inflights.clear();
  }
}
