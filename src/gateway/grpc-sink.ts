/** The answering half of a gRPC stream: frames while there is room, and trailers at the end. */
import type { AnswerSink } from "./answer-stream.js";
import { grpcMessage } from "./grpc-headers.js";
import { headerBlock } from "./http2/hpack.js";
import type { Http2Stream } from "./http2/stream.js";
import { GRPC } from "./status.js";
import type { StatusError } from "./status.js";

export const CONTENT_TYPE = "application/grpc";
export const HEAD: Uint8Array = headerBlock(headPairs("200"));
export const OK_TRAILERS: Uint8Array = headerBlock([["grpc-status", "0"]]);

export class GrpcSink implements AnswerSink {
  readonly #stream: Http2Stream;
  /** Those who wait for room. */
  #waiting: (() => void)[] = [];
  #hasBegun = false;
  /** The status that it ended with, as soon as it has. */
  code: number | undefined;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  get isOver(): boolean {
    return this.#stream.isEnded;
  }

  /** The head goes out, at the latest with the first frame. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#stream.respond(HEAD);
  }

  write(frame: Uint8Array): void {
    this.begin();
    this.#stream.write(frame);
  }

  get hasRoom(): boolean {
    return this.#stream.isClosed || !this.#stream.isFull;
  }

  room(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    this.code ??= GRPC.ok;
    this.begin();
    this.#stream.end(OK_TRAILERS);
  }

  fail(error: StatusError): void {
    this.code ??= error.code;
    if (this.#hasBegun) this.#stream.end(trailersOf(error, []));
    else refuse(this.#stream, error);
  }

  /** There is room, or all is over. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** The status alone, with that of HTTP; what the client still sends is not wanted. */
export function refuse(stream: Http2Stream, error: StatusError, httpStatus: string = "200"): void {
  stream.refuse(trailersOf(error, headPairs(httpStatus)));
}

function headPairs(httpStatus: string): readonly (readonly [name: string, value: string])[] {
  return [
    [":status", httpStatus],
    ["content-type", CONTENT_TYPE],
  ];
}

function trailersOf(
  { code, message }: StatusError,
  before: readonly (readonly [name: string, value: string])[],
): Uint8Array {
  return headerBlock([
    ...before,
    ["grpc-status", String(code)],
    ["grpc-message", grpcMessage(message)],
  ]);
}
