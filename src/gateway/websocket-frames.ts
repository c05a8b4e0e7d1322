/**
 * The frames of a WebSocket (RFC 6455) as a server reads and writes them. What a client's messages
 * say is handed on as it comes, frame by frame: they are a stream of JSON objects, cut by somebody
 * else. Nothing is negotiated, so there is no compression.
 */
import { concatBytes } from "../base/bytes.js";

export const TEXT = 1;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;
const CONTINUED = 0;
const BINARY = 2;

export const CLOSE_CODES = {
  normal: 1000,
  protocol: 1002,
  tooLarge: 1009,
} as const;

const FINAL = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const MASKED = 0x80;
const LENGTH = 0x7f;
const MASK_BYTES = 4;
const FIRST_BYTES = 2;
/** More than these are said in 2 or in 8 bytes, which these numbers announce. */
const SHORT_MAX = 125;
const IN_2_BYTES = 126;
const IN_8_BYTES = 127;

export interface WebSocketFrame {
  /** "data": of a message, or a part of it. */
  readonly kind: "data" | "ping" | "pong" | "close";
  readonly payload: Uint8Array;
}

/** What is sent breaks the protocol; `code` is what the connection is closed with. */
export class WebSocketError extends Error {
  override readonly name = "WebSocketError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

interface Head {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly headBytes: number;
  readonly frameBytes: number;
}

export class WebSocketReader {
  readonly #payloadBytesMax: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** As many have to be there before it is worth while to look. */
  #wanted = FIRST_BYTES;
  /** Whether a message has begun that goes on in the next frame of data. */
  #isWithin = false;

  constructor(payloadBytesMax: number) {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** The frames that end in this chunk. Throws WebSocketError, after which nothing is read. */
  *push(chunk: Uint8Array): Generator<WebSocketFrame, void> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) {
      const [only, ...others] = this.#chunks;
      const bytes = others.length === 0 ? only! : concatBytes(...this.#chunks);
      const head = this.#headIn(bytes);
      const isWhole = head !== undefined && bytes.length >= head.frameBytes;
      const rest = isWhole ? bytes.subarray(head.frameBytes) : bytes;
      this.#chunks = [rest];
      this.#bytes = rest.length;
      if (!isWhole) continue;
      this.#wanted = FIRST_BYTES;
      yield this.#frame(head, bytes.slice(0, head.frameBytes));
    }
  }

  /** undefined where it is not all there. Raises `wanted` to what is known to be needed. */
  #headIn(bytes: Uint8Array): Head | undefined {
    const [first = 0, second = 0] = bytes;
    if ((first & RESERVED) !== 0) throw broken("an extension that was not agreed on");
    if ((second & MASKED) === 0) throw broken("a client has to mask what it sends");
    const short = second & LENGTH;
    const lengthBytes = short === IN_8_BYTES ? 8 : short === IN_2_BYTES ? 2 : 0;
    const headBytes = FIRST_BYTES + lengthBytes + MASK_BYTES;
    this.#wanted = headBytes;
    if (bytes.length < headBytes) return undefined;
    const payloadBytes = lengthBytes === 0 ? short : numberIn(bytes, FIRST_BYTES, lengthBytes);
    if (payloadBytes > this.#payloadBytesMax) {
      throw new WebSocketError(CLOSE_CODES.tooLarge, "a frame is too large");
    }
    this.#wanted = headBytes + payloadBytes;
    const isFinal = (first & FINAL) !== 0;
    return { opcode: first & OPCODE, isFinal, headBytes, frameBytes: this.#wanted };
  }

  #frame({ opcode, isFinal, headBytes }: Head, bytes: Uint8Array): WebSocketFrame {
    const payload = bytes.subarray(headBytes);
    const mask = bytes.subarray(headBytes - MASK_BYTES, headBytes);
    for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i % MASK_BYTES]!;
    if (opcode >= CLOSE) return { kind: controlOf(opcode, isFinal, payload), payload };
    const isData = opcode === TEXT || opcode === BINARY;
    if (!isData && opcode !== CONTINUED) throw broken(`there is no opcode ${opcode}`);
    if (isData === this.#isWithin) throw broken("a message within another, or the rest of none");
    this.#isWithin = !isFinal;
    return { kind: "data", payload };
  }
}

/** A message, or what says something of the connection. */
export function frameOf(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const lengthBytes = length <= SHORT_MAX ? 0 : length <= 0xffff ? 2 : 8;
  const head = new Uint8Array(FIRST_BYTES + lengthBytes);
  head[0] = FINAL | opcode;
  head[1] = [length, 0, IN_2_BYTES][lengthBytes] ?? IN_8_BYTES;
  const view = new DataView(head.buffer);
  if (lengthBytes === 2) view.setUint16(FIRST_BYTES, length);
  if (lengthBytes === 8) view.setBigUint64(FIRST_BYTES, BigInt(length));
  return concatBytes(head, payload);
}

export function closeFrame(code: number): Uint8Array {
  return frameOf(CLOSE, Uint8Array.of(code >> 8, code & 0xff));
}

function controlOf(
  opcode: number,
  isFinal: boolean,
  payload: Uint8Array,
): "ping" | "pong" | "close" {
  if (!isFinal || payload.length > SHORT_MAX) throw broken("a control frame in parts, or too long");
  if (opcode === PING) return "ping";
  if (opcode === PONG) return "pong";
  if (opcode === CLOSE) return "close";
  throw broken(`there is no opcode ${opcode}`);
}

/** Beyond 2^53 it is not exact, and too large anyway. */
function numberIn(bytes: Uint8Array, offset: number, length: number): number {
  let number = 0;
  for (let i = offset; i < offset + length; i++) number = number * 256 + bytes[i]!;
  return number;
}

function broken(reason: string): WebSocketError {
  return new WebSocketError(CLOSE_CODES.protocol, reason);
}
