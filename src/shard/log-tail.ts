/**
 * Decides how much of a shard's log is kept behind what its tree has made durable. Followers that
 * lag a little are caught up from it; one that lags beyond the tail takes a snapshot instead. A
 * leader keeps more than the tail for those that are being caught up, or none would ever arrive:
 *
 *   a snapshot is on its way to it   → all behind the snapshot
 *   it answers and takes appends     → all that it does not have yet
 *
 * How much that may become is bounded by the size of the log of all shards, not here: its owner
 * then trims what is held, too.
 */
import { lastIndexOf } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import type { Raft } from "../raft/raft.js";

/** What decides is to be seen here; the rest of the core is not of interest. */
export type RaftView = Pick<
  Raft,
  "role" | "firstIndex" | "durableIndex" | "configuration" | "progress"
>;

/** Who keeps entries: who is caught up from them, who may lag a little, or only the next trim. */
export type LogKeeper = "follower" | "tail" | "trim";

/** Bytes of entries kept for followers that lag. */
const TAIL_SIZE_BYTES: number = 8 * 1024 * 1024;
/** Marks kept: one for about every 64 KiB of entries. */
const MARK_SIZE_BYTES: number = 64 * 1024;
/** A follower that was silent for longer is not being caught up. */
const ALIVE_MS = 5000;

interface Mark {
  readonly lastIndex: number;
  /** Bytes of all entries up to `lastIndex` since the log was opened. */
  readonly totalBytes: number;
}

/** A snapshot that is on its way to a replica, or has just reached it. */
interface Hold {
  readonly index: number;
  readonly untilMs: number;
}

export class LogTail {
  readonly #ownId: number;
  readonly #holds: Map<number, Hold> = new Map();
  #marks: Mark[] = [];
  #totalBytes = 0;

  constructor(ownId: number) {
    this.#ownId = ownId;
  }

  appended(run: EntryRun): void {
    const marks = this.#marks;
    while (marks.length > 0 && marks[marks.length - 1]!.lastIndex >= run.firstIndex) marks.pop();
    this.#totalBytes += run.bytes.length;
    const newest = marks[marks.length - 1];
    if (newest !== undefined && this.#totalBytes - newest.totalBytes < MARK_SIZE_BYTES) return;
    marks.push({ lastIndex: lastIndexOf(run), totalBytes: this.#totalBytes });
  }

  reset(): void {
    this.#marks = [];
    this.#holds.clear();
  }

  /** A replica is given a snapshot that stands at `index`: what follows it is kept until then. */
  hold(replicaId: number, index: number, untilMs: number): void {
    this.#holds.set(replicaId, { index, untilMs });
  }

  /** The index up to which the log may be dropped, at most `flushedIndex`. */
  trimmableTo(flushedIndex: number, raft: RaftView, nowMs: number): number {
    const unneeded = Math.max(this.#tailStart(), this.#slowestMatch(raft));
    return Math.min(flushedIndex, unneeded, this.heldFrom(raft, nowMs));
  }

  /** The log behind this index is kept for replicas that are being caught up. */
  heldFrom(raft: RaftView, nowMs: number): number {
    let from = Number.POSITIVE_INFINITY;
    if (raft.role !== "leader") return from;
    for (const id of this.#others(raft)) {
      const index = this.#neededFrom(id, raft, nowMs);
      // Where the log begins later already, this replica takes a snapshot whatever is kept.
      if (index >= raft.firstIndex - 1) from = Math.min(from, index);
    }
    return from;
  }

  /** Why entries up to `index`, which the tree has made durable, are still in the log. */
  keeperOf(index: number, raft: RaftView, nowMs: number): LogKeeper {
    if (index > this.heldFrom(raft, nowMs)) return "follower";
    return index > Math.max(this.#tailStart(), this.#slowestMatch(raft)) ? "tail" : "trim";
  }

  trimmed(index: number): void {
    let dropped = 0;
    while (dropped < this.#marks.length && this.#marks[dropped]!.lastIndex <= index) dropped++;
    if (dropped > 0) this.#marks.splice(0, dropped);
  }

  #tailStart(): number {
    let index = 0;
    for (const mark of this.#marks) {
      if (this.#totalBytes - mark.totalBytes < TAIL_SIZE_BYTES) break;
      index = mark.lastIndex;
    }
    return index;
  }

  /** What every other replica has; a follower cannot know and keeps the tail. */
  #slowestMatch(raft: RaftView): number {
    if (raft.role !== "leader") return 0;
    let slowest = raft.durableIndex;
    for (const id of this.#others(raft)) {
      slowest = Math.min(slowest, raft.progress(id)?.matchIndex ?? 0);
    }
    return slowest;
  }

  #neededFrom(id: number, raft: RaftView, nowMs: number): number {
    const progress = raft.progress(id);
    if (progress === undefined) return Number.POSITIVE_INFINITY;
    const hold = this.#holds.get(id);
    if (hold !== undefined && nowMs < hold.untilMs) {
      return Math.max(hold.index, progress.matchIndex);
    }
    this.#holds.delete(id);
    const isFollowing = progress.state === "replicate" && nowMs - progress.lastHeardMs < ALIVE_MS;
    return isFollowing ? progress.matchIndex : Number.POSITIVE_INFINITY;
  }

  #others(raft: RaftView): Set<number> {
    const { voters, outgoing, learners } = raft.configuration;
    const ids = new Set([...voters, ...outgoing, ...learners]);
    ids.delete(this.#ownId);
    return ids;
  }
}
