/**
 * etcd's services by JSON: a POST below `/v3` is turned into the message that gRPC would have
 * brought, served as that, and its answer turned back. Sessions take a stream of JSON objects, and
 * streams of answers are one a line. It knows requests and responses of HTTP only as the interface
 * below.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { sendAnswers } from "./answer-stream.js";
import type { AnswerSink, CallSession } from "./answer-stream.js";
import { checkSize, messageIn } from "./grpc-frames.js";
import { messageFromJson, messageToJson, withLongIntegers } from "./json-codec.js";
import { JsonSplitter } from "./json-splitter.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import type { Method, OpenSession } from "./method.js";
import type { MessageType } from "./schema.js";
import { GRPC, StatusError, statusOf } from "./status.js";
import { WireReader, WireWriter } from "./wire.js";

/** A response whose length is not known yet. */
export interface JsonOutput {
  write(bytes: Uint8Array): void;
  /** Resolves when there is room, or when all is over. */
  room(): Promise<void>;
  readonly hasRoom: boolean;
  end(): void;
  /** All there is to say, where nothing was written yet. */
  refuse(reply: JsonReply): void;
  /** Whether the reader is gone. */
  readonly isOver: boolean;
  onClose(run: () => void): void;
}

/** HTTP's status for each of gRPC's. */
const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** What HTTP calls them. */
const HTTP_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

export interface JsonReply {
  readonly status: number;
  readonly body: string;
}

export async function serveJson(
  method: Method,
  body: Uint8Array,
  messageBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<JsonReply> {
  try {
    if (method.serve === undefined) throw new Error("a stream is no call of one answer");
    const message = requestFrom(method.request, bodyText(body));
    checkSize(message.length, messageBytesMax);
    const frame = await method.serve(new WireReader(message), signal);
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

/** Of a stream that is not begun, in the shape of its lines. */
export function streamRefusal(error: StatusError): JsonReply {
  return {
    status: HTTP_STATUS[error.code] ?? 500,
    body: JSON.stringify({ error: lineError(error) }),
  };
}

/** In a line, too, both shapes in one. */
function lineError({ code, message }: StatusError): object {
  const http = HTTP_STATUS[code] ?? 500;
  return {
    grpc_code: code,
    http_code: http,
    message,
    http_status: HTTP_TEXT[http] ?? "",
    code,
  };
}

/** Answers as lines of JSON. */
class JsonLines implements AnswerSink {
  readonly #output: JsonOutput;
  readonly #response: MessageType;
  #hasBegun = false;
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

  get hasRoom(): boolean {
    return this.#output.hasRoom;
  }

  room(): Promise<void> {
    return this.#output.room();
  }

  fail(error: StatusError): void {
    if (this.isOver) return;
    if (!this.#hasBegun) {
      this.#isOver = true;
      return this.#output.refuse(refusalReply(error));
    }
    this.#line({ error: lineError(error) });
    this.end();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#output.end();
  }

  #line(value: object): void {
    this.#hasBegun = true;
    this.#output.write(utf8(`${JSON.stringify(value)}\n`));
  }
}

/** A call whose answer is a stream; `ending` is aborted with the error that it shall end with. */
export async function streamJson(
  method: Method,
  body: Uint8Array,
  output: JsonOutput,
  ending: AbortSignal,
): Promise<void> {
  const sink = new JsonLines(method.response, output);
  try {
    if (method.answers === undefined) throw new Error("the answer is no stream");
    const answers = method.answers(new WireReader(requestFrom(method.request, bodyText(body))));
    output.onClose(() => answers.close());
    whenAborted(ending, (error) => {
      sink.fail(error);
      answers.close();
    });
    await sendAnswers(answers, sink);
  } catch (error) {
    sink.fail(statusOf(error));
  }
}

/** Also where it is aborted already. */
export function whenAborted(signal: AbortSignal, run: (error: StatusError) => void): void {
  const aborted = (): void => run(statusOf(signal.reason));
  if (signal.aborted) aborted();
  else signal.addEventListener("abort", aborted);
}

/** A call whose requests are a stream too. */
export class JsonSession {
  readonly #request: MessageType;
  readonly #splitter: JsonSplitter;
  readonly #session: CallSession;
  readonly #lines: JsonLines;

  constructor(method: Method, open: OpenSession, output: JsonOutput, messageBytesMax: number) {
    this.#request = method.request;
    this.#lines = new JsonLines(method.response, output);
    this.#splitter = new JsonSplitter(messageBytesMax);
    this.#session = open(this.#lines);
  }

  /** Resolves when more may come. */
  async receive(chunk: Uint8Array): Promise<void> {
    try {
      for (const text of this.#splitter.push(chunk)) {
        await this.#session.request(requestFrom(this.#request, text));
      }
    } catch (error) {
      this.fail(statusOf(error));
    }
  }

  finish(): void {
    this.#session.finish();
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
  const text = utf8Text(body);
  return text.trim() === "" ? "{}" : text;
}

function requestFrom(type: MessageType, text: string): Uint8Array {
  const out = new WireWriter();
  encodeMessage(out, type, messageFromJson(type, parsed(text)));
  return out.view();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(withLongIntegers(text));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StatusError(GRPC.invalidArgument, `flotilla: the request is no JSON: ${reason}`);
  }
}

function jsonOf(type: MessageType, frame: Uint8Array): object {
  return messageToJson(type, decodeMessage(type, messageIn(frame)));
}
