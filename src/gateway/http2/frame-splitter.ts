/**
 * The preface and frames of one connection out of the chunks it brings. A frame is handed out where
 * it lies; only one that spans chunks is joined. Payloads may be kept, nobody writes to them again.
 */
import { concatBytes, EMPTY_BYTES } from "../../base/bytes.js";
import { readU16BE, readU32BE } from "../../base/coding.js";
import { ConnectionFault, FRAME_BYTES_MIN, FRAME_HEAD_BYTES, PREFACE, REASON } from "./format.js";

/** The payload is bytes[offset, end). */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly end: number;
}

/** It is itself the frame that it has come to. */
export class FrameSplitter implements Frame {
  type = 0;
  flags = 0;
  stream = 0;
  bytes: Uint8Array = EMPTY_BYTES;
  offset = 0;
  end = 0;
  #next = 0;
  #hasPreface = false;

  push(chunk: Uint8Array): void {
    const rest = this.bytes.subarray(this.#next);
    this.bytes = rest.length === 0 ? chunk : concatBytes(rest, chunk);
    this.#next = 0;
  }

  /** Moves to the next frame; false where it has not come yet. Throws ConnectionFault. */
  next(): boolean {
    if (!this.#hasPreface && !this.#takePreface()) return false;
    const { bytes } = this;
    const at = this.#next;
    if (bytes.length - at < FRAME_HEAD_BYTES) return false;
    const length = (readU16BE(bytes, at) << 8) | bytes[at + 2]!;
    if (length > FRAME_BYTES_MIN) {
      throw new ConnectionFault(REASON.frameSize, `a frame of ${length} bytes`);
    }
    const offset = at + FRAME_HEAD_BYTES;
    if (bytes.length - offset < length) return false;
    this.type = bytes[at + 3]!;
    this.flags = bytes[at + 4]!;
    this.stream = readU32BE(bytes, at + 5) & 0x7fff_ffff;
    this.offset = offset;
    this.end = offset + length;
    this.#next = this.end;
    return true;
  }

  #takePreface(): boolean {
    const { bytes } = this;
    const known = Math.min(bytes.length, PREFACE.length);
    for (let i = 0; i < known; i++) {
      if (bytes[i] === PREFACE.charCodeAt(i)) continue;
      throw new ConnectionFault(REASON.protocol, "the preface is wrong");
    }
    if (known < PREFACE.length) return false;
    this.#hasPreface = true;
    this.#next = PREFACE.length;
    return true;
  }
}
