/**
 * What goes out on one connection: frames gather in a slab and leave as one write at the end of the
 * turn. A slab's written part is never written again, for the socket may still hold it.
 */
import { ByteWriter, writeU16BE, writeU32BE } from "../../base/coding.js";
import type { Socket } from "../../env/network.js";
import type { Timers } from "../../env/timers.js";
import { FLAG, FRAME, FRAME_HEAD_BYTES } from "./format.js";

/** Of a connection with little to say, and of one that says more than half of that in a turn. */
const SMALL_SLAB_BYTES = 8 * 1024;
const SLAB_BYTES = 64 * 1024;
/** With less than this part of it left a slab is given up. */
const SLAB_REST = 1 / 8;

export class FrameOutput {
  /** False while the system takes no more. */
  isWritable = true;
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #flushAtEnd = (): void => this.flush();
  #out: ByteWriter = new ByteWriter(SMALL_SLAB_BYTES);
  #flushed = 0;
  #flushPending = false;

  constructor(socket: Socket, timers: Timers) {
    this.#socket = socket;
    this.#timers = timers;
  }

  /** Bytes that wait in this process. */
  get waitingBytes(): number {
    return this.#out.length - this.#flushed + this.#socket.bufferedBytes();
  }

  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    this.#head(type, flags, stream, payload.length);
    this.#out.slice(payload, 0, payload.length);
  }

  /** Headers, with a byte before their block where `before` is not negative. */
  headers(flags: number, stream: number, block: Uint8Array, before = -1): void {
    const isLonger = before >= 0;
    this.#head(FRAME.headers, flags | FLAG.endHeaders, stream, block.length + (isLonger ? 1 : 0));
    if (isLonger) this.#out.u8(before);
    this.#out.slice(block, 0, block.length);
  }

  /** A frame of one number. */
  number(type: number, stream: number, value: number): void {
    this.#head(type, 0, stream, 4);
    writeU32BE(this.#out.bytes, this.#out.reserve(4), value);
  }

  settings(pairs: readonly (readonly [setting: number, value: number])[]): void {
    this.#head(FRAME.settings, 0, 0, 6 * pairs.length);
    for (const [setting, value] of pairs) {
      const at = this.#out.reserve(6);
      writeU16BE(this.#out.bytes, at, setting);
      writeU32BE(this.#out.bytes, at + 2, value);
    }
  }

  goAway(lastStream: number, reason: number, text: Uint8Array): void {
    this.#head(FRAME.goAway, 0, 0, 8 + text.length);
    const at = this.#out.reserve(8);
    writeU32BE(this.#out.bytes, at, lastStream);
    writeU32BE(this.#out.bytes, at + 4, reason);
    this.#out.raw(text);
  }

  flush(): void {
    this.#flushPending = false;
    const out = this.#out;
    if (out.length === this.#flushed) return;
    const size = out.bytes.length;
    const said = out.length - this.#flushed;
    const isTaken = this.#socket.write(out.bytes.subarray(this.#flushed, out.length));
    if (!isTaken) this.isWritable = false;
    this.#flushed = out.length;
    if (size - out.length >= size * SLAB_REST && size <= SLAB_BYTES) return;
    this.#out = new ByteWriter(said > SMALL_SLAB_BYTES / 2 ? SLAB_BYTES : SMALL_SLAB_BYTES);
    this.#flushed = 0;
  }

  #head(type: number, flags: number, stream: number, length: number): void {
    const at = this.#out.reserve(FRAME_HEAD_BYTES);
    const { bytes } = this.#out;
    writeU32BE(bytes, at, (length << 8) | type);
    bytes[at + 4] = flags;
    writeU32BE(bytes, at + 5, stream);
    if (this.#flushPending) return;
    this.#flushPending = true;
    this.#timers.endOfTurn(this.#flushAtEnd);
  }
}
