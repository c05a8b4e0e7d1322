/**
 * What a replica has applied, apart from the data itself: the part of its state that a flush or a
 * snapshot carries along (FlushedState).
 */
import type { FlushedState } from "../lsm/entry.js";

export class AppliedState {
  /** The last entry of the Raft log that is contained. */
  index: number;
  /** Revision of the newest effects; 1 while there are none. */
  revision: number;
  /** Reads below it are refused. */
  compactedRevision: number;
  /** No event at or below it will appear any more. */
  closedRevision: number;
  /** Milliseconds; advanced by the stamps of entries only. */
  logicalClock: number;

  constructor(flushed: FlushedState) {
    this.index = flushed.index;
    this.revision = flushed.revision;
    this.compactedRevision = flushed.compactedRevision;
    this.closedRevision = flushed.closedRevision;
    this.logicalClock = flushed.logicalClock;
  }

  flushed(index: number, term: number, configuration: Uint8Array): FlushedState {
    const { revision, compactedRevision, closedRevision, logicalClock } = this;
    return {
      index,
      term,
      revision,
      compactedRevision,
      closedRevision,
      logicalClock,
      configuration,
    };
  }
}
