/**
 * One connection as frames. In: frames are handed out where they lie in the received chunks, which
 * belong to us and stay valid; only a frame that spans chunks is joined, once. Out: frames gather
 * in a slab and leave as one socket write at the end of the turn; a slab's written part is never
 * written again. It never interprets bodies and never retries.
 *
 * Bytes that are no frame, or a handler that throws DecodeError, close the connection and nothing
 * else.
 */
import { assert } from "../base/assert.js";
import { ByteWriter, DecodeError } from "../base/coding.js";
import { FRAME_SIZE_BYTES_MAX } from "../base/limits.js";
import { SOCKET_WAITING_BYTES_MAX } from "../env/network.js";
import type { Socket } from "../env/network.js";
import type { Timers } from "../env/timers.js";
import { beginFrame, endFrame } from "../protocol/frame-format.js";
import { FrameDecoder } from "./frame-decoder.js";

/** A slab of output; what is larger grows beyond it. */
const SLAB_BYTES = 64 * 1024;
/** With less than this left a slab is given up at the end of a turn. */
const SLAB_REST_BYTES = 16 * 1024;

/** Who receives. Every method runs to completion; `closed` is the last call. */
export interface FrameHandler {
  /** The body is bytes[offset, end); the bytes may be kept, for nobody writes to them again. */
  frame(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void;
  /** There is room again for who was told that there was none; it may come from within `flush`. */
  drain(): void;
  closed(error: Error | undefined): void;
}

export class FrameConnection {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #decoder: FrameDecoder;
  readonly #flushAtEnd: () => void;
  #handler: FrameHandler | undefined;
  #out: ByteWriter = new ByteWriter(SLAB_BYTES);
  /** Where in the slab the part not yet handed to the socket starts. */
  #flushed = 0;
  /** Offset of the frame being written, -1 for none. */
  #frameAt = -1;
  #flushPending = false;
  #writable = true;
  /** Somebody was told to wait for room. */
  #isAwaited = false;
  #open = true;
  #queuedBytes = 0;
  #handedBytes = 0;
  /** Why it closed, where that is known. */
  #fault: Error | undefined;

  /** Must be called in the turn in which the socket was handed over. */
  constructor(socket: Socket, timers: Timers, frameSizeMax: number = FRAME_SIZE_BYTES_MAX) {
    this.remoteAddress = socket.remoteAddress;
    this.#socket = socket;
    this.#timers = timers;
    this.#decoder = new FrameDecoder(frameSizeMax);
    this.#flushAtEnd = () => this.flush();
    socket.handle({
      data: (chunk) => this.#receive(chunk),
      drain: () => this.#drained(),
      close: (error) => this.#closed(error),
    });
  }

  /** Sets who receives from now on; where all is over already he hears of that at once. */
  handle(handler: FrameHandler): void {
    if (this.#open) this.#handler = handler;
    else handler.closed(this.#fault);
  }

  /** Raises the bound on received frames, once the other side is known. */
  set frameSizeMax(bytes: number) {
    this.#decoder.sizeMax = bytes;
  }

  /**
   * Starts a frame. The body is appended to the returned writer, which holds more than this frame:
   * append only. Then comes `end`, or `abandon`.
   */
  begin(type: number, flags: number, requestId: number): ByteWriter {
    assert(this.#frameAt < 0, "a frame is already being written");
    this.#frameAt = beginFrame(this.#out, type, flags, requestId);
    return this.#out;
  }

  /** Completes the frame; it leaves at the end of the turn, or with `flush`. */
  end(): void {
    const at = this.#frameAt;
    assert(at >= 0, "no frame is being written");
    const size = this.#out.length - at;
    assert(size <= FRAME_SIZE_BYTES_MAX, "a frame exceeds FRAME_SIZE_BYTES_MAX");
    endFrame(this.#out, at);
    this.#frameAt = -1;
    this.#queuedBytes += size;
    if (this.#flushPending) return;
    this.#flushPending = true;
    this.#timers.endOfTurn(this.#flushAtEnd);
  }

  /** Takes back the frame being written. */
  abandon(): void {
    assert(this.#frameAt >= 0, "no frame is being written");
    this.#out.length = this.#frameAt;
    this.#frameAt = -1;
  }

  /** Bytes of the frame being written so far, its head included. */
  get frameBytes(): number {
    return this.#frameAt < 0 ? 0 : this.#out.length - this.#frameAt;
  }

  /** Hands what has gathered to the socket. */
  flush(): void {
    this.#flushPending = false;
    assert(this.#frameAt < 0, "a flush in the middle of a frame");
    const out = this.#out;
    const from = this.#flushed;
    const to = out.length;
    if (from === to) return;
    if (this.#open) {
      this.#handedBytes += to - from;
      this.#writable = this.#socket.write(out.bytes.subarray(from, to));
    }
    this.#flushed = to;
    if (out.bytes.length - to < SLAB_REST_BYTES || out.bytes.length > SLAB_BYTES) {
      this.#out = new ByteWriter(SLAB_BYTES);
      this.#flushed = 0;
    }
    // What the socket took at once it will say nothing about.
    if (this.#writable) this.#tellRoom();
  }

  /** Whether the socket took what it was last given; where not, `drain` follows. */
  get writable(): boolean {
    return this.#writable;
  }

  /**
   * Whether less than this waits in this process, what gathers for the next flush included. False
   * asks the writer to wait for `drain`, which follows in any case, unless the connection closes.
   */
  hasRoom(bytesMax: number): boolean {
    assert(bytesMax > SOCKET_WAITING_BYTES_MAX, "what a socket holds back is no reason to wait");
    if (this.bufferedBytes < bytesMax) return true;
    this.#isAwaited = true;
    return false;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Bytes of complete frames so far, and how many of them were handed to the socket. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get handedBytes(): number {
    return this.#handedBytes;
  }

  /** Bytes that wait in this process. */
  get bufferedBytes(): number {
    return this.#queuedBytes - this.#handedBytes + this.#socket.bufferedBytes();
  }

  /** Sends what has gathered, then closes. */
  close(): void {
    if (!this.#open) return;
    this.flush();
    this.#socket.end();
  }

  /** Closes at once; `closed` follows. */
  destroy(): void {
    this.#decoder.stop();
    this.#socket.destroy();
  }

  describe(): string {
    const state = this.#open ? "open" : "closed";
    return `connection to ${this.remoteAddress}: ${state}, ${this.bufferedBytes} bytes waiting`;
  }

  #receive(chunk: Uint8Array): void {
    const decoder = this.#decoder;
    try {
      decoder.push(chunk);
      while (decoder.next()) {
        this.#handler?.frame(
          decoder.type,
          decoder.flags,
          decoder.requestId,
          decoder.bytes,
          decoder.bodyOffset,
          decoder.bodyEnd,
        );
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#fault = error;
      if (this.#frameAt >= 0) this.abandon();
      this.destroy();
    }
  }

  #drained(): void {
    this.#writable = true;
    this.#tellRoom();
  }

  #tellRoom(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#handler?.drain();
  }

  #closed(error: Error | undefined): void {
    this.#open = false;
    this.#fault ??= error;
    this.#decoder.stop();
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.closed(this.#fault);
  }
}
