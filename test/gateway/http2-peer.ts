/** The other side of an HTTP/2 connection in tests: says any frames, and reads those it is sent. */
import { ByteWriter, readU32BE, writeU32BE } from "../../src/base/coding.js";
import { concatBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import type { Socket, SocketHandlers } from "../../src/env/network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { Http2Connection } from "../../src/gateway/http2/connection.js";
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE } from "../../src/gateway/http2/format.js";
import { HpackDecoder, headerBlock } from "../../src/gateway/http2/hpack.js";
import type { Http2Stream, StreamHandler } from "../../src/gateway/http2/stream.js";
import { must } from "../../src/base/assert.js";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

export const REQUEST: Uint8Array = headerBlock([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/x"],
  ["content-type", "application/grpc"],
]);

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const out = new ByteWriter(FRAME_HEAD_BYTES + payload.length);
  const at = out.reserve(FRAME_HEAD_BYTES);
  writeU32BE(out.bytes, at, (payload.length << 8) | type);
  out.bytes[at + 4] = flags;
  writeU32BE(out.bytes, at + 5, stream);
  out.raw(payload);
  return out.copy();
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32BE(bytes, 0, value);
  return bytes;
}

export function setting(id: number, value: number): Uint8Array {
  return concatBytes(Uint8Array.of(0, id), u32(value));
}

/** A stream as its handler saw it. */
export class Seen implements StreamHandler {
  readonly stream: Http2Stream;
  readonly path: string;
  readonly said: string[] = [];
  bytes = 0;

  constructor(stream: Http2Stream, path: string) {
    this.stream = stream;
    this.path = path;
  }

  data(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.said.push(bytes.length < 20 ? utf8Text(bytes) : `${bytes.length} bytes`);
  }

  ended(): void {
    this.said.push("ended");
  }

  drained(): void {
    this.said.push("drained");
  }

  closed(): void {
    this.said.push("closed");
  }
}

export class Http2Peer implements Socket {
  readonly remoteAddress = "test";
  readonly connection: Http2Connection;
  readonly streams: Seen[] = [];
  isDestroyed = false;
  isEnded = false;
  /** Pretends that the system takes no more. */
  stuckBytes = 0;
  readonly #decoder = new HpackDecoder();
  #handlers: SocketHandlers | undefined;
  #out: Uint8Array = new Uint8Array(0);

  constructor() {
    this.connection = new Http2Connection(
      {
        timers: nodeTimers,
        open: (stream, head) => {
          const seen = new Seen(stream, head.path ?? "");
          this.streams.push(seen);
          return seen;
        },
        closed: () => undefined,
      },
      this,
    );
  }

  handle(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array): boolean {
    this.#out = concatBytes(this.#out, bytes);
    return this.stuckBytes === 0;
  }

  bufferedBytes(): number {
    return this.stuckBytes;
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.#handlers?.close(undefined);
  }

  drain(): void {
    this.stuckBytes = 0;
    this.#handlers?.drain();
  }

  say(...parts: readonly Uint8Array[]): void {
    this.#handlers?.data(concatBytes(...parts));
  }

  /** The preface and empty settings. */
  begin(): this {
    this.say(utf8(PREFACE), frame(FRAME.settings, 0, 0));
    return this;
  }

  request(stream: number, flags: number = FLAG.endHeaders): Seen {
    this.say(frame(FRAME.headers, flags | FLAG.endHeaders, stream, REQUEST));
    return must(this.streams.at(-1));
  }

  /** What was sent since the last time. */
  async heard(): Promise<Frame[]> {
    await new Promise((resolve) => setImmediate(resolve));
    const frames: Frame[] = [];
    let at = 0;
    while (at < this.#out.length) {
      const length = readU32BE(this.#out, at) >>> 8;
      const end = at + FRAME_HEAD_BYTES + length;
      const [type, flags] = [this.#out[at + 3]!, this.#out[at + 4]!];
      const stream = readU32BE(this.#out, at + 5);
      frames.push({ type, flags, stream, payload: this.#out.slice(at + FRAME_HEAD_BYTES, end) });
      at = end;
    }
    this.#out = new Uint8Array(0);
    return frames;
  }

  /** The same as words: headers in full, the length of data, the number of a reset. */
  async words(): Promise<string[]> {
    return (await this.heard()).map((one) => this.#word(one));
  }

  #word({ type, flags, stream, payload }: Frame): string {
    const end = (flags & FLAG.endStream) !== 0 && type <= FRAME.headers ? " end" : "";
    switch (type) {
      case FRAME.data:
        return `${stream} data ${payload.length}${end}`;
      case FRAME.headers: {
        const pairs: string[] = [];
        this.#decoder.decode(payload, 0, payload.length, (one) => pairs.push(one.value));
        return `${stream} headers ${pairs.join(",")}${end}`;
      }
      case FRAME.resetStream:
        return `${stream} reset ${readU32BE(payload, 0)}`;
      case FRAME.goAway:
        return `away ${readU32BE(payload, 0)} ${readU32BE(payload, 4)}`;
      case FRAME.windowUpdate:
        return `${stream} window ${readU32BE(payload, 0)}`;
      case FRAME.ping:
        return `ping ${flags} ${payload.join(",")}`;
      default:
        return `settings ${flags} ${payload.length}`;
    }
  }
}
