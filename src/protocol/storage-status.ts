/**
 * What a node says of its store, which all its shards share: why it is slow, why the disk is full.
 * A part of its status. What is counted is counted since the node was started.
 */

/**
 * Why writes wait or are refused, each by itself:
 *
 *   diskFull    less is free than is kept back, or the log or a flush has met the end of the disk
 *   diskStalls  the disk finishes nothing any more: this node gives away what it leads
 *   memory      memtables take more than they may, and wait for their flush
 *   log         more waits for the disk than it keeps up with
 *   merges      of a shard that is led here, they are behind
 *   inFlight    of a shard that is led here, as many writes as may be are not answered
 *   alarm       NOSPACE or CORRUPT is raised: nothing is put into the default keyspace
 */
export type WriteObstacle =
  | "diskFull"
  | "diskStalls"
  | "memory"
  | "log"
  | "merges"
  | "inFlight"
  | "alarm";

/** A shard that keeps the oldest segment of the log, and with it all that follow. */
export interface LogKept {
  readonly shardId: number;
  /**
   * unflushed: its tree has not made the entries durable; follower: another replica is being
   * caught up by them; tail: they are few, and one that lags may want them; trim: nobody wants
   * them any more; closed: its replica is not open here.
   */
  readonly reason: "unflushed" | "follower" | "tail" | "trim" | "closed";
}

export interface StorageStatus {
  /** Whether each holds now. */
  readonly obstacles: Readonly<Record<WriteObstacle, boolean>>;

  readonly memtableBytes: number;
  /** With more in memtables, writes wait. */
  readonly memtableBytesMax: number;
  /** Entries of the log that are in memory, too. */
  readonly logCachedBytes: number;
  /** Most runs that a read may have to look at. */
  readonly runsMax: number;
  /** Trees whose merges are behind. */
  readonly treesBehind: number;
  readonly flushes: number;
  readonly merges: number;
  readonly flushBytesWritten: number;
  readonly mergeBytesWritten: number;
  readonly logBytesWritten: number;
  /** Blocks of tables that were not in the cache when they were read. */
  readonly blocksRead: number;
  readonly blockCacheBytes: number;
  /** Flushes, merges, checks and deletions; undefined where nobody counts them. */
  readonly jobsRunning?: number | undefined;
  readonly jobsWaiting?: number | undefined;

  /** When it was last looked at, which is twice a second. */
  readonly diskFreeBytes: number;
  /** Where no more is free, writes are refused. */
  readonly diskReservedBytes: number;
  readonly tableBytes: number;
  /** About what of these would be left after all merges. */
  readonly tableUsedBytes: number;
  /** What of these no shard has any more, kept for cursors, snapshots and backups under way. */
  readonly tablePinnedBytes: number;
  readonly tables: number;
  readonly logBytes: number;
  readonly logSegments: number;
  /** undefined where nothing is kept but the segment that is written. */
  readonly logKept?: LogKept | undefined;
  readonly manifestBytes: number;
  /** Files of tables that are to be deleted and still there. */
  readonly filesToDelete: number;
}
