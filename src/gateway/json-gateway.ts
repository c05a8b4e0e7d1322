/**
 * etcd's services by JSON: a POST below `/v3` is turned into the message that gRPC would have
 * brought, served as that, and its answer turned back. The watch takes a stream of JSON objects and
 * gives one a line. It knows requests and responses of HTTP only as the interface below.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { sendAnswers } from "./answer-stream.js";
import type { AnswerSink, WatchSink } from "./answer-stream.js";
import { messageIn } from "./grpc-frames.js";
import { messageFromJson, messageToJson } from "./json-codec.js";
import { JsonSplitter } from "./json-splitter.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import type { Method } from "./methods.js";
import type { MessageType } from "./schema.js";
import { GRPC, StatusError, statusOf } from "./status.js";
import { WatchSession } from "./watch-session.js";
import type { WatchHost } from "./watch-session.js";
import { WireReader, WireWriter } from "./wire.js";

/** A response whose length is not known yet. */
export interface JsonOutput {
  write(bytes: Uint8Array): void;
  readonly isFull: boolean;
  /** Resolves when there is room, or when all is over. */
  room(): Promise<void>;
  end(): void;
  /** Whether the reader is gone. */
  readonly isOver: boolean;
  onClose(run: () => void): void;
}

/** HTTP's status for each of gRPC's. */
const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

export interface JsonReply {
  readonly status: number;
  readonly body: string;
}

export async function serveJson(method: Method, body: Uint8Array): Promise<JsonReply> {
  try {
    if (method.serve === undefined) throw new Error("a stream is no call of one answer");
    const message = requestFrom(method.request, bodyText(body));
    const frame = await method.serve(new WireReader(message));
    return { status: 200, body: JSON.stringify(jsonOf(method.response, frame)) };
  } catch (error) {
    return refusalReply(statusOf(error));
  }
}

/** Both shapes that releases of etcd have had, in one. */
export function refusalReply({ code, message }: StatusError): JsonReply {
  const body = JSON.stringify({ error: message, message, code });
  return { status: HTTP_STATUS[code] ?? 500, body };
}

/** Answers as lines of JSON. */
class JsonLines implements AnswerSink {
  hasBegun = false;
  readonly #output: JsonOutput;
  readonly #response: MessageType;
  #isOver = false;

  constructor(response: MessageType, output: JsonOutput) {
    this.#response = response;
    this.#output = output;
  }

  get isOver(): boolean {
    return this.#isOver || this.#output.isOver;
  }

  write(frame: Uint8Array): void {
    if (!this.isOver) this.#line({ result: jsonOf(this.#response, frame) });
  }

  get isFull(): boolean {
    return this.#output.isFull;
  }

  room(): Promise<void> {
    return this.#output.room();
  }

  fail({ code, message }: StatusError): void {
    if (this.isOver) return;
    const http = HTTP_STATUS[code] ?? 500;
    this.#line({ error: { grpc_code: code, http_code: http, message } });
    this.end();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#output.end();
  }

  #line(value: object): void {
    this.hasBegun = true;
    this.#output.write(utf8(`${JSON.stringify(value)}\n`));
  }
}

/** A call whose answer is a stream. What it is refused with is given back, not written. */
export async function streamJson(
  method: Method,
  body: Uint8Array,
  output: JsonOutput,
): Promise<JsonReply | undefined> {
  const sink = new AnswerLines(method.response, output);
  try {
    if (method.answers === undefined) throw new Error("the answer is no stream");
    const answers = method.answers(new WireReader(requestFrom(method.request, bodyText(body))));
    output.onClose(() => answers.close());
    await sendAnswers(answers, sink);
  } catch (error) {
    sink.fail(statusOf(error));
  }
  return sink.refusal;
}

class AnswerLines extends JsonLines {
  refusal: JsonReply | undefined;

  override fail(error: StatusError): void {
    if (this.hasBegun) super.fail(error);
    else this.refusal = refusalReply(error);
  }
}

/** One watch stream by JSON. */
export class JsonWatch implements WatchSink {
  readonly #method: Method;
  readonly #splitter: JsonSplitter;
  readonly #session: WatchSession;
  readonly #lines: JsonLines;

  constructor(host: WatchHost, method: Method, output: JsonOutput, messageBytesMax: number) {
    this.#method = method;
    this.#lines = new JsonLines(method.response, output);
    this.#splitter = new JsonSplitter(messageBytesMax);
    this.#session = new WatchSession(host, this);
  }

  /** Resolves when more may come. */
  async receive(chunk: Uint8Array): Promise<void> {
    try {
      for (const text of this.#splitter.push(chunk)) {
        await this.#session.request(requestFrom(this.#method.request, text));
      }
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  write(frame: Uint8Array): void {
    this.#lines.write(frame);
  }

  get isFull(): boolean {
    return this.#lines.isFull;
  }

  room(): Promise<void> {
    return this.#lines.room();
  }

  fail(error: StatusError): void {
    this.close();
    this.#lines.fail(error);
  }

  close(): void {
    this.#session.close();
  }
}

function bodyText(body: Uint8Array): string {
  return body.length === 0 ? "{}" : utf8Text(body);
}

function requestFrom(type: MessageType, text: string): Uint8Array {
  const out = new WireWriter();
  encodeMessage(out, type, messageFromJson(type, parsed(text)));
  return out.view();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StatusError(GRPC.invalidArgument, `flotilla: the request is no JSON: ${reason}`);
  }
}

function jsonOf(type: MessageType, frame: Uint8Array): object {
  return messageToJson(type, decodeMessage(type, messageIn(frame)));
}
