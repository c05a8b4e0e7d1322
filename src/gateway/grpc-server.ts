/**
 * gRPC over HTTP/2, by Node's own server and its streams: connections come from elsewhere, this
 * listens on nothing. A call of one request ends with one frame and trailers, or with trailers
 * alone; the watch stream is a session of its own. Whatever a client sends, the worst it gets is a
 * status, a reset stream, or for bytes that are no HTTP/2 a closed connection.
 */
import http2 from "node:http2";
import type { Timers } from "../env/timers.js";
import { FrameReader } from "./grpc-frames.js";
import { grpcMessage, timeoutMsOf } from "./grpc-headers.js";
import type { Method, Methods } from "./methods.js";
import { GRPC, StatusError, statusOf, stopped } from "./status.js";
import { WatchSession } from "./watch-session.js";
import type { FrameSink, WatchHost } from "./watch-session.js";
import { WireReader } from "./wire.js";

type Stream = http2.ServerHttp2Stream;

export interface GrpcHost {
  readonly methods: Methods;
  readonly watch: WatchHost;
  readonly timers: Timers;
  readonly messageBytesMax: number;
}

const CONTENT_TYPE = "application/grpc";
const HEAD: http2.OutgoingHttpHeaders = { ":status": 200, "content-type": CONTENT_TYPE };
const WITH_TRAILERS: http2.ServerStreamResponseOptions & { sendDate: boolean } = {
  waitForTrailers: true,
  sendDate: false,
};
const OK_TRAILERS: http2.OutgoingHttpHeaders = { "grpc-status": "0" };
/** Node's bound on what a connection may hold, in MiB: many answers may wait to be read. */
const SESSION_MEMORY_MIB = 256;
const WINDOW_BYTES: number = 1024 * 1024;
/** How long those who are connected have to go when this ends. */
const GOODBYE_MS = 500;

export class GrpcServer {
  readonly #host: GrpcHost;
  readonly #server: http2.Http2Server;
  readonly #connections: Set<http2.ServerHttp2Session> = new Set();
  readonly #watches: Set<WatchCall> = new Set();

  constructor(host: GrpcHost) {
    this.#host = host;
    this.#server = http2.createServer({
      maxSessionMemory: SESSION_MEMORY_MIB,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    this.#server.on("session", (connection) => {
      this.#connections.add(connection);
      connection.on("close", () => this.#connections.delete(connection));
    });
    this.#server.on("stream", (stream, headers) => this.#open(stream, headers));
  }

  /** A connection whose first bytes are the preface of HTTP/2. */
  accept(connection: object): void {
    this.#server.emit("connection", connection);
  }

  /** Open calls may end, watches are told to go elsewhere, nobody begins anew. */
  async close(): Promise<void> {
    for (const watch of this.#watches) watch.fail(stopped());
    const gone = [...this.#connections].map(
      (connection) => new Promise<void>((resolve) => connection.close(resolve)),
    );
    const late = new Promise<void>((resolve) => this.#host.timers.after(GOODBYE_MS, resolve));
    await Promise.race([Promise.all(gone), late]);
    for (const connection of this.#connections) connection.destroy();
  }

  #open(stream: Stream, headers: http2.IncomingHttpHeaders): void {
    // A stream that the client resets has nobody to be told of it.
    stream.on("error", () => undefined);
    const isGrpc = headers["content-type"]?.startsWith(CONTENT_TYPE) === true;
    if (!isGrpc || headers[":method"] !== "POST") {
      stream.respond({ ":status": 415 }, { endStream: true });
      return;
    }
    const method = this.#host.methods.byPath(headers[":path"] ?? "");
    if (method instanceof StatusError) refuse(stream, method);
    else if (method.serve === undefined) this.#openWatch(stream);
    else new UnaryCall(stream, method.serve, this.#host).open(headers["grpc-timeout"]);
  }

  #openWatch(stream: Stream): void {
    const call = new WatchCall(stream, this.#host);
    this.#watches.add(call);
    stream.on("close", () => this.#watches.delete(call));
    call.open();
  }
}

/** One request, one answer. */
class UnaryCall {
  readonly #stream: Stream;
  readonly #serve: NonNullable<Method["serve"]>;
  readonly #timers: Timers;
  readonly #frames: FrameReader;
  #isServed = false;
  #isOver = false;

  constructor(stream: Stream, serve: NonNullable<Method["serve"]>, host: GrpcHost) {
    this.#stream = stream;
    this.#serve = serve;
    this.#timers = host.timers;
    this.#frames = new FrameReader(host.messageBytesMax);
  }

  open(timeout: string | string[] | undefined): void {
    this.#stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#stream.on("end", () => {
      if (!this.#isServed) this.#fail(new StatusError(GRPC.internal, "the request has no message"));
    });
    const timeoutMs = timeoutMsOf(timeout);
    if (timeoutMs === undefined) return;
    const timer = this.#timers.after(timeoutMs, () => {
      this.#fail(new StatusError(GRPC.deadlineExceeded, "context deadline exceeded"));
    });
    this.#stream.on("close", () => timer.cancel());
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isServed || this.#isOver) return;
    try {
      this.#frames.push(plainBytes(chunk));
      const message = this.#frames.next();
      if (message === undefined) return;
      this.#isServed = true;
      this.#serve(new WireReader(message)).then(
        (frame) => this.#answer(frame),
        (error: unknown) => this.#fail(statusOf(error)),
      );
    } catch (error) {
      this.#fail(statusOf(error));
    }
  }

  #answer(frame: Uint8Array): void {
    const stream = this.#stream;
    if (this.#isOver || stream.destroyed) return;
    this.#isOver = true;
    stream.on("wantTrailers", sendOk);
    stream.respond(HEAD, WITH_TRAILERS);
    stream.end(frame);
  }

  #fail(error: StatusError): void {
    if (this.#isOver || this.#stream.destroyed) return;
    this.#isOver = true;
    refuse(this.#stream, error);
  }
}

/** The watch stream: requests and responses each in their own time. */
class WatchCall implements FrameSink {
  readonly #stream: Stream;
  readonly #frames: FrameReader;
  readonly #session: WatchSession;
  #trailers: http2.OutgoingHttpHeaders = OK_TRAILERS;
  /** Those who wait for room. */
  #waiting: (() => void)[] = [];

  constructor(stream: Stream, host: GrpcHost) {
    this.#stream = stream;
    this.#frames = new FrameReader(host.messageBytesMax);
    this.#session = new WatchSession(host.watch, this);
  }

  open(): void {
    const stream = this.#stream;
    stream.on("wantTrailers", () => stream.sendTrailers(this.#trailers));
    stream.respond(HEAD, WITH_TRAILERS);
    // A client that has said all it wants to say may go on listening.
    stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    stream.on("drain", () => this.#wake());
    stream.on("close", () => {
      this.#session.close();
      this.#wake();
    });
  }

  write(frame: Uint8Array): void {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.write(frame);
  }

  room(): Promise<void> {
    if (!this.#stream.writableNeedDrain || this.#stream.destroyed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  fail(error: StatusError): void {
    this.#session.close();
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.#trailers = trailersOf(error);
    this.#stream.end();
    // What is still to come is read, for a stream ends only then, and dropped.
    this.#stream.resume();
  }

  /** No more is read until what came is served. */
  #receive(chunk: Uint8Array): void {
    if (this.#stream.writableEnded) return;
    this.#stream.pause();
    try {
      this.#frames.push(plainBytes(chunk));
      let served: Promise<void> = Promise.resolve();
      for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
        served = this.#session.request(next);
      }
      void served.then(() => this.#stream.resume());
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function sendOk(this: Stream): void {
  this.sendTrailers(OK_TRAILERS);
}

/** The status alone; what the client still sends is not wanted. */
function refuse(stream: Stream, error: StatusError): void {
  stream.respond({ ...HEAD, ...trailersOf(error) }, { endStream: true });
  if (!stream.readableEnded) stream.close(http2.constants.NGHTTP2_NO_ERROR);
}

function trailersOf({ code, message }: StatusError): http2.OutgoingHttpHeaders {
  return { "grpc-status": String(code), "grpc-message": grpcMessage(message) };
}

/** Not a Buffer, whose `slice` copies nothing. */
function plainBytes(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
