/** A gRPC client of a few lines, by node:http2, that can also do what a good client would not. */
import http2 from "node:http2";
import { FrameReader, beginFrame, endFrame } from "../../src/gateway/grpc-frames.js";
import { decodeMessage, encodeMessage } from "../../src/gateway/message-codec.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { ETCD } from "../../src/gateway/messages.js";
import type { MessageType } from "../../src/gateway/schema.js";

export interface GrpcOutcome {
  readonly status: number;
  readonly message: string;
  readonly response: Message | undefined;
}

const SIZE_MAX = 64 * 1024 * 1024;
/** What a connection may hold: Node counts what a reset stream has left unsent, for good. */
const SESSION_MEMORY_MIB = 4096;

export class GrpcClient {
  readonly #session: http2.ClientHttp2Session;
  /** Resolves when the server has said that it goes, or the connection is gone. */
  readonly goneAway: Promise<void>;
  #hasConnected = false;

  constructor(address: string) {
    this.#session = http2.connect(`http://${address}`, { maxSessionMemory: SESSION_MEMORY_MIB });
    this.#session.on("error", () => undefined);
    this.#session.once("connect", () => (this.#hasConnected = true));
    this.goneAway = new Promise((resolve) => {
      this.#session.once("goaway", () => resolve());
      this.#session.once("close", () => resolve());
    });
  }

  /** Before that nothing has been sent. */
  get hasConnected(): boolean {
    return this.#hasConnected;
  }

  /** One call; `name` is that of the messages, as Range, or v3lockpb.Lock with its package. */
  call(path: string, name: string, request: Message, headers = {}): Promise<GrpcOutcome> {
    return this.raw(path, name, frameOf(`${name}Request`, request), headers);
  }

  async raw(path: string, name: string, body: Uint8Array, headers = {}): Promise<GrpcOutcome> {
    const stream = new GrpcStream(this.#open(path, headers), name);
    stream.write(body);
    stream.end();
    const response = await stream.next();
    return { ...(await stream.ended), response };
  }

  stream(path: string, name: string, headers = {}): GrpcStream {
    return new GrpcStream(this.#open(path, headers), name);
  }

  close(): void {
    this.#session.destroy();
  }

  #open(path: string, headers: http2.OutgoingHttpHeaders): http2.ClientHttp2Stream {
    return this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
  }
}

/** One call's stream: responses are taken one after the other, and only when they are wanted. */
export class GrpcStream {
  readonly ended: Promise<Omit<GrpcOutcome, "response">>;
  readonly #stream: http2.ClientHttp2Stream;
  readonly #name: string;
  readonly #frames = new FrameReader(SIZE_MAX);
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(stream: http2.ClientHttp2Stream, name: string) {
    this.#stream = stream;
    this.#name = name;
    let said: http2.IncomingHttpHeaders = {};
    stream.on("response", (headers) => (said = headers));
    stream.on("trailers", (trailers) => {
      said = trailers;
      // What was still to be said does not matter any more.
      stream.end();
    });
    stream.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      stream.on("close", () => {
        const status = Number(said["grpc-status"] ?? -1);
        resolve({ status, message: decodeURIComponent(String(said["grpc-message"] ?? "")) });
      });
    });
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  send(request: Message): void {
    this.write(frameOf(`${this.#name}Request`, request));
  }

  write(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  end(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
  }

  /** The next response; undefined at the end. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const message = this.#frames.next();
      if (message !== undefined) {
        return decodeMessage(typeNamed(`${this.#name}Response`), message);
      }
      const chunk = await this.#chunks.next().catch(() => ({ done: true, value: undefined }));
      if (chunk.done === true || chunk.value === undefined) return undefined;
      const { buffer, byteOffset, byteLength } = chunk.value;
      this.#frames.push(new Uint8Array(buffer, byteOffset, byteLength));
    }
  }

  /** All responses that are still to come. */
  async rest(): Promise<Message[]> {
    const found: Message[] = [];
    for (let next = await this.next(); next !== undefined; next = await this.next()) {
      found.push(next);
    }
    return found;
  }
}

export function frameOf(type: string, message: Message): Uint8Array {
  const out = beginFrame();
  encodeMessage(out, typeNamed(type), message);
  return endFrame(out);
}

/** Of etcd's own package, unless another one is named. */
function typeNamed(name: string): MessageType {
  return ETCD.message(name.includes(".") ? name : `etcdserverpb.${name}`);
}
