/**
 * Decides how much of a shard's log is kept behind what its tree has made durable. Followers that
 * lag a little are caught up from it; one that lags beyond the cap takes a snapshot instead.
 */
import { lastIndexOf } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import type { Raft } from "../raft/raft.js";

/** Bytes of entries kept for followers that lag. */
const TAIL_SIZE_BYTES: number = 8 * 1024 * 1024;
/** Marks kept: one for about every 64 KiB of entries. */
const MARK_SIZE_BYTES: number = 64 * 1024;

interface Mark {
  readonly lastIndex: number;
  /** Bytes of all entries up to `lastIndex` since the log was opened. */
  readonly totalBytes: number;
}

export class LogTail {
  #marks: Mark[] = [];
  #totalBytes = 0;

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
  }

  /** The index up to which the log may be dropped, at most `flushedIndex`. */
  trimmableTo(flushedIndex: number, raft: Raft, ownId: number): number {
    let upTo = 0;
    let dropped = 0;
    for (const mark of this.#marks) {
      if (mark.lastIndex > flushedIndex) break;
      if (this.#totalBytes - mark.totalBytes < TAIL_SIZE_BYTES) break;
      upTo = mark.lastIndex;
      dropped++;
    }
    this.#marks.splice(0, dropped);
    const needed = slowestMatch(raft, ownId);
    return Math.max(upTo, Math.min(flushedIndex, needed));
  }
}

/** What every follower has; a follower itself cannot know and keeps the tail. */
function slowestMatch(raft: Raft, ownId: number): number {
  if (raft.role !== "leader") return 0;
  let slowest = raft.durableIndex;
  for (const id of raft.configuration.voters) {
    if (id === ownId) continue;
    slowest = Math.min(slowest, raft.progress(id)?.matchIndex ?? 0);
  }
  return slowest;
}
