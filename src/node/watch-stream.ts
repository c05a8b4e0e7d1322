/**
 * One watch of a client on one shard: takes encoded events from the replica's watch hub and writes
 * them to the connection. A connection that does not keep up is never waited for: the hub then
 * reads its events from history once it is writable again.
 */
import type { WatchSink, Watcher } from "../mvcc/watcher.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { FRAME_FLAGS, MESSAGE_TYPES } from "../protocol/message-types.js";
import { encodeClosedPart, encodeEventsHead } from "../protocol/watch-codec.js";
import type { WatchCreate } from "../protocol/watch-codec.js";
import type { Replica } from "../shard/replica.js";
import type { FrameConnection } from "../rpc/frame-connection.js";

/** A connection with more than this waiting gets no more events for now. */
const BUFFERED_BYTES_MAX: number = 1024 * 1024;

const PART_FLAGS: number = FRAME_FLAGS.response | FRAME_FLAGS.more;

/** The session that a watch writes to. */
export interface WatchOwner {
  readonly connection: FrameConnection;
  /** Whether its client knows of revisions in parts. */
  readonly takesParts: boolean;
  /** Output has gathered. */
  touch(): void;
  failed(requestId: number, error: KvError): void;
  watchEnded(requestId: number): void;
}

/** The open streams of each replica, so that they hear when it stops serving. */
const streams: WeakMap<Replica, Set<WatchStream>> = new WeakMap();

/** Ends all watches on a replica that serves no more; clients go on elsewhere. */
export function failWatches(replica: Replica, error: KvError): void {
  for (const stream of streams.get(replica) ?? []) stream.abort(error);
}

export class WatchStream implements WatchSink {
  readonly #session: WatchOwner;
  readonly #requestId: number;
  readonly #replica: Replica;
  #watcher: Watcher | undefined;
  #closed = false;

  constructor(session: WatchOwner, requestId: number, replica: Replica) {
    this.#session = session;
    this.#requestId = requestId;
    this.#replica = replica;
  }

  start(create: WatchCreate): void {
    const watcher = this.#replica.machine.hub.watch(
      {
        start: create.key,
        end: create.rangeEnd,
        startRevision: create.startRevision,
        prevKv: create.prevKv,
        noPut: create.noPut,
        noDelete: create.noDelete,
        progress: create.progress,
      },
      this,
    );
    this.#watcher = watcher;
    const others = streams.get(this.#replica);
    if (others === undefined) streams.set(this.#replica, new Set([this]));
    else others.add(this);
    this.#replica.wake();
  }

  events(revision: number, count: number, events: Uint8Array, isLast: boolean): void {
    if (this.#closed) return;
    const { connection, takesParts } = this.#session;
    if (!isLast && !takesParts) return this.abort(needsParts(revision));
    const out = connection.begin(MESSAGE_TYPES.watch, PART_FLAGS, this.#requestId);
    encodeEventsHead(out, revision, count, isLast);
    out.raw(events);
    connection.end();
    this.#session.touch();
  }

  closed(revision: number): void {
    if (this.#closed) return;
    const { connection } = this.#session;
    encodeClosedPart(connection.begin(MESSAGE_TYPES.watch, PART_FLAGS, this.#requestId), revision);
    connection.end();
    this.#session.touch();
  }

  failed(error: KvError): void {
    if (this.#closed) return;
    this.#leave();
    this.#session.watchEnded(this.#requestId);
    this.#session.failed(this.#requestId, error);
  }

  writable(): boolean {
    const { connection } = this.#session;
    return connection.open && connection.hasRoom(BUFFERED_BYTES_MAX);
  }

  /** The connection has room again, after it had none when it was asked. */
  drained(): void {
    this.#replica.wake();
  }

  /** The client waits for the shard's closed revision to advance. */
  nudged(): void {
    this.#replica.wantClose();
    const watcher = this.#watcher;
    // Whoever asks is answered, also where nothing has changed: so it knows that the stream lives.
    if (watcher?.state === "live") this.closed(this.#replica.machine.closedRevision);
  }

  /** As failed, from outside of the hub. */
  abort(error: KvError): void {
    this.#watcher?.cancel();
    this.failed(error);
  }

  close(): void {
    this.#leave();
    this.#watcher?.cancel();
  }

  #leave(): void {
    this.#closed = true;
    streams.get(this.#replica)?.delete(this);
  }
}

/** Who does not know of parts would take the first for damage, and start again and again. */
function needsParts(revision: number): KvError {
  const text = `the events of revision ${revision} need several frames, which this client is too old`;
  return notApplied("unsupported", `${text} for; start the watch behind it, or use a newer client`);
}
