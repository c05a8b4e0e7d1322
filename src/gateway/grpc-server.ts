/**
 * gRPC over HTTP/2: connections come from elsewhere, this listens on nothing. A call of one request
 * ends with one frame and trailers, with trailers alone, or has a stream of frames before them; a
 * session is requests and frames each in their own time. Whatever a client sends, the worst it gets
 * is a status, a reset stream, or for bytes that are no HTTP/2 a closed connection.
 */
import { must } from "../base/assert.js";
import type { Socket } from "../env/network.js";
import type { Timer, Timers } from "../env/timers.js";
import { sendAnswers } from "./answer-stream.js";
import type { AnswerStream, CallSession } from "./answer-stream.js";
import type { CallCounts, MethodCounts } from "./call-counts.js";
import { FrameReader, onlyMessage } from "./grpc-frames.js";
import { timeoutMsOf } from "./grpc-headers.js";
import { CONTENT_TYPE, GrpcSink, HEAD, OK_TRAILERS, refuse } from "./grpc-sink.js";
import { Http2Connection } from "./http2/connection.js";
import { headerBlock } from "./http2/hpack.js";
import type { RequestHead } from "./http2/request-head.js";
import type { Http2Stream, StreamHandler } from "./http2/stream.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { LedCall } from "./led-call.js";
import type { FailingHandler } from "./led-call.js";
import { mayLast } from "./method.js";
import type { Method, Methods } from "./method.js";
import { GRPC, StatusError, deadlineExceeded, statusOf, stopped } from "./status.js";
import { WireReader } from "./wire.js";

export interface GrpcHost {
  readonly methods: Methods;
  readonly leaders: LeaderMonitor;
  readonly timers: Timers;
  readonly messageBytesMax: number;
  readonly calls: CallCounts;
}

const NOT_GRPC: Uint8Array = headerBlock([[":status", "415"]]);
/** Of a call whose headers are broken. */
const BAD_REQUEST = "400";
/** How long those who are connected have to go when this ends. */
const GOODBYE_MS = 500;

export class GrpcServer {
  readonly #host: GrpcHost;
  readonly #connections: Set<Http2Connection> = new Set();
  /** Calls that may last for ever. */
  readonly #lasting: Set<Call> = new Set();
  #allGone: () => void = nothing;

  constructor(host: GrpcHost) {
    this.#host = host;
  }

  /** A connection that begins with the preface of HTTP/2. */
  accept(socket: Socket): void {
    const connection = new Http2Connection(
      {
        timers: this.#host.timers,
        open: (stream, head) => this.#open(stream, head),
        closed: (gone) => this.#gone(gone),
      },
      this.#host.calls.counted(socket),
    );
    this.#connections.add(connection);
  }

  /** Calls that end soon may end, others are told to go elsewhere, nobody begins anew. */
  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => (this.#allGone = resolve));
    for (const call of this.#lasting) call.fail(stopped());
    for (const connection of this.#connections) connection.leave();
    if (this.#connections.size === 0) return;
    const late = new Promise<void>((resolve) => this.#host.timers.after(GOODBYE_MS, resolve));
    await Promise.race([gone, late]);
    for (const connection of this.#connections) connection.destroy();
  }

  #led(stream: Http2Stream, call: Call, { serve }: Method): StreamHandler {
    return new LedCall(this.#host.leaders, stream, call, serve === undefined);
  }

  #gone(connection: Http2Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#allGone();
  }

  #open(stream: Http2Stream, head: RequestHead): StreamHandler {
    const isGrpc = head.contentType?.startsWith(CONTENT_TYPE) === true;
    if (!isGrpc || head.method !== "POST") {
      stream.refuse(NOT_GRPC);
      return REFUSED;
    }
    const timeoutMs = head.timeout === undefined ? undefined : timeoutMsOf(head.timeout);
    if (timeoutMs instanceof StatusError) {
      refuse(stream, timeoutMs, BAD_REQUEST);
      return REFUSED;
    }
    const method = this.#methodAt(head);
    if (method instanceof StatusError) {
      refuse(stream, method);
      return REFUSED;
    }
    return this.#begin(stream, method, head.wantsLeader, timeoutMs);
  }

  #methodAt({ path = "", encoding = "" }: RequestHead): Method | StatusError {
    const { methods } = this.#host;
    const method = methods.byPath(path);
    if (method instanceof StatusError) return method;
    const refusal = methods.refusalOf(method);
    if (refusal !== undefined || encoding === "" || encoding === "identity") {
      return refusal ?? method;
    }
    const text = `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
    return new StatusError(GRPC.unimplemented, text);
  }

  #begin(
    stream: Http2Stream,
    method: Method,
    wantsLeader: boolean,
    timeoutMs: number | undefined,
  ): StreamHandler {
    const call =
      method.session === undefined
        ? new OneRequestCall(stream, method, this.#host, timeoutMs)
        : new SessionCall(stream, method, this.#host, timeoutMs);
    const own = wantsLeader ? this.#led(stream, call, method) : call;
    if (!mayLast(method)) return own;
    this.#lasting.add(call);
    call.over = () => this.#lasting.delete(call);
    return own;
  }
}

function nothing(): void {}

/** What ends a call at its deadline, if it has one. */
function deadlineOf(call: Call, { timers }: GrpcHost, timeoutMs?: number): Timer | undefined {
  if (timeoutMs === undefined) return undefined;
  return timers.after(timeoutMs, () => {
    call.fail(deadlineExceeded());
  });
}

function begun({ calls }: GrpcHost, method: Method): MethodCounts {
  const counts = calls.of(method);
  counts.started++;
  return counts;
}

/** Whatever else comes of a call that was refused. */
const REFUSED: StreamHandler = { data: nothing, ended: nothing, drained: nothing, closed: nothing };

interface Call extends FailingHandler {
  /** Called when it is over. */
  over: () => void;
}

/** One request: one answer, or a stream of them. */
class OneRequestCall implements Call {
  readonly #stream: Http2Stream;
  readonly #method: Method;
  readonly #messageBytesMax: number;
  readonly #counts: MethodCounts;
  /** What it ended with, where there is no sink. */
  #code: number | undefined;
  /** Where the message does not come at once. */
  #frames: FrameReader | undefined;
  readonly #deadline: Timer | undefined;
  over: () => void = nothing;
  #answers: AnswerStream | undefined;
  #sink: GrpcSink | undefined;
  /** For a call that wants to hear that the client has gone, or was told that it is too late. */
  #gone: AbortController | undefined;
  #isServed = false;

  constructor(stream: Http2Stream, method: Method, host: GrpcHost, timeoutMs: number | undefined) {
    this.#stream = stream;
    this.#method = method;
    this.#messageBytesMax = host.messageBytesMax;
    this.#counts = begun(host, method);
    this.#deadline = deadlineOf(this, host, timeoutMs);
  }

  data(bytes: Uint8Array): void {
    if (this.#isServed || this.#stream.isEnded) return;
    try {
      const message = this.#messageFrom(bytes);
      if (message === undefined) return;
      this.#isServed = true;
      this.#serve(new WireReader(message));
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  #messageFrom(bytes: Uint8Array): Uint8Array | undefined {
    const bytesMax = this.#messageBytesMax;
    const message = this.#frames === undefined ? onlyMessage(bytes, bytesMax) : undefined;
    if (message !== undefined) return message;
    this.#frames ??= new FrameReader(bytesMax);
    this.#frames.push(bytes);
    return this.#frames.next();
  }

  ended(): void {
    if (this.#isServed) return;
    this.fail(new StatusError(GRPC.internal, "the request has no message"));
  }

  drained(): void {
    this.#sink?.wake();
  }

  closed(): void {
    this.over();
    this.#counts.ended[this.#sink?.code ?? this.#code ?? GRPC.cancelled]!++;
    this.#deadline?.cancel();
    this.#gone?.abort();
    this.#answers?.close();
    this.#sink?.wake();
  }

  fail(error: StatusError): void {
    if (this.#sink === undefined) {
      this.#code ??= error.code;
      return refuse(this.#stream, error);
    }
    this.#sink.fail(error);
    this.#answers?.close();
  }

  #serve(reader: WireReader): void {
    const { serve, waits, answers } = this.#method;
    if (answers !== undefined) {
      this.#sink = new GrpcSink(this.#stream);
      this.#answers = answers(reader);
      void sendAnswers(this.#answers, this.#sink);
      return;
    }
    this.#stream.beginServing();
    if (waits === true) this.#gone = new AbortController();
    serve?.(reader, this.#gone?.signal).then(
      (frame) => this.#answer(frame),
      (error: unknown) => {
        this.#stream.endServing();
        this.fail(statusOf(error));
      },
    );
  }

  #answer(frame: Uint8Array): void {
    const stream = this.#stream;
    stream.endServing();
    stream.respond(HEAD);
    stream.write(frame);
    this.#code ??= GRPC.ok;
    stream.end(OK_TRAILERS);
  }
}

/** Requests and responses each in their own time. */
class SessionCall implements Call {
  readonly #stream: Http2Stream;
  readonly #frames: FrameReader;
  readonly #sink: GrpcSink;
  readonly #session: CallSession;
  readonly #counts: MethodCounts;
  /** What came with a request that is being served waits. */
  #isServing = false;
  #hasEnded = false;
  readonly #deadline: Timer | undefined;
  over: () => void = nothing;

  constructor(stream: Http2Stream, method: Method, host: GrpcHost, timeoutMs: number | undefined) {
    this.#stream = stream;
    this.#counts = begun(host, method);
    this.#frames = new FrameReader(host.messageBytesMax);
    this.#deadline = deadlineOf(this, host, timeoutMs);
    this.#sink = new GrpcSink(stream);
    this.#session = must(method.session, "session")(this.#sink);
    this.#sink.begin();
  }

  /** The client gets no more room until what came may be followed by more. */
  data(bytes: Uint8Array): void {
    if (this.#stream.isEnded) return;
    this.#stream.pause();
    try {
      this.#frames.push(bytes);
      if (!this.#isServing) this.#serve();
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  ended(): void {
    this.#hasEnded = true;
    if (!this.#isServing) this.#session.finish();
  }

  /** Hands over what has come, as far as the session will take it now. */
  #serve(): void {
    for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
      // Sessions live long: what they keep must not keep what else came along.
      const served = this.#session.request(next.slice());
      if (served === undefined) continue;
      this.#isServing = true;
      void served.then(() => this.#goOn());
      return;
    }
    this.#stream.resume();
  }

  #goOn(): void {
    this.#isServing = false;
    if (this.#stream.isEnded) return;
    try {
      this.#serve();
    } catch (error) {
      return this.fail(statusOf(error));
    }
    if (this.#hasEnded && !this.#isServing) this.#session.finish();
  }

  drained(): void {
    this.#sink.wake();
  }

  closed(): void {
    this.over();
    this.#counts.ended[this.#sink.code ?? GRPC.cancelled]!++;
    this.#deadline?.cancel();
    this.#session.close();
    this.#sink.wake();
  }

  fail(error: StatusError): void {
    this.#session.close();
    this.#sink.fail(error);
  }
}
