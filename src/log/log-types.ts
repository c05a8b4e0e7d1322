/** What the shared log takes, reports and gives back after a start. */
import type { EntryRun } from "../base/entry-run.js";
import type { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";

export type LogEnv = Pick<Env, "clock" | "disk" | "timers" | "tracer">;

/** What a Raft replica must not forget: (term, vote) is one atomic record. */
export interface LogHardState {
  readonly term: number;
  readonly vote: number;
  readonly commitIndex: number;
}

export type LogHealth =
  | { readonly kind: "intact" }
  | {
      readonly kind: "corrupt";
      /** Its last saved hard state may be newer than the one recovered: no vote, no campaign. */
      readonly hardStateLost: boolean;
      /** Entries of terms up to `lastTerm` may have followed: the log's length is unknown. */
      readonly tailUnknown: boolean;
      /** First entry whose bytes are lost; undefined where none is known to be. */
      readonly firstLostIndex: number | undefined;
      /** Where the log ended, lost entries included: the replica votes with this. */
      readonly lastIndex: number;
      readonly lastTerm: number;
    };

/** One shard's log as it was found on disk. */
export interface RecoveredShard {
  readonly replicaId: number;
  readonly hardState: LogHardState | undefined;
  /** The entries start after this point: the last trim or reset that is durable. */
  readonly baseIndex: number;
  readonly baseTerm: number;
  /** Contiguous from baseIndex + 1 to the end, or to the first lost entry. */
  readonly runs: readonly EntryRun[];
  /** What follows the last lost entry, to the end: of use where a tree covers the loss. */
  readonly runsAfterLoss: readonly EntryRun[];
  readonly health: LogHealth;
}

export interface SharedLogOptions {
  /**
   * Counts the starts of the owner, who raises it durably before each: with it, an orderly close
   * tells the next start what it need not read. At least 1.
   */
  readonly run?: number | undefined;
  /** There was a log before: where no segment is found, all of it is lost. */
  readonly isBegun?: boolean | undefined;
  /** Size of a segment that is prepared ahead. */
  readonly segmentSizeBytes?: number | undefined;
  /** Size of the segment that each start creates when none was prepared. */
  readonly firstSegmentSizeBytes?: number | undefined;
  /**
   * On a full disk, what `hasRoom` leaves of the last segment for hard states and for starts, which
   * write the last batch again: at least the largest batch and something over.
   */
  readonly reservedBytes?: number | undefined;
  /** Largest single write. */
  readonly batchSizeBytesMax?: number | undefined;
  /** Where more waits, it goes out in writes of about this size; without it, of the largest. */
  readonly batchSizeBytesAimed?: number | undefined;
  /** After this long without a write, a marker promises that the last batch was durable. */
  readonly idleMarkerMs?: number | undefined;
  /** How soon to try again to prepare a segment on a full disk. */
  readonly fullRetryMs?: number | undefined;
  /**
   * A write or sync failed: nothing more becomes durable, no `done` is called any more, and the
   * owner must stop the node. Called once.
   */
  readonly onFailure?: ((error: DiskError) => void) | undefined;
}

/** The shard that keeps the oldest segment; trimming it to `index` lets go of that segment. */
export interface LogPin {
  readonly shardId: number;
  readonly index: number;
}

export interface LogStats {
  readonly segments: number;
  /** Size of all segment files. */
  readonly sizeBytes: number;
  readonly writtenBytes: number;
  readonly syncs: number;
  readonly commits: number;
  /** Bucket i counts the writes that took [2^i, 2^(i+1)) microseconds, synced. */
  readonly syncMicros: readonly number[];
  /** All these together. */
  readonly syncTotalMs: number;
  readonly pinnedBy: LogPin | undefined;
  readonly full: boolean;
}

export interface OpenedLog<Log> {
  readonly log: Log;
  readonly recovered: ReadonlyMap<number, RecoveredShard>;
  /**
   * Batches were lost, now or before an earlier start, of which not even the header is left: a
   * shard that is missing from `recovered` may have been in them. So it stays at every start, until
   * the owner finds no shard missing.
   */
  readonly shardsMayBeMissing: boolean;
  /** How many batches had a flipped bit that was flipped back. */
  readonly mendedBatches: number;
}
