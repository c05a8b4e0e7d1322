/**
 * The server's side of one HTTP/2 connection (RFC 9113): frames in, frames out, windows, settings,
 * streams. It knows nothing of what streams carry, and of HTTP only what makes a header block a
 * request. Priorities are ignored, nothing is pushed.
 *
 * Whatever comes in, the worst it leads to is a stream that is reset or a connection that is closed
 * with the reason. What one connection can hold is bounded: streams, bytes of requests, bytes that
 * wait to be read, and frames that get nobody any further.
 */
import { EMPTY_BYTES, concatBytes, utf8 } from "../../base/bytes.js";
import { DecodeError, readU16BE, readU32BE } from "../../base/coding.js";
import type { Socket } from "../../env/network.js";
import type { Timer, Timers } from "../../env/timers.js";
import {
  ConnectionFault,
  FLAG,
  FRAME,
  FRAME_BYTES_MAX,
  FRAME_BYTES_MIN,
  REASON,
  SETTING,
  WINDOW_BYTES_MAX,
  WINDOW_DEFAULT_BYTES,
} from "./format.js";
import type { Reason } from "./format.js";
import { FrameOutput } from "./frame-output.js";
import { FrameSplitter } from "./frame-splitter.js";
import type { Frame } from "./frame-splitter.js";
import { HpackDecoder, NO_TABLE, headerBlock } from "./hpack.js";
import { HEADER_LIST_BYTES_MAX, RequestHead } from "./request-head.js";
import { Http2Stream } from "./stream.js";
import type { StreamHandler, StreamOwner } from "./stream.js";

export interface Http2Host {
  readonly timers: Timers;
  /** A request has begun. `head` holds only during the call. */
  open(stream: Http2Stream, head: RequestHead): StreamHandler;
  closed(connection: Http2Connection): void;
}

/** Streams at once, those included that the client has given up and that are still being served. */
const STREAMS_MAX = 16_384;
const STREAM_WINDOW_BYTES: number = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: number = 16 * 1024 * 1024;
const HEADER_BLOCK_BYTES_MAX: number = 64 * 1024;
const CONTINUATIONS_MAX = 32;
/** Requests that are being received or served, and answers that nobody reads. */
const HELD_BYTES_MAX: number = 256 * 1024 * 1024;
const WAITING_BYTES_MAX: number = 256 * 1024 * 1024;
/** While more than this waits in the socket nothing of the streams' queues is added. */
const SOCKET_BYTES_FULL: number = 1024 * 1024;
/** Frames within a while that open nothing and carry nothing. */
const IDLE_FRAMES_MAX = 10_000;
const IDLE_FRAMES_MS = 1000;
/** A client that is told to go and does not is cut off. */
const LINGER_MS = 1000;
const PRIORITY_BYTES = 5;
const TOO_LARGE: Uint8Array = headerBlock([[":status", "431"]]);

/** A header block that is not complete. */
interface OpenBlock {
  readonly stream: number;
  readonly endsStream: boolean;
  bytes: Uint8Array;
  frames: number;
}

export class Http2Connection implements StreamOwner {
  readonly #host: Http2Host;
  readonly #socket: Socket;
  readonly #in = new FrameSplitter();
  readonly #out: FrameOutput;
  readonly #decoder = new HpackDecoder();
  readonly #head = new RequestHead();
  readonly #streams: Map<number, Http2Stream> = new Map();
  /** Streams that wait for a window or for the socket, the next one first. */
  #blocked: Http2Stream[] = [];
  #block: OpenBlock | undefined;
  #lastStream = 0;
  /** Streams that are over and are still being served. */
  #orphans = 0;
  #sendWindow = WINDOW_DEFAULT_BYTES;
  #streamSendWindow = WINDOW_DEFAULT_BYTES;
  #receiveWindow = CONNECTION_WINDOW_BYTES;
  #queuedBytes = 0;
  #heldBytes = 0;
  #idleFrames = 0;
  #idleTimer: Timer | undefined;
  #lingerTimer: Timer | undefined;
  #hasSettings = false;
  #hasSentHeaders = false;
  #isLeaving = false;
  #isOver = false;

  /** Must be made in the turn in which the socket was handed over. */
  constructor(host: Http2Host, socket: Socket) {
    this.#host = host;
    this.#socket = socket;
    this.#out = new FrameOutput(socket, host.timers);
    this.#out.settings([
      [SETTING.streamsMax, STREAMS_MAX],
      [SETTING.window, STREAM_WINDOW_BYTES],
      [SETTING.headerListSize, HEADER_LIST_BYTES_MAX],
    ]);
    this.#out.number(FRAME.windowUpdate, 0, CONNECTION_WINDOW_BYTES - WINDOW_DEFAULT_BYTES);
    socket.handle({
      data: (chunk) => this.#receive(chunk),
      drain: () => this.#drained(),
      close: () => this.#closed(),
    });
  }

  /** Takes no new streams; closes when the open ones are done. */
  leave(): void {
    if (this.#isLeaving || this.#isOver) return;
    this.#isLeaving = true;
    this.#out.goAway(this.#lastStream, REASON.none, utf8(""));
    this.#leaveIfDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  orphaned(count: 1 | -1): void {
    this.#orphans += count;
  }

  allowance(wanted: number): number {
    if (this.#socket.bufferedBytes() > SOCKET_BYTES_FULL) return 0;
    // Larger frames, which a client may allow, would only let one stream hold up the others.
    const allowed = Math.min(wanted, this.#sendWindow, FRAME_BYTES_MIN);
    if (allowed > 0) this.#sendWindow -= allowed;
    return allowed;
  }

  data(stream: number, payload: Uint8Array): void {
    if (this.#isOver) return;
    this.#idleFrames = 0;
    this.#out.frame(FRAME.data, 0, stream, payload);
  }

  headers(flags: number, stream: number, block: Uint8Array): void {
    if (this.#isOver) return;
    this.#out.headers(flags, stream, block, this.#hasSentHeaders ? -1 : NO_TABLE);
    this.#hasSentHeaders = true;
  }

  number(type: number, stream: number, value: number): void {
    if (!this.#isOver) this.#out.number(type, stream, value);
  }

  blocked(stream: Http2Stream): void {
    if (stream.isBlocked) return;
    stream.isBlocked = true;
    this.#blocked.push(stream);
  }

  queued(bytes: number): void {
    this.#queuedBytes += bytes;
    if (bytes > 0) this.#checkWaiting();
  }

  held(bytes: number): void {
    this.#heldBytes += bytes;
  }

  isWritable(): boolean {
    return this.#out.isWritable;
  }

  forget(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#leaveIfDone();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isOver) return;
    try {
      this.#in.push(chunk);
      while (!this.#isOver && this.#in.next()) this.#take(this.#in);
      this.#checkWaiting();
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error;
      this.#fail(error.reason, error.message);
    }
  }

  #take(frame: Frame): void {
    const { type, flags, stream } = frame;
    if (!this.#hasSettings && (type !== FRAME.settings || (flags & FLAG.ack) !== 0)) {
      throw new ConnectionFault(REASON.protocol, "the first frame is no settings");
    }
    if (this.#block !== undefined && type !== FRAME.continuation) {
      throw new ConnectionFault(REASON.protocol, "a header block is interrupted");
    }
    switch (type) {
      case FRAME.data:
        return this.#onData(frame);
      case FRAME.headers:
        return this.#onHeaders(frame);
      case FRAME.continuation:
        return this.#onContinuation(frame);
      case FRAME.resetStream:
        return this.#onReset(frame);
      case FRAME.settings:
        return this.#onSettings(frame);
      case FRAME.ping:
        return this.#onPing(frame);
      case FRAME.windowUpdate:
        return this.#onWindowUpdate(frame);
      case FRAME.priority:
        return this.#onPriority(frame);
      case FRAME.pushPromise:
        throw new ConnectionFault(REASON.protocol, "a client pushes");
      case FRAME.goAway:
        if (stream !== 0) throw onWrongStream();
        return this.#idleFrame();
      default:
        return this.#idleFrame();
    }
  }

  #onData({ flags, stream: id, bytes, offset, end }: Frame): void {
    const stream = this.#known(id);
    const windowBytes = end - offset;
    this.#useWindow(windowBytes);
    const from = (flags & FLAG.padded) === 0 ? offset : offset + 1;
    const to = end - paddingOf(flags, bytes, offset, end);
    if (to < from) throw new ConnectionFault(REASON.protocol, "a frame is all padding");
    const isLast = (flags & FLAG.endStream) !== 0;
    if (to === from && !isLast) this.#idleFrame();
    else this.#idleFrames = 0;
    // What is still under way to a stream that is over meets nobody.
    if (stream === undefined) return;
    if (stream.isRemoteEnded) return stream.reset(REASON.streamClosed);
    if (!stream.receive(bytes.subarray(from, to), windowBytes)) {
      return stream.reset(REASON.flowControl);
    }
    if (isLast && !stream.isClosed) stream.receiveEnd();
    if (this.#heldBytes > HELD_BYTES_MAX) {
      throw new ConnectionFault(REASON.tooMuch, "too many bytes of requests are under way");
    }
  }

  #useWindow(bytes: number): void {
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) {
      throw new ConnectionFault(REASON.flowControl, "more than the window allows");
    }
    if (this.#receiveWindow >= CONNECTION_WINDOW_BYTES / 2) return;
    this.#out.number(FRAME.windowUpdate, 0, CONNECTION_WINDOW_BYTES - this.#receiveWindow);
    this.#receiveWindow = CONNECTION_WINDOW_BYTES;
  }

  #onHeaders({ flags, stream: id, bytes, offset, end }: Frame): void {
    if (id % 2 === 0) throw onWrongStream();
    let from = (flags & FLAG.padded) === 0 ? offset : offset + 1;
    if ((flags & FLAG.priority) !== 0) from += PRIORITY_BYTES;
    const to = end - paddingOf(flags, bytes, offset, end);
    if (to < from) throw new ConnectionFault(REASON.protocol, "a frame is all padding");
    const endsStream = (flags & FLAG.endStream) !== 0;
    const block = bytes.subarray(from, to);
    if ((flags & FLAG.endHeaders) !== 0) this.#onBlock(id, endsStream, block);
    else this.#block = { stream: id, endsStream, bytes: block, frames: 0 };
  }

  #onContinuation({ flags, stream: id, bytes, offset, end }: Frame): void {
    const block = this.#block;
    if (block === undefined || block.stream !== id) {
      throw new ConnectionFault(REASON.protocol, "a continuation of nothing");
    }
    block.bytes = concatBytes(block.bytes, bytes.subarray(offset, end));
    block.frames++;
    if (block.bytes.length > HEADER_BLOCK_BYTES_MAX || block.frames > CONTINUATIONS_MAX) {
      throw new ConnectionFault(REASON.tooMuch, "a header block is too large");
    }
    if ((flags & FLAG.endHeaders) === 0) return;
    this.#block = undefined;
    this.#onBlock(id, block.endsStream, block.bytes);
  }

  /** A complete header block: it is read whatever becomes of it, for the table depends on it. */
  #onBlock(id: number, endsStream: boolean, block: Uint8Array): void {
    const isNew = id > this.#lastStream;
    const head = this.#head;
    head.begin();
    try {
      this.#decoder.decode(block, 0, block.length, isNew ? head.take : head.takeTrailer);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new ConnectionFault(REASON.compression, error.message);
    }
    if (!isNew) return this.#onTrailers(id, endsStream);
    this.#lastStream = this.#isLeaving ? this.#lastStream : id;
    // Who is told to go away tries again elsewhere what came behind that.
    if (this.#isLeaving) return;
    if (head.isTooLarge) return this.#refuseLarge(id);
    if (head.isMalformed) return this.#out.number(FRAME.resetStream, id, REASON.protocol);
    if (this.#streams.size + this.#orphans >= STREAMS_MAX) {
      return this.#out.number(FRAME.resetStream, id, REASON.refusedStream);
    }
    this.#openStream(id, endsStream);
  }

  #openStream(id: number, endsStream: boolean): void {
    this.#idleFrames = 0;
    const stream = new Http2Stream(this, id, this.#streamSendWindow, STREAM_WINDOW_BYTES);
    this.#streams.set(id, stream);
    const handler = this.#host.open(stream, this.#head);
    // It may be refused, and over, already.
    if (stream.isClosed) return handler.closed();
    stream.handler = handler;
    if (endsStream) stream.receiveEnd();
  }

  #onTrailers(id: number, endsStream: boolean): void {
    this.#idleFrame();
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (stream.isRemoteEnded) return stream.reset(REASON.streamClosed);
    if (!endsStream || this.#head.isTrailerMalformed) return stream.reset(REASON.protocol);
    stream.receiveEnd();
  }

  #refuseLarge(id: number): void {
    this.headers(FLAG.endStream, id, TOO_LARGE);
    this.#out.number(FRAME.resetStream, id, REASON.none);
  }

  #onReset({ stream: id, offset, end }: Frame): void {
    if (end - offset !== 4) throw onWrongSize();
    const stream = this.#known(id);
    this.#idleFrame();
    stream?.close();
  }

  #onSettings({ flags, stream, bytes, offset, end }: Frame): void {
    if (stream !== 0) throw onWrongStream();
    const isAck = (flags & FLAG.ack) !== 0;
    if ((end - offset) % 6 !== 0 || (isAck && end > offset)) throw onWrongSize();
    this.#idleFrame();
    if (isAck) return;
    this.#hasSettings = true;
    for (let at = offset; at < end; at += 6) {
      this.#set(readU16BE(bytes, at), readU32BE(bytes, at + 2));
    }
    this.#out.frame(FRAME.settings, FLAG.ack, 0, EMPTY_BYTES);
    this.#sendBlocked();
  }

  #set(setting: number, value: number): void {
    if (setting === SETTING.enablePush && value > 1) {
      throw new ConnectionFault(REASON.protocol, "pushing is neither on nor off");
    }
    if (setting === SETTING.frameSize && (value < FRAME_BYTES_MIN || value > FRAME_BYTES_MAX)) {
      throw new ConnectionFault(REASON.protocol, "no size of a frame");
    }
    if (setting !== SETTING.window) return;
    if (value > WINDOW_BYTES_MAX) throw onWindow();
    const change = value - this.#streamSendWindow;
    this.#streamSendWindow = value;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > WINDOW_BYTES_MAX) throw onWindow();
      if (stream.hasQueue) this.blocked(stream);
    }
  }

  #onPing({ flags, stream, bytes, offset, end }: Frame): void {
    if (stream !== 0) throw onWrongStream();
    if (end - offset !== 8) throw onWrongSize();
    this.#idleFrame();
    if ((flags & FLAG.ack) !== 0) return;
    this.#out.frame(FRAME.ping, FLAG.ack, 0, bytes.subarray(offset, end));
  }

  #onPriority({ stream: id, offset, end }: Frame): void {
    if (id === 0) throw onWrongStream();
    if (end - offset !== PRIORITY_BYTES) this.#streams.get(id)?.reset(REASON.frameSize);
    this.#idleFrame();
  }

  #onWindowUpdate({ stream: id, bytes, offset, end }: Frame): void {
    if (end - offset !== 4) throw onWrongSize();
    const more = readU32BE(bytes, offset) & WINDOW_BYTES_MAX;
    this.#idleFrame();
    if (id === 0) {
      if (more === 0) throw new ConnectionFault(REASON.protocol, "a window grows by nothing");
      this.#sendWindow += more;
      if (this.#sendWindow > WINDOW_BYTES_MAX) throw onWindow();
      return this.#sendBlocked();
    }
    const stream = this.#known(id);
    if (stream === undefined) return;
    if (more === 0) return stream.reset(REASON.protocol);
    stream.sendWindow += more;
    if (stream.sendWindow > WINDOW_BYTES_MAX) return stream.reset(REASON.flowControl);
    if (!stream.hasQueue) return;
    this.blocked(stream);
    this.#sendBlocked();
  }

  /** The stream, undefined where it is over; one that never began is a fault. */
  #known(id: number): Http2Stream | undefined {
    if (id === 0) throw onWrongStream();
    const stream = this.#streams.get(id);
    if (stream !== undefined) return stream;
    // While this leaves, streams begin of which it takes no notice.
    if (id % 2 === 0 || (id > this.#lastStream && !this.#isLeaving)) throw onWrongStream();
    return undefined;
  }

  /** A frame each, by turns, as far as windows and the socket allow. */
  #sendBlocked(): void {
    let line = this.#blocked;
    this.#blocked = [];
    for (const stream of line) stream.isBlocked = false;
    while (line.length > 0) {
      const next: Http2Stream[] = [];
      for (const stream of line) {
        if (stream.sendSome()) next.push(stream);
        // Its own window is open: it is the connection that holds it up.
        else if (stream.hasQueue && stream.sendWindow > 0) this.blocked(stream);
      }
      line = next;
    }
  }

  #drained(): void {
    this.#out.isWritable = true;
    this.#sendBlocked();
    for (const stream of this.#streams.values()) stream.hasRoom();
  }

  /** Frames that get nobody any further must not come without end. */
  #idleFrame(): void {
    this.#idleFrames++;
    if (this.#idleFrames > IDLE_FRAMES_MAX) {
      throw new ConnectionFault(REASON.tooMuch, "too many frames to no end");
    }
    this.#idleTimer ??= this.#host.timers.after(IDLE_FRAMES_MS, () => {
      this.#idleTimer = undefined;
      this.#idleFrames = 0;
    });
  }

  /** Who asks and does not read is let go before the answers fill the memory. */
  #checkWaiting(): void {
    if (this.#queuedBytes + this.#out.waitingBytes > WAITING_BYTES_MAX) this.#socket.destroy();
  }

  #fail(reason: Reason, message: string): void {
    if (this.#isOver) return;
    this.#out.goAway(this.#lastStream, reason, utf8(message));
    this.#finish();
  }

  #leaveIfDone(): void {
    if (this.#isLeaving && !this.#isOver && this.#streams.size === 0) this.#finish();
  }

  /** Sends what is to be sent and closes; the client gets some time to read it. */
  #finish(): void {
    this.#isOver = true;
    this.#out.flush();
    this.#socket.end();
    this.#lingerTimer = this.#host.timers.after(LINGER_MS, () => this.#socket.destroy());
    this.#closeStreams();
  }

  #closed(): void {
    this.#isOver = true;
    this.#idleTimer?.cancel();
    this.#lingerTimer?.cancel();
    this.#closeStreams();
    this.#host.closed(this);
  }

  #closeStreams(): void {
    this.#blocked = [];
    for (const stream of this.#streams.values()) stream.close();
  }
}

function paddingOf(flags: number, bytes: Uint8Array, offset: number, end: number): number {
  if ((flags & FLAG.padded) === 0) return 0;
  if (offset === end) throw onWrongSize();
  return bytes[offset]!;
}

function onWrongStream(): ConnectionFault {
  return new ConnectionFault(REASON.protocol, "a frame for a stream that cannot have it");
}

function onWrongSize(): ConnectionFault {
  return new ConnectionFault(REASON.frameSize, "a frame of the wrong size");
}

function onWindow(): ConnectionFault {
  return new ConnectionFault(REASON.flowControl, "a window exceeds its bound");
}
