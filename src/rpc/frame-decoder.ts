/**
 * Cuts received chunks into frames without copying. After `push`, each `next` that returns true has
 * set the fields to one frame; the body is bytes[bodyOffset, bodyEnd). Only a frame that spans
 * chunks is copied, once, into a buffer of its own, which grows with what has been received: the
 * length that a stranger announces costs no memory that he does not send.
 */
import { EMPTY_BYTES } from "../base/bytes.js";
import { ByteWriter, DecodeError, readU32 } from "../base/coding.js";
import {
  FRAME_FLAGS_AT,
  FRAME_HEAD_BYTES,
  FRAME_LENGTH_BYTES,
  FRAME_LENGTH_EXTRA,
  FRAME_REQUEST_AT,
  FRAME_TYPE_AT,
} from "../protocol/frame-format.js";

/** A joined frame up to this size gets all its memory at once. */
const JOIN_RESERVE_BYTES = 512 * 1024;

export class FrameDecoder {
  /** Largest frame, its length field included. */
  sizeMax: number;
  type = 0;
  flags = 0;
  requestId = 0;
  bytes: Uint8Array = EMPTY_BYTES;
  bodyOffset = 0;
  bodyEnd = 0;

  #chunk: Uint8Array = EMPTY_BYTES;
  #at = 0;
  /** What has come of a frame that spans chunks. */
  #joined: ByteWriter | undefined;
  /** How long `joined` must be before there is anything new to see. */
  #needed = 0;
  #stopped = false;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  /** Takes the next chunk; `next` must have returned false for the one before. */
  push(chunk: Uint8Array): void {
    if (this.#stopped) return;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Moves to the next complete frame. Throws DecodeError where there can be none. */
  next(): boolean {
    if (this.#joined !== undefined) return this.#nextJoined(this.#joined);
    const chunk = this.#chunk;
    const at = this.#at;
    const left = chunk.length - at;
    if (left === 0) return false;
    if (left < FRAME_LENGTH_BYTES) return this.#keepRest(FRAME_LENGTH_BYTES);
    const size = this.#sizeAt(chunk, at);
    if (left < size) return this.#keepRest(size);
    this.#show(chunk, at, size);
    this.#at = at + size;
    return true;
  }

  /** No frame comes any more, also of what has been pushed. */
  stop(): void {
    this.#stopped = true;
    this.#chunk = EMPTY_BYTES;
    this.#at = 0;
    this.#joined = undefined;
  }

  #show(bytes: Uint8Array, at: number, size: number): void {
    this.type = bytes[at + FRAME_TYPE_AT]!;
    this.flags = bytes[at + FRAME_FLAGS_AT]!;
    this.requestId = readU32(bytes, at + FRAME_REQUEST_AT);
    this.bytes = bytes;
    this.bodyOffset = at + FRAME_HEAD_BYTES;
    this.bodyEnd = at + size;
  }

  #sizeAt(bytes: Uint8Array, at: number): number {
    const length = readU32(bytes, at);
    const size = length + FRAME_LENGTH_BYTES;
    if (length < FRAME_LENGTH_EXTRA || size > this.sizeMax) {
      throw new DecodeError(`a frame of ${size} bytes, where ${this.sizeMax} are allowed`);
    }
    return size;
  }

  #keepRest(needed: number): boolean {
    this.#joined = new ByteWriter(Math.min(needed, JOIN_RESERVE_BYTES));
    this.#needed = needed;
    return this.#nextJoined(this.#joined);
  }

  #nextJoined(joined: ByteWriter): boolean {
    if (!this.#fill(joined)) return false;
    if (this.#needed === FRAME_LENGTH_BYTES) {
      this.#needed = this.#sizeAt(joined.bytes, 0);
      if (!this.#fill(joined)) return false;
    }
    this.#joined = undefined;
    this.#show(joined.bytes, 0, this.#needed);
    return true;
  }

  /** Moves what is needed, or all there is, from the chunk; true when it was enough. */
  #fill(joined: ByteWriter): boolean {
    const missing = this.#needed - joined.length;
    const count = Math.min(missing, this.#chunk.length - this.#at);
    joined.slice(this.#chunk, this.#at, count);
    this.#at += count;
    return count === missing;
  }
}
