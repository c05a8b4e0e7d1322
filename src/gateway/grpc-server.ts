/**
 * gRPC over HTTP/2, by Node's own server and its streams: connections come from elsewhere, this
 * listens on nothing. A call of one request ends with one frame and trailers, with trailers alone,
 * or has a stream of frames before them; the watch stream is a session of its own. Whatever a
 * client sends, the worst it gets is a status, a reset stream, or for bytes that are no HTTP/2 a
 * closed connection.
 */
import http2 from "node:http2";
import type { Timers } from "../env/timers.js";
import { sendAnswers } from "./answer-stream.js";
import type { AnswerStream, FrameSink } from "./answer-stream.js";
import { FrameReader } from "./grpc-frames.js";
import { timeoutMsOf } from "./grpc-headers.js";
import { CONTENT_TYPE, GrpcSink, HEAD, OK_TRAILERS, WITH_TRAILERS, refuse } from "./grpc-sink.js";
import type { Stream } from "./grpc-sink.js";
import { isWatch } from "./methods.js";
import type { Method, Methods } from "./methods.js";
import { GRPC, StatusError, statusOf, stopped } from "./status.js";
import { WatchSession } from "./watch-session.js";
import type { WatchHost } from "./watch-session.js";
import { WireReader } from "./wire.js";

export interface GrpcHost {
  readonly methods: Methods;
  readonly watch: WatchHost;
  readonly timers: Timers;
  readonly messageBytesMax: number;
}

/** Node's bound on what a connection may hold, in MiB: many answers may wait to be read. */
const SESSION_MEMORY_MIB = 256;
const WINDOW_BYTES: number = 1024 * 1024;
/** How long those who are connected have to go when this ends. */
const GOODBYE_MS = 500;

export class GrpcServer {
  readonly #host: GrpcHost;
  readonly #server: http2.Http2Server;
  readonly #connections: Set<http2.ServerHttp2Session> = new Set();
  /** Calls that may last for ever. */
  readonly #lasting: Set<LastingCall> = new Set();

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

  /** Calls of one answer may end, streams are told to go elsewhere, nobody begins anew. */
  async close(): Promise<void> {
    for (const call of this.#lasting) call.fail(stopped());
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
    if (method instanceof StatusError) return refuse(stream, method);
    const call = isWatch(method)
      ? new WatchCall(stream, this.#host)
      : new OneRequestCall(stream, method, this.#host);
    if (method.serve === undefined) this.#track(stream, call);
    call.open(headers["grpc-timeout"]);
  }

  #track(stream: Stream, call: LastingCall): void {
    this.#lasting.add(call);
    stream.on("close", () => this.#lasting.delete(call));
  }
}

interface LastingCall {
  fail(error: StatusError): void;
}

/** One request: one answer, or a stream of them. */
class OneRequestCall {
  readonly #stream: Stream;
  readonly #method: Method;
  readonly #timers: Timers;
  readonly #frames: FrameReader;
  /** Ends a stream of answers. */
  #endAnswers: ((error: StatusError) => void) | undefined;
  #isServed = false;
  #isOver = false;

  constructor(stream: Stream, method: Method, host: GrpcHost) {
    this.#stream = stream;
    this.#method = method;
    this.#timers = host.timers;
    this.#frames = new FrameReader(host.messageBytesMax);
  }

  open(timeout: string | string[] | undefined): void {
    this.#stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#stream.on("end", () => {
      if (!this.#isServed) this.fail(new StatusError(GRPC.internal, "the request has no message"));
    });
    const timeoutMs = timeoutMsOf(timeout);
    if (timeoutMs === undefined) return;
    const timer = this.#timers.after(timeoutMs, () => {
      this.fail(new StatusError(GRPC.deadlineExceeded, "context deadline exceeded"));
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
      this.#serve(new WireReader(message));
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  #serve(reader: WireReader): void {
    const { serve, answers } = this.#method;
    if (answers !== undefined) return this.#answerAll(answers(reader));
    serve?.(reader).then(
      (frame) => this.#answer(frame),
      (error: unknown) => this.fail(statusOf(error)),
    );
  }

  #answerAll(answers: AnswerStream): void {
    const sink = new GrpcSink(this.#stream);
    this.#stream.on("close", () => answers.close());
    this.#endAnswers = (error) => {
      sink.fail(error);
      answers.close();
    };
    void sendAnswers(answers, sink);
  }

  #answer(frame: Uint8Array): void {
    const stream = this.#stream;
    if (this.#isOver || stream.destroyed) return;
    this.#isOver = true;
    stream.on("wantTrailers", sendOk);
    stream.respond(HEAD, WITH_TRAILERS);
    stream.end(frame);
  }

  fail(error: StatusError): void {
    if (this.#isOver || this.#stream.destroyed) return;
    this.#isOver = true;
    if (this.#endAnswers === undefined) refuse(this.#stream, error);
    else this.#endAnswers(error);
  }
}

/** The watch stream: requests and responses each in their own time. */
class WatchCall implements FrameSink {
  readonly #stream: Stream;
  readonly #frames: FrameReader;
  readonly #session: WatchSession;
  readonly #sink: GrpcSink;

  constructor(stream: Stream, host: GrpcHost) {
    this.#stream = stream;
    this.#frames = new FrameReader(host.messageBytesMax);
    this.#sink = new GrpcSink(stream);
    this.#session = new WatchSession(host.watch, this);
  }

  open(): void {
    this.#sink.begin();
    // A client that has said all it wants to say may go on listening.
    this.#stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#stream.on("close", () => this.#session.close());
  }

  write(frame: Uint8Array): void {
    this.#sink.write(frame);
  }

  room(): Promise<void> {
    return this.#sink.room();
  }

  fail(error: StatusError): void {
    this.#session.close();
    this.#sink.fail(error);
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
}

function sendOk(this: Stream): void {
  this.sendTrailers(OK_TRAILERS);
}

/** Not a Buffer, whose `slice` copies nothing. */
function plainBytes(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
