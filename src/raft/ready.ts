/**
 * The core's output: all that its caller is to do, in one value. README.md has the duties and
 * their order.
 */
import type { EntryRun } from "../base/entry-run.js";
import type { Message } from "./message.js";
import type {
  ConfirmedRead,
  EntriesRequest,
  Persist,
  RaftEvent,
  SnapshotRequest,
} from "./types.js";

/** Everything that is to be done, taken at once. A Ready is never handed back. */
export interface Ready {
  /** Send now: depends on nothing that is not durable. */
  readonly send: readonly Message[];
  readonly persist: Persist | undefined;
  /** Send once that persist and all before it are durable; those to self go back into step(). */
  readonly sendAfterPersist: readonly Message[];
  /** Newly committed entries in order, every kind of them. */
  readonly apply: readonly EntryRun[];
  readonly reads: readonly ConfirmedRead[];
  readonly readsFailed: readonly number[];
  readonly entriesToRead: readonly EntriesRequest[];
  readonly snapshotsToSend: readonly SnapshotRequest[];
  readonly events: readonly RaftEvent[];
}
