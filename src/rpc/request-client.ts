/**
 * Requests over one connection, answered in any order. A request is a frame written in place and a
 * sink that gets the answer: no closure, timer or promise of its own here. Streams are requests
 * with more than one answer. It never retries. When the connection goes, every open request fails:
 * with outcome notApplied where its frame had not left the process, otherwise unknown. An answer
 * that cannot be read fails its request and closes the connection.
 */
import { ByteReader, DecodeError } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import { decodeError } from "../protocol/error-codec.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { FRAME_FLAGS } from "../protocol/message-types.js";
import { NO_DEADLINE } from "./deadline-wheel.js";
import type { DeadlineEntry, DeadlineWheel } from "./deadline-wheel.js";
import type { FrameConnection, FrameHandler } from "./frame-connection.js";

/** Who gets the answer to a request. `failed` and the last `answered` end it; nothing follows. */
export interface ResponseSink {
  /**
   * One answer. The reader stands at the body and is reused after the call; its bytes may be kept.
   * `last` is false while further parts of a stream follow.
   */
  answered(reader: ByteReader, last: boolean): void;
  failed(error: KvError): void;
}

const REQUEST_ID_MAX = 0xffff_ffff;
/** Longer than the other side is silent when it has much to do. */
const SILENT_MS = 500;

export class RequestClient implements FrameHandler {
  readonly connection: FrameConnection;
  readonly #wheel: DeadlineWheel;
  readonly #pending: Map<number, PendingRequest> = new Map();
  readonly #reader: ByteReader = new ByteReader();
  readonly #onClosed: (error: Error | undefined) => void;
  #nextId = 1;
  #begunId = 0;
  /** When the first request was sent of which nothing was heard since; 0 where there is none. */
  #askedMs = 0;

  /** The connection must deliver its frames here, which `established` of a dial arranges. */
  constructor(
    connection: FrameConnection,
    wheel: DeadlineWheel,
    onClosed: (error: Error | undefined) => void,
  ) {
    this.connection = connection;
    this.#wheel = wheel;
    this.#onClosed = onClosed;
  }

  get open(): boolean {
    return this.connection.open;
  }

  /** Whether the other side was asked something and has said nothing at all for long. */
  isSilent(nowMs: number): boolean {
    return this.#askedMs !== 0 && nowMs - this.#askedMs > SILENT_MS;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Starts a request; the body is appended to the writer, then comes `send` or `abandon`. */
  begin(type: number): ByteWriter {
    this.#begunId = this.#takeId();
    return this.connection.begin(type, 0, this.#begunId);
  }

  abandon(): void {
    this.connection.abandon();
  }

  /** Sends the request begun. `timeoutMs` 0: no deadline. Returns its id. */
  send(sink: ResponseSink, timeoutMs: number): number {
    const id = this.#begunId;
    const connection = this.connection;
    if (!connection.open) {
      connection.abandon();
      sink.failed(notApplied("unavailable", `no connection to ${connection.remoteAddress}`));
      return id;
    }
    connection.end();
    if (this.#askedMs === 0) this.#askedMs = this.#wheel.nowMs();
    const pending = new PendingRequest(this, id, sink, connection.queuedBytes);
    this.#pending.set(id, pending);
    if (timeoutMs > 0) this.#wheel.add(pending, timeoutMs);
    return id;
  }

  /** Starts a further frame of an open stream; then comes `endFurther`. */
  beginFurther(type: number, flags: number, id: number): ByteWriter {
    return this.connection.begin(type, flags, id);
  }

  endFurther(): void {
    this.connection.end();
  }

  /** Whether the request is still without its last answer. */
  isPending(id: number): boolean {
    return this.#pending.has(id);
  }

  /** Forgets a request: its sink hears nothing more. Tells the server where it is a stream. */
  cancel(type: number, id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#settle(pending);
    if (!this.connection.open) return;
    this.connection.begin(type, FRAME_FLAGS.end, id);
    this.connection.end();
  }

  /** One request and its one answer as a promise: for what is not hot. */
  request<T>(
    type: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
    timeoutMs: number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      encode(this.begin(type));
      this.send(
        {
          answered: (reader) => {
            try {
              resolve(decode(reader));
            } catch (error) {
              reject(KvError.from(error));
            }
          },
          failed: reject,
        },
        timeoutMs,
      );
    });
  }

  frame(
    _type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    this.#askedMs = 0;
    // A late answer to a request that timed out or was cancelled finds nobody.
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#reader.open(bytes, offset, end);
    try {
      this.#deliver(pending, flags);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#settle(pending);
      pending.sink.failed(new KvError("malformed", error.message, "unknown"));
      throw error;
    }
  }

  drain(): void {}

  closed(error: Error | undefined): void {
    const open = [...this.#pending.values()];
    const reason = error === undefined ? "closed by the other side" : error.message;
    const message = `connection to ${this.connection.remoteAddress} lost: ${reason}`;
    for (const pending of open) {
      this.#settle(pending);
      const outcome = this.#hasLeft(pending) ? "unknown" : "notApplied";
      pending.sink.failed(new KvError("unavailable", message, outcome));
    }
    this.#onClosed(error);
  }

  /** Called by the wheel, through the request. */
  timedOut(pending: PendingRequest): void {
    this.#pending.delete(pending.id);
    const outcome = this.#hasLeft(pending) ? "unknown" : "notApplied";
    const message = `no answer from ${this.connection.remoteAddress} in time`;
    pending.sink.failed(new KvError("timeout", message, outcome));
  }

  #deliver(pending: PendingRequest, flags: number): void {
    const failed = (flags & FRAME_FLAGS.error) !== 0;
    const last = failed || (flags & FRAME_FLAGS.more) === 0;
    if (last) this.#settle(pending);
    if (failed) pending.sink.failed(decodeError(this.#reader));
    else pending.sink.answered(this.#reader, last);
  }

  #hasLeft(pending: PendingRequest): boolean {
    return pending.endByte <= this.connection.handedBytes || this.connection.open;
  }

  #settle(pending: PendingRequest): void {
    this.#pending.delete(pending.id);
    this.#wheel.remove(pending);
  }

  /** Ids go round; one that is still open is passed over. */
  #takeId(): number {
    let id = this.#nextId;
    while (this.#pending.has(id)) id = id === REQUEST_ID_MAX ? 1 : id + 1;
    this.#nextId = id === REQUEST_ID_MAX ? 1 : id + 1;
    return id;
  }
}

/** One open request: its sink, and its place in the wheel. */
class PendingRequest implements DeadlineEntry {
  readonly client: RequestClient;
  readonly id: number;
  readonly sink: ResponseSink;
  /** Where its frame ends in the connection's output. */
  readonly endByte: number;
  deadlineTick: number = NO_DEADLINE;
  previousDeadline: DeadlineEntry | undefined = undefined;
  nextDeadline: DeadlineEntry | undefined = undefined;

  constructor(client: RequestClient, id: number, sink: ResponseSink, endByte: number) {
    this.client = client;
    this.id = id;
    this.sink = sink;
    this.endByte = endByte;
  }

  expired(): void {
    this.client.timedOut(this);
  }
}
