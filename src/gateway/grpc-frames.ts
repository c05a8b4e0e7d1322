/**
 * gRPC's frames: a byte that says whether the message is compressed, its length u32 big-endian, and
 * the message. In: messages are put together from chunks; one that lies in a single chunk is not
 * copied. Out: a message is written behind five bytes that are filled in at its end. Messages are
 * never compressed, and compressed ones refused.
 */
import { readU32BE, writeU32BE } from "../base/coding.js";
import { EMPTY_BYTES, concatBytes } from "../base/bytes.js";
import { GRPC, StatusError } from "./status.js";
import { WireWriter } from "./wire.js";

export const FRAME_HEAD_BYTES = 5;
/** What most answers fit into. */
const CAPACITY_BYTES = 192;
/** Small frames share memory, for one piece each costs more than writing it. */
const SLAB_BYTES: number = 64 * 1024;
const SMALL_BYTES = 2048;

let slab: Uint8Array = EMPTY_BYTES;
let slabUsed = 0;

export function beginFrame(capacityBytes: number = CAPACITY_BYTES): WireWriter {
  const out = new WireWriter(capacityBytes > SMALL_BYTES ? capacityBytes : pieceOf(capacityBytes));
  out.reserve(FRAME_HEAD_BYTES);
  return out;
}

function pieceOf(bytes: number): Uint8Array {
  if (slab.length - slabUsed < bytes) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const from = slabUsed;
  slabUsed += bytes;
  return slab.subarray(from, slabUsed);
}

/** The whole frame; the writer must not be used any more. */
export function endFrame(out: WireWriter): Uint8Array {
  writeU32BE(out.bytes, 1, out.length - FRAME_HEAD_BYTES);
  return out.view();
}

/** The message in a frame. */
export function messageIn(frame: Uint8Array): Uint8Array {
  return frame.subarray(FRAME_HEAD_BYTES);
}

/** The message where the bytes are exactly one frame with one that is not compressed. */
export function onlyMessage(bytes: Uint8Array, messageBytesMax: number): Uint8Array | undefined {
  if (bytes.length < FRAME_HEAD_BYTES || bytes[0] !== 0) return undefined;
  const size = readU32BE(bytes, 1);
  if (size !== bytes.length - FRAME_HEAD_BYTES || size > messageBytesMax) return undefined;
  return bytes.subarray(FRAME_HEAD_BYTES);
}

/** Throws StatusError for a message that is too large. */
export function checkSize(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  const text = `grpc: received message larger than max (${bytes} vs. ${bytesMax})`;
  throw new StatusError(GRPC.resourceExhausted, text);
}

export class FrameReader {
  readonly #messageBytesMax: number;
  #rest: Uint8Array = EMPTY_BYTES;
  /** Chunks behind `rest` of a message that is still coming in. */
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Whether a message has begun and is not complete. */
  get isInside(): boolean {
    return this.#bytes > 0;
  }

  push(chunk: Uint8Array): void {
    if (this.#bytes === 0) this.#rest = chunk;
    else this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next complete message; throws StatusError for one that is compressed or too large. */
  next(): Uint8Array | undefined {
    if (this.#bytes < FRAME_HEAD_BYTES) return undefined;
    if (this.#rest.length < FRAME_HEAD_BYTES) this.#join();
    const size = readU32BE(this.#rest, 1);
    this.#check(this.#rest[0]!, size);
    const end = FRAME_HEAD_BYTES + size;
    if (this.#bytes < end) return undefined;
    if (this.#rest.length < end) this.#join();
    const message = this.#rest.subarray(FRAME_HEAD_BYTES, end);
    this.#rest = this.#rest.subarray(end);
    this.#bytes -= end;
    if (this.#rest.length === 0) this.#join();
    return message;
  }

  /** A call that names a compression was refused before. */
  #check(format: number, size: number): void {
    checkSize(size, this.#messageBytesMax);
    if (format === 0) return;
    const text =
      format === 1
        ? "grpc: compressed flag set with identity or empty encoding"
        : `grpc: received unexpected payload format ${format}`;
    throw new StatusError(GRPC.internal, text);
  }

  #join(): void {
    if (this.#chunks.length === 0) return;
    this.#rest = concatBytes(this.#rest, ...this.#chunks);
    this.#chunks = [];
  }
}
