/** The answering half of a gRPC stream: frames while there is room, and trailers at the end. */
import http2 from "node:http2";
import type { AnswerSink } from "./answer-stream.js";
import { grpcMessage } from "./grpc-headers.js";
import type { StatusError } from "./status.js";

export type Stream = http2.ServerHttp2Stream;

export const CONTENT_TYPE = "application/grpc";
export const HEAD: http2.OutgoingHttpHeaders = { ":status": 200, "content-type": CONTENT_TYPE };
export const WITH_TRAILERS: http2.ServerStreamResponseOptions & { sendDate: boolean } = {
  waitForTrailers: true,
  sendDate: false,
};
export const OK_TRAILERS: http2.OutgoingHttpHeaders = { "grpc-status": "0" };

export class GrpcSink implements AnswerSink {
  readonly #stream: Stream;
  #trailers: http2.OutgoingHttpHeaders = OK_TRAILERS;
  /** Those who wait for room. */
  #waiting: (() => void)[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.on("drain", () => this.#wake());
    stream.on("close", () => this.#wake());
  }

  get isOver(): boolean {
    return this.#stream.destroyed || this.#stream.writableEnded;
  }

  /** The head goes out, at the latest with the first frame. */
  begin(): void {
    const stream = this.#stream;
    if (stream.headersSent || stream.destroyed) return;
    stream.on("wantTrailers", () => stream.sendTrailers(this.#trailers));
    stream.respond(HEAD, WITH_TRAILERS);
  }

  write(frame: Uint8Array): void {
    if (this.isOver) return;
    this.begin();
    this.#stream.write(frame);
  }

  room(): Promise<void> {
    if (!this.#stream.writableNeedDrain || this.#stream.destroyed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    if (this.isOver) return;
    this.begin();
    this.#stream.end();
    // What is still to come is read, for a stream ends only then, and dropped.
    this.#stream.resume();
  }

  fail(error: StatusError): void {
    if (this.isOver) return;
    if (!this.#stream.headersSent) return refuse(this.#stream, error);
    this.#trailers = trailersOf(error);
    this.end();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** The status alone; what the client still sends is not wanted. */
export function refuse(stream: Stream, error: StatusError): void {
  stream.respond({ ...HEAD, ...trailersOf(error) }, { endStream: true });
  if (!stream.readableEnded) stream.close(http2.constants.NGHTTP2_NO_ERROR);
}

function trailersOf({ code, message }: StatusError): http2.OutgoingHttpHeaders {
  return { "grpc-status": String(code), "grpc-message": grpcMessage(message) };
}
