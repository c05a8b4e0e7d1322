/**
 * What the core has decided and its caller has not yet taken. It is taken as a whole: ready()
 * hands these lists out and puts a new outbox in their place.
 */
import type { Message } from "./message.js";
import type {
  ConfirmedRead,
  EntriesRequest,
  RaftEvent,
  SnapshotMark,
  SnapshotRequest,
} from "./types.js";

export class Outbox {
  readonly send: Message[] = [];
  readonly afterPersist: Message[] = [];
  readonly reads: ConfirmedRead[] = [];
  readonly readsFailed: number[] = [];
  readonly entriesToRead: EntriesRequest[] = [];
  readonly snapshotsToSend: SnapshotRequest[] = [];
  readonly events: RaftEvent[] = [];
  /** A received snapshot that is to replace the log. */
  snapshot: SnapshotMark | undefined = undefined;
  /** That snapshot replaces the state alone. */
  keepsLog = false;

  get isEmpty(): boolean {
    return (
      this.send.length === 0 &&
      this.afterPersist.length === 0 &&
      this.reads.length === 0 &&
      this.readsFailed.length === 0 &&
      this.entriesToRead.length === 0 &&
      this.snapshotsToSend.length === 0 &&
      this.events.length === 0 &&
      this.snapshot === undefined
    );
  }
}
