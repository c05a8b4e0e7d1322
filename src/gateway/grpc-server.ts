/**
 * gRPC over HTTP/2, by Node's own server and its streams: connections come from elsewhere, this
 * listens on nothing. A call of one request ends with one frame and trailers, with trailers alone,
 * or has a stream of frames before them; a session is requests and frames each in their own time.
 * Whatever a client sends, the worst it gets is a status, a reset stream, or for bytes that are no
 * HTTP/2 a closed connection.
 */
import http2 from "node:http2";
import type { Timers } from "../env/timers.js";
import { sendAnswers } from "./answer-stream.js";
import type { AnswerStream, CallSession } from "./answer-stream.js";
import { FrameReader } from "./grpc-frames.js";
import { timeoutMsOf } from "./grpc-headers.js";
import { CONTENT_TYPE, GrpcSink, HEAD, OK_TRAILERS, WITH_TRAILERS, refuse } from "./grpc-sink.js";
import type { Stream } from "./grpc-sink.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { mayLast } from "./method.js";
import type { Method, Methods, OpenSession } from "./method.js";
import { GRPC, StatusError, noLeader, statusOf, stopped } from "./status.js";
import { WireReader } from "./wire.js";

export interface GrpcHost {
  readonly methods: Methods;
  readonly leaders: LeaderMonitor;
  readonly timers: Timers;
  readonly messageBytesMax: number;
}

/** Node's bound on what a connection may hold, in MiB: many answers may wait to be read. */
const SESSION_MEMORY_MIB = 256;
const WINDOW_BYTES: number = 1024 * 1024;
/** About as long as three elections take. */
const LOOKS_WITHOUT_LEADER_MAX = 3;
/** How long those who are connected have to go when this ends. */
const GOODBYE_MS = 500;

export class GrpcServer {
  readonly #host: GrpcHost;
  readonly #server: http2.Http2Server;
  readonly #connections: Set<http2.ServerHttp2Session> = new Set();
  /** Calls that may last for ever. */
  readonly #lasting: Set<Call> = new Set();

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

  /** Calls that end soon may end, others are told to go elsewhere, nobody begins anew. */
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
    const call =
      method.session === undefined
        ? new OneRequestCall(stream, method, this.#host)
        : new SessionCall(stream, method.session, this.#host);
    if (mayLast(method)) this.#track(stream, call);
    if (headers["hasleader"] !== "true") return call.open(headers["grpc-timeout"]);
    void this.#host.leaders.hasLeader().then((hasLeader) => {
      if (stream.destroyed) return;
      if (!hasLeader) return refuse(stream, noLeader());
      if (method.serve === undefined) this.#cutWithoutLeader(stream, call);
      call.open(headers["grpc-timeout"]);
    });
  }

  /** Streams that want a leader end when there was none for a while. */
  #cutWithoutLeader(stream: Stream, call: Call): void {
    let missed = 0;
    const unfollow = this.#host.leaders.follow((hasLeader) => {
      missed = hasLeader ? 0 : missed + 1;
      if (missed === LOOKS_WITHOUT_LEADER_MAX) call.fail(noLeader());
    });
    stream.on("close", unfollow);
  }

  #track(stream: Stream, call: Call): void {
    this.#lasting.add(call);
    stream.on("close", () => this.#lasting.delete(call));
  }
}

interface Call {
  open(timeout: string | string[] | undefined): void;
  fail(error: StatusError): void;
}

/** One request: one answer, or a stream of them. */
class OneRequestCall implements Call {
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
    const { serve, waits, answers } = this.#method;
    if (answers !== undefined) return this.#answerAll(answers(reader));
    serve?.(reader, waits === true ? this.#untilGone() : undefined).then(
      (frame) => this.#answer(frame),
      (error: unknown) => this.fail(statusOf(error)),
    );
  }

  /** Aborted when the client has gone, or has been told that it is too late. */
  #untilGone(): AbortSignal {
    const gone = new AbortController();
    this.#stream.on("close", () => gone.abort());
    return gone.signal;
  }

  #answerAll(answers: AnswerStream): void {
    const sink = new GrpcSink(this.#stream, this.#timers);
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

/** Requests and responses each in their own time. */
class SessionCall implements Call {
  readonly #stream: Stream;
  readonly #frames: FrameReader;
  readonly #sink: GrpcSink;
  readonly #session: CallSession;

  constructor(stream: Stream, open: OpenSession, { messageBytesMax, timers }: GrpcHost) {
    this.#stream = stream;
    this.#frames = new FrameReader(messageBytesMax);
    this.#sink = new GrpcSink(stream, timers);
    this.#session = open(this.#sink);
  }

  open(): void {
    this.#sink.begin();
    this.#stream.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#stream.on("end", () => this.#session.finish());
    this.#stream.on("close", () => this.#session.close());
  }

  fail(error: StatusError): void {
    this.#session.close();
    this.#sink.fail(error);
  }

  /** No more is read until what came may be followed by more. */
  #receive(chunk: Uint8Array): void {
    if (this.#stream.writableEnded) return;
    try {
      this.#frames.push(plainBytes(chunk));
      let served: Promise<void> | undefined;
      for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
        served = this.#session.request(next);
      }
      if (served === undefined) return;
      this.#stream.pause();
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
