/**
 * One request and its answer, as bytes. What is written leaves at once while the windows of the
 * stream and of the connection allow it, and else waits here, in order. Who serves it is told of
 * what comes in, of room, and once of the end.
 */
import { FLAG, FRAME, REASON } from "./format.js";
import type { Reason } from "./format.js";

/** Who serves a stream. */
export interface StreamHandler {
  /** Some of the body; the bytes may be kept. */
  data(bytes: Uint8Array): void;
  /** The client has said all. */
  ended(): void;
  /** There is room again after `isFull`. */
  drained(): void;
  /** Nothing follows, and nothing can be written any more; called once, whatever the reason. */
  closed(): void;
}

/** The connection, as its streams see it. */
export interface StreamOwner {
  /** How much of `wanted` bytes may be sent on the connection now. */
  allowance(wanted: number): number;
  /** Some of the answer's body, as one frame. */
  data(stream: number, payload: Uint8Array): void;
  headers(flags: number, stream: number, block: Uint8Array): void;
  number(type: number, stream: number, value: number): void;
  /** The stream has something to send and may not now. */
  blocked(stream: Http2Stream): void;
  /** Bytes that this stream's queue has more, or less. */
  queued(bytes: number): void;
  /** Bytes of a body that are held, or not any more. */
  held(bytes: number): void;
  forget(stream: Http2Stream): void;
  /** Streams more, or less, that are over and whose request is still being served. */
  orphaned(count: 1 | -1): void;
  isWritable(): boolean;
}

/** The queue of the many who never wait; nothing is ever put into it. */
const NOTHING: Uint8Array[] = [];
/** More than this waiting asks writers who can wait to wait. */
const QUEUE_BYTES_FULL: number = 64 * 1024;

export class Http2Stream {
  readonly id: number;
  handler: StreamHandler | undefined;
  sendWindow: number;
  /** A place in the connection's line of those who wait. */
  isBlocked = false;
  readonly #owner: StreamOwner;
  readonly #windowBytes: number;
  #receiveWindow: number;
  /** Bytes of the body that came since the client was last given room. */
  #uncredited = 0;
  #heldBytes = 0;
  #isPaused = false;
  #isRemoteEnded = false;
  #isLocalEnded = false;
  #isClosed = false;
  #isServed = false;
  #wasFull = false;
  #queue: Uint8Array[] = NOTHING;
  #queueAt = 0;
  #queuedBytes = 0;
  #trailers: Uint8Array | undefined;

  constructor(owner: StreamOwner, id: number, sendWindow: number, receiveWindow: number) {
    this.#owner = owner;
    this.id = id;
    this.sendWindow = sendWindow;
    this.#windowBytes = receiveWindow;
    this.#receiveWindow = receiveWindow;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing more can be written. */
  get isEnded(): boolean {
    return this.#isClosed || this.#isLocalEnded || this.#trailers !== undefined;
  }

  /** The client has said all. */
  get isRemoteEnded(): boolean {
    return this.#isRemoteEnded;
  }

  /** Who can wait with writing should, until `drained`. */
  get isFull(): boolean {
    const isFull = this.#queuedBytes > QUEUE_BYTES_FULL || !this.#owner.isWritable();
    this.#wasFull ||= isFull;
    return isFull;
  }

  /** The request is being served, and goes on being served where the client gives it up. */
  beginServing(): void {
    this.#isServed = true;
  }

  endServing(): void {
    if (this.#isServed && this.#isClosed) this.#owner.orphaned(-1);
    this.#isServed = false;
  }

  /** The answer's headers, first and once. */
  respond(block: Uint8Array): void {
    if (!this.isEnded) this.#owner.headers(0, this.id, block);
  }

  /** The bytes must not change afterwards. */
  write(bytes: Uint8Array): void {
    if (this.isEnded) return;
    let from = 0;
    if (this.#queue.length === 0) {
      from = this.#send(bytes, 0);
      if (from === bytes.length) return;
    }
    if (this.#queue === NOTHING) this.#queue = [];
    this.#queue.push(from === 0 ? bytes : bytes.subarray(from));
    this.#addQueued(bytes.length - from);
    this.#owner.blocked(this);
  }

  /** Ends the answer, behind all that was written, with these headers. */
  end(trailers: Uint8Array): void {
    if (this.isEnded) return;
    this.#trailers = trailers;
    if (this.#queue.length === 0) this.#sendTrailers();
  }

  /** Answers by headers alone. */
  refuse(block: Uint8Array): void {
    if (this.isEnded) return;
    this.#isLocalEnded = true;
    this.#owner.headers(FLAG.endStream, this.id, block);
    this.#dismiss();
  }

  reset(reason: Reason): void {
    if (this.#isClosed) return;
    this.#owner.number(FRAME.resetStream, this.id, reason);
    this.close();
  }

  /** The client gets no more room than it has, until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#owner.held(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#credit();
  }

  /** From the connection: some of the body; false where it exceeds the window. */
  receive(bytes: Uint8Array, windowBytes: number): boolean {
    if (windowBytes > this.#receiveWindow) return false;
    this.#receiveWindow -= windowBytes;
    this.#uncredited += windowBytes;
    this.#heldBytes += bytes.length;
    this.#owner.held(bytes.length);
    if (bytes.length > 0) this.handler?.data(bytes);
    this.#credit();
    return true;
  }

  /** From the connection: the client has said all. */
  receiveEnd(): void {
    this.#isRemoteEnded = true;
    this.handler?.ended();
  }

  /** From the connection: sends one frame of what waits; true where more could follow. */
  sendSome(): boolean {
    const first = this.#queue[this.#queueAt];
    if (this.#isClosed || first === undefined) return false;
    const sent = this.#send(first, 0, 1);
    this.#addQueued(-sent);
    if (sent < first.length) this.#queue[this.#queueAt] = first.subarray(sent);
    else if (++this.#queueAt === this.#queue.length) this.#emptied();
    if (this.#wasFull && this.#queuedBytes === 0) this.hasRoom();
    return sent > 0 && this.#queue.length > 0;
  }

  /** From the connection: its socket takes bytes again. */
  hasRoom(): void {
    if (!this.#wasFull || this.#queuedBytes > QUEUE_BYTES_FULL) return;
    this.#wasFull = false;
    this.handler?.drained();
  }

  get hasQueue(): boolean {
    return this.#queue.length > 0;
  }

  /** It is over: also from the connection, where the client has reset it or is gone. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.held(-this.#heldBytes);
    this.#owner.queued(-this.#queuedBytes);
    this.#queue = NOTHING;
    if (this.#isServed) this.#owner.orphaned(1);
    this.#owner.forget(this);
    const { handler } = this;
    this.handler = undefined;
    handler?.closed();
  }

  /** Sends from `from` on what the windows allow; returns up to where. */
  #send(bytes: Uint8Array, from: number, framesMax: number = Number.POSITIVE_INFINITY): number {
    let at = from;
    for (let frames = 0; at < bytes.length && frames < framesMax; frames++) {
      const allowed = this.#owner.allowance(Math.min(bytes.length - at, this.sendWindow));
      if (allowed <= 0) break;
      this.sendWindow -= allowed;
      const isAll = allowed === bytes.length;
      this.#owner.data(this.id, isAll ? bytes : bytes.subarray(at, at + allowed));
      at += allowed;
    }
    return at;
  }

  #emptied(): void {
    this.#queue = NOTHING;
    this.#queueAt = 0;
    if (this.#trailers !== undefined) this.#sendTrailers();
  }

  #sendTrailers(): void {
    this.#isLocalEnded = true;
    this.#owner.headers(FLAG.endStream, this.id, this.#trailers!);
    this.#dismiss();
  }

  /** After the answer's end the client may stop sending. */
  #dismiss(): void {
    if (!this.#isRemoteEnded) this.#owner.number(FRAME.resetStream, this.id, REASON.none);
    this.close();
  }

  #addQueued(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#owner.queued(bytes);
  }

  #credit(): void {
    if (this.#isPaused || this.#isRemoteEnded || this.#isClosed) return;
    if (this.#uncredited < this.#windowBytes / 2) return;
    this.#owner.number(FRAME.windowUpdate, this.id, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }
}
