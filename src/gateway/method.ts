/** One method of a service: where it is found, what it takes and gives, and who serves it. */
import type { AnswerStream } from "./answer-stream.js";
import type { MessageType } from "./schema.js";
import type { StatusError } from "./status.js";
import type { WireReader } from "./wire.js";

export interface Method {
  /** Of a request: `/package.Service/Method`. */
  readonly path: string;
  /** Of a POST with JSON, where there is one. */
  readonly jsonPath?: string;
  readonly request: MessageType;
  readonly response: MessageType;
  /** Of a call with one answer. */
  readonly serve?: Serve;
  /** Of a call whose answer is a stream. Refusals are what its first `next` rejects with. */
  readonly answers?: Answers;
}

export type Serve = (reader: WireReader) => Promise<Uint8Array>;
export type Answers = (reader: WireReader) => AnswerStream;

/** The watch stream, the only one that is no call of one request. */
export function isWatch({ serve, answers }: Method): boolean {
  return serve === undefined && answers === undefined;
}

export interface Methods {
  byPath(path: string): Method | StatusError;
  byJsonPath(path: string): Method | StatusError | undefined;
}
