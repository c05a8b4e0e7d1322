/**
 * etcd's services by JSON: a POST below `/v3` is turned into the message that gRPC would have
 * brought, served as that, and its answer turned back. The watch takes a stream of JSON objects and
 * gives one a line. It knows requests and responses of HTTP only as the interface below.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { checkSize, messageIn } from "./grpc-frames.js";
import { messageFromJson, messageToJson, withLongIntegers } from "./json-codec.js";
import { JsonSplitter } from "./json-splitter.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import type { Method } from "./methods.js";
import type { MessageType } from "./schema.js";
import { GRPC, StatusError, statusOf } from "./status.js";
import { WatchSession } from "./watch-session.js";
import type { FrameSink, WatchHost } from "./watch-session.js";
import { WireReader, WireWriter } from "./wire.js";

/** A response whose length is not known yet. */
export interface JsonOutput {
  write(bytes: Uint8Array): void;
  /** Resolves when there is room, or when all is over. */
  room(): Promise<void>;
  end(): void;
}

/** HTTP's status for each of gRPC's. */
const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

export interface JsonReply {
  readonly status: number;
  readonly body: string;
}

export async function serveJson(
  method: Method,
  body: Uint8Array,
  messageBytesMax: number,
): Promise<JsonReply> {
  try {
    if (method.serve === undefined) throw new Error("the watch is no call of one request");
    const message = requestFrom(method.request, bodyText(body));
    checkSize(message.length, messageBytesMax);
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

/** One watch stream by JSON. */
export class JsonWatch implements FrameSink {
  readonly #output: JsonOutput;
  readonly #method: Method;
  readonly #splitter: JsonSplitter;
  readonly #session: WatchSession;
  #isOver = false;

  constructor(host: WatchHost, method: Method, output: JsonOutput, messageBytesMax: number) {
    this.#output = output;
    this.#method = method;
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
    if (!this.#isOver) this.#line({ result: jsonOf(this.#method.response, frame) });
  }

  room(): Promise<void> {
    return this.#output.room();
  }

  fail({ code, message }: StatusError): void {
    if (this.#isOver) return;
    const http = HTTP_STATUS[code] ?? 500;
    this.#line({ error: { grpc_code: code, http_code: http, message } });
    this.close();
    this.#output.end();
  }

  close(): void {
    this.#isOver = true;
    this.#session.close();
  }

  #line(value: object): void {
    this.#output.write(utf8(`${JSON.stringify(value)}\n`));
  }
}

/** No body is an empty message. */
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
