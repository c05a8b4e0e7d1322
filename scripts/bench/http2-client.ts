/**
 * The client side of one HTTP/2 connection (RFC 9113) as far as unary gRPC calls need it, made
 * to cost the load generator as little as possible: it counts answers and their bytes and never
 * decodes them. It does no I/O: bytes come in by `receive` and go out by the `write` it was given.
 *
 * A call is HEADERS and one DATA frame with END_STREAM. A good answer is HEADERS, DATA, HEADERS
 * with END_STREAM; a gRPC error comes as trailers only, without DATA, and is counted as an error.
 */
import { assert } from "../../src/base/assert.js";
import { concatBytes, EMPTY_BYTES, utf8 } from "../../src/base/bytes.js";
import { ByteWriter, readU16BE, readU32BE, writeU32BE } from "../../src/base/coding.js";
import {
  FLAG,
  FRAME,
  FRAME_BYTES_MIN,
  FRAME_HEAD_BYTES,
  PREFACE,
  SETTING,
  WINDOW_DEFAULT_BYTES,
} from "../../src/gateway/http2/format.js";
import { HeaderEncoder, TABLE_BYTES } from "./hpack.js";
import type { Header } from "./hpack.js";

/** Told once per call: what failed, if anything, and how many bytes of DATA came back. */
export type CallDone = (error: string | undefined, dataBytes: number) => void;

export interface Call {
  readonly path: string;
  /** The body, with its five bytes of gRPC prefix. */
  readonly body: Uint8Array;
  readonly done: CallDone;
}

/** A call without end: requests as they come, and what comes back. */
export interface StreamCall extends Call {
  /** Some of an answer. */
  readonly data: (bytes: Uint8Array) => void;
}

interface OpenStream {
  readonly done: CallDone;
  readonly data?: ((bytes: Uint8Array) => void) | undefined;
  dataBytes: number;
}

/** What the server may send before we say more; a stream's answer must fit its window. */
const RECEIVE_WINDOW_BYTES = 0x100_0000;

export class Http2Connection {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #authority: string;
  readonly #encoder = new HeaderEncoder();
  /** Header blocks by path, for as long as the encoder's table stays as it is. */
  readonly #blocks = new Map<string, Uint8Array>();
  readonly #open = new Map<number, OpenStream>();
  /** Calls that the server's limits hold back, oldest first from #waitingFrom on. */
  #waiting: Call[] = [];
  #out = new ByteWriter(65_536);
  #partial: Uint8Array = EMPTY_BYTES;
  #nextStream = 1;
  #sendWindowBytes = WINDOW_DEFAULT_BYTES;
  #streamWindowBytes = WINDOW_DEFAULT_BYTES;
  #streamsMax = Number.MAX_SAFE_INTEGER;
  #unacknowledgedBytes = 0;
  /** Of streams that stay open, since they were last given room. */
  #streamedBytes = 0;
  #failure: string | undefined;
  #flushPlanned = false;

  constructor(write: (bytes: Uint8Array) => void, authority: string) {
    this.#write = write;
    this.#authority = authority;
    this.#out.raw(utf8(PREFACE));
    this.#frame(FRAME.settings, 0, 0, 12);
    this.#setting(SETTING.enablePush, 0);
    this.#setting(SETTING.window, RECEIVE_WINDOW_BYTES);
    this.#windowUpdate(0, RECEIVE_WINDOW_BYTES - WINDOW_DEFAULT_BYTES);
    this.#planFlush();
  }

  /** Why the connection is of no more use, if so. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Sends a call, or keeps it until the server's limits allow it. */
  call(call: Call): void {
    if (this.#failure !== undefined) {
      call.done(this.#failure, 0);
      return;
    }
    if (this.#waiting.length > 0 || !this.#allows(call)) this.#waiting.push(call);
    else this.#send(call);
    this.#planFlush();
  }

  /** Opens a stream with its first request; gives what sends further ones. */
  stream(call: StreamCall): (body: Uint8Array) => void {
    const id = this.#begin(call);
    this.#open.set(id, { done: call.done, data: call.data, dataBytes: 0 });
    const send = (body: Uint8Array): void => {
      this.#frame(FRAME.data, 0, id, body.length);
      this.#out.raw(body);
      this.#sendWindowBytes -= body.length;
      this.#planFlush();
    };
    send(call.body);
    return send;
  }

  /** Takes what the server sent. What that leads to goes out in one write at the end. */
  receive(chunk: Uint8Array): void {
    const bytes = this.#partial.length === 0 ? chunk : concatBytes(this.#partial, chunk);
    this.#flushPlanned = true;
    let at = 0;
    while (at + FRAME_HEAD_BYTES <= bytes.length) {
      const length = (readU16BE(bytes, at) << 8) | bytes[at + 2]!;
      const end = at + FRAME_HEAD_BYTES + length;
      if (end > bytes.length) break;
      this.#take(bytes, at, length);
      at = end;
    }
    this.#partial = at === bytes.length ? EMPTY_BYTES : bytes.slice(at);
    this.#acknowledge();
    this.#sendWaiting();
    this.#flush();
  }

  /** Ends the connection: every open and every later call fails with this reason. */
  fail(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    const streams = [...this.#open.values()];
    const waiting = this.#waiting;
    this.#open.clear();
    this.#waiting = [];
    for (const stream of streams) stream.done(reason, stream.dataBytes);
    for (const call of waiting) call.done(reason, 0);
  }

  #allows(call: Call): boolean {
    return this.#open.size < this.#streamsMax && call.body.length <= this.#sendWindowBytes;
  }

  #sendWaiting(): void {
    let sent = 0;
    while (sent < this.#waiting.length && this.#allows(this.#waiting[sent]!)) {
      this.#send(this.#waiting[sent]!);
      sent++;
    }
    if (sent > 0) this.#waiting.splice(0, sent);
  }

  #send(call: Call): void {
    const length = call.body.length;
    assert(length <= FRAME_BYTES_MIN, "the body exceeds a frame");
    assert(length <= this.#streamWindowBytes, "the body exceeds the server's stream window");
    const stream = this.#begin(call);
    this.#frame(FRAME.data, FLAG.endStream, stream, length);
    this.#out.raw(call.body);
    this.#sendWindowBytes -= length;
    this.#open.set(stream, { done: call.done, dataBytes: 0 });
  }

  #begin({ path }: Call): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const block = this.#block(path);
    this.#frame(FRAME.headers, FLAG.endHeaders, stream, block.length);
    this.#out.raw(block);
    return stream;
  }

  #block(path: string): Uint8Array {
    const known = this.#blocks.get(path);
    if (known !== undefined) return known;
    const headers: readonly Header[] = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", this.#authority],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ];
    const sizeBefore = this.#encoder.size;
    const block = this.#encoder.encode(headers);
    // A header that was sent for the first time moves the index of every earlier one.
    if (this.#encoder.size === sizeBefore) this.#blocks.set(path, block);
    else this.#blocks.clear();
    return block;
  }

  #take(bytes: Uint8Array, at: number, length: number): void {
    const flags = bytes[at + 4]!;
    const stream = readU32BE(bytes, at + 5) & 0x7fff_ffff;
    const payload = at + FRAME_HEAD_BYTES;
    switch (bytes[at + 3]) {
      case FRAME.data:
        this.#unacknowledgedBytes += length;
        this.#takeData(stream, bytes, payload, length);
        if ((flags & FLAG.endStream) !== 0) this.#finish(stream, "the answer has no trailers");
        return;
      case FRAME.headers:
        if ((flags & FLAG.endStream) !== 0) this.#finish(stream, undefined);
        return;
      case FRAME.resetStream:
        this.#finish(stream, `the stream was reset with code ${readU32BE(bytes, payload)}`);
        return;
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#takeSettings(bytes, payload, length);
        return;
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.#answerPing(bytes, payload);
        return;
      case FRAME.goAway:
        this.fail(`the server went away with code ${readU32BE(bytes, payload + 4)}`);
        return;
      case FRAME.windowUpdate:
        // A stream's window is never used up: its one body is smaller.
        if (stream === 0) this.#sendWindowBytes += readU32BE(bytes, payload) & 0x7fff_ffff;
        return;
      default:
        // Frames of an unknown kind are to be skipped, as are priorities.
        return;
    }
  }

  #takeData(stream: number, bytes: Uint8Array, at: number, length: number): void {
    const open = this.#open.get(stream);
    if (open === undefined) return;
    open.dataBytes += length;
    if (open.data === undefined) return;
    this.#streamedBytes += length;
    open.data(bytes.subarray(at, at + length));
    if (this.#streamedBytes < RECEIVE_WINDOW_BYTES / 4) return;
    // All streams that stay open share the figure: each is given more than it has used.
    for (const [id, { data }] of this.#open) {
      if (data !== undefined) this.#windowUpdate(id, this.#streamedBytes);
    }
    this.#streamedBytes = 0;
  }

  #finish(stream: number, error: string | undefined): void {
    const open = this.#open.get(stream);
    if (open === undefined) return;
    this.#open.delete(stream);
    const trailersOnly = error === undefined && open.dataBytes === 0;
    open.done(trailersOnly ? "the server answered with an error" : error, open.dataBytes);
  }

  #takeSettings(bytes: Uint8Array, from: number, length: number): void {
    for (let at = from; at < from + length; at += 6) {
      const value = readU32BE(bytes, at + 2);
      const setting = readU16BE(bytes, at);
      if (setting === SETTING.streamsMax) this.#streamsMax = value;
      else if (setting === SETTING.window) this.#streamWindowBytes = value;
      else if (setting === SETTING.tableSize && value < TABLE_BYTES) {
        this.fail(`the server wants a header table of ${value} bytes, which is not supported`);
      }
    }
    this.#frame(FRAME.settings, FLAG.ack, 0, 0);
  }

  #answerPing(bytes: Uint8Array, payload: number): void {
    this.#frame(FRAME.ping, FLAG.ack, 0, 8);
    this.#out.raw(bytes.subarray(payload, payload + 8));
  }

  #acknowledge(): void {
    if (this.#unacknowledgedBytes < RECEIVE_WINDOW_BYTES / 4) return;
    this.#windowUpdate(0, this.#unacknowledgedBytes);
    this.#unacknowledgedBytes = 0;
  }

  #windowUpdate(stream: number, bytes: number): void {
    this.#frame(FRAME.windowUpdate, 0, stream, 4);
    writeU32BE(this.#out.bytes, this.#out.reserve(4), bytes);
  }

  #setting(id: number, value: number): void {
    const at = this.#out.reserve(6);
    this.#out.bytes[at] = 0;
    this.#out.bytes[at + 1] = id;
    writeU32BE(this.#out.bytes, at + 2, value);
  }

  #frame(type: number, flags: number, stream: number, length: number): void {
    const at = this.#out.reserve(FRAME_HEAD_BYTES);
    const bytes = this.#out.bytes;
    writeU32BE(bytes, at, (length << 8) | type);
    bytes[at + 4] = flags;
    writeU32BE(bytes, at + 5, stream);
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (this.#out.length === 0) return;
    this.#write(this.#out.copy());
    this.#out.reset();
  }
}
