/**
 * One method of etcd's services: where gRPC and JSON find it, what it takes and gives, and who
 * serves it: a call of one answer, of a stream of answers, or a session.
 */
import type { AnswerSink, AnswerStream, CallSession } from "./answer-stream.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import type { HeaderWriter } from "./kv-responses.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import type { Message } from "./message-codec.js";
import { ETCD } from "./messages.js";
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
  /** It is served by a member that learns too. */
  readonly isForLearners?: boolean;
  /** Of a call with one answer. */
  readonly serve?: Serve;
  /** Its answer may be long in coming, so `serve` hears when nobody waits for it any more. */
  readonly waits?: boolean;
  /** Of a call whose answer is a stream. Refusals are what its first `next` rejects with. */
  readonly answers?: Answers;
  /** Of a call whose requests are a stream too. */
  readonly session?: OpenSession;
}

export type Serve = (reader: WireReader, signal?: AbortSignal) => Promise<Uint8Array>;
export type Answers = (reader: WireReader) => AnswerStream;
export type OpenSession = (sink: AnswerSink) => CallSession;

/** Whether nobody can say when the call will end. */
export function mayLast({ serve, waits }: Method): boolean {
  return serve === undefined || waits === true;
}

export interface Methods {
  byPath(path: string): Method | StatusError;
  byJsonPath(path: string): Method | StatusError | undefined;
  /** Why this node, as it is now, does not serve what it has. */
  refusalOf(method: Method): StatusError | undefined;
}

export type Plain = (request: Message, signal?: AbortSignal) => Promise<Message>;

/** By plain objects. A `revision` in the answer is that of its header. */
export function plainly(header: HeaderWriter, at: Entry, serve: Plain): Method {
  const { request, response } = at;
  return {
    ...at,
    serve: async (reader, signal) => {
      const answer = await serve(decodeMessage(request, reader.bytes), signal);
      const out = beginFrame();
      header.write(out, Number(answer["revision"] ?? 0));
      encodeMessage(out, response, answer);
      return endFrame(out);
    },
  };
}

export function method(path: string, jsonPath: string, name: string, serve: Serve): Method {
  return { ...entry(path, jsonPath, name), serve };
}

export type Entry = Pick<Method, "path" | "jsonPath" | "request" | "response">;

/** A path without a package is one of `etcdserverpb`. */
export function entry(
  path: string,
  jsonPath: string,
  name: string,
  requestName: string = name,
): Entry {
  const full = path.includes(".") ? path : `etcdserverpb.${path}`;
  const pack = full.slice(0, full.indexOf("."));
  return {
    path: `/${full}`,
    jsonPath: `/v3${jsonPath}`,
    request: ETCD.message(`${pack}.${requestName}Request`),
    response: ETCD.message(`${pack}.${name}Response`),
  };
}
