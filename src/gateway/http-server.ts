/**
 * HTTP/1.1 by Node's own server: JSON below `/v3`, sessions by WebSocket too, and the pages of
 * `health.ts`. Connections come from elsewhere, this listens on nothing.
 */
import http from "node:http";
import type { WebSocketServer } from "ws";
import { must } from "../base/assert.js";
import { concatBytes } from "../base/bytes.js";
import { pageAt } from "./health.js";
import type { PageHost, TextReply } from "./health.js";
import {
  JsonSession,
  refusalReply,
  serveJson,
  streamJson,
  streamRefusal,
  whenAborted,
} from "./json-gateway.js";
import type { JsonOutput, JsonReply } from "./json-gateway.js";
import { heldTo, termsOf } from "./json-terms.js";
import type { TermsHost } from "./json-terms.js";
import type { Method, Methods } from "./method.js";
import { RequestLine } from "./request-line.js";
import type { LineSocket } from "./request-line.js";
import { GRPC, StatusError, statusOf, stopped } from "./status.js";
import { hasRoom, roomIn } from "./stream-room.js";
import { plainHead, wantsWebSocket } from "./upgrade-request.js";
import { webSocketServer, WebSocketOutput } from "./websocket.js";
import type { UpgradedSocket, UpgradeHead } from "./websocket.js";

export interface HttpHost extends TermsHost, PageHost {
  readonly methods: Methods;
  readonly messageBytesMax: number;
}

type Line = RequestLine<http.IncomingMessage, http.ServerResponse>;

/** Base64 and names make JSON larger than the message it is. */
const JSON_FACTOR = 2;
/** Of the paths that requests name. */
const BASE = "http://node";
const JSON_TYPE = "application/json";

/** As etcd does by default: pages from anywhere may ask. */
const CROSS_ORIGIN = [
  ["access-control-allow-headers", "accept, content-type, authorization"],
  ["access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"],
  ["access-control-allow-origin", "*"],
] as const;
const NO_BODY: TextReply = { status: 200, contentType: "text/plain", body: "" };
const NO_PAGE: TextReply = {
  status: 404,
  contentType: "text/plain; charset=utf-8",
  body: "404 page not found\n",
};
const NOT_ALLOWED: TextReply = { ...NO_PAGE, status: 405, body: "Method Not Allowed\n" };
/** In the words of etcd's own gateway. */
const noSuchCall = (): StatusError => new StatusError(GRPC.notFound, "Not Found");
const noPost = (): StatusError => new StatusError(GRPC.unimplemented, "Method Not Allowed");

export class HttpServer {
  readonly #host: HttpHost;
  readonly #server: http.Server;
  readonly #webSockets: WebSocketServer;
  readonly #connections: Set<Connection> = new Set();
  readonly #sessions: Set<JsonSession> = new Set();
  readonly #lines: WeakMap<LineSocket, Line> = new WeakMap();

  constructor(host: HttpHost) {
    this.#host = host;
    this.#webSockets = webSocketServer(this.#bytesMax);
    this.#server = http.createServer((request, response) => {
      this.#lineOf(request.socket).add(request, response);
    });
    this.#server.on("upgrade", (request, socket, head) => {
      this.#upgrade(request, socket, head);
    });
  }

  /** A connection whose first bytes are a request of HTTP/1.1. */
  accept(connection: object): void {
    const known = connection as Connection;
    this.#connections.add(known);
    known.on("close", () => this.#connections.delete(known));
    this.#server.emit("connection", connection);
  }

  close(): void {
    for (const session of this.#sessions) session.fail(stopped());
    for (const connection of this.#connections) connection.destroy();
  }

  #lineOf(socket: LineSocket): Line {
    const known = this.#lines.get(socket);
    if (known !== undefined) return known;
    const line: Line = new RequestLine(socket, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) sendRefusal(response, statusOf(error));
        else response.destroy();
      });
    });
    this.#lines.set(socket, line);
    return line;
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    for (const [name, value] of CROSS_ORIGIN) response.setHeader(name, value);
    // What a browser asks before it asks on behalf of a page from elsewhere.
    if (request.method === "OPTIONS") return send(response, NO_BODY);
    const url = new URL(request.url ?? "/", BASE);
    const path = callPath(url);
    if (!path.startsWith("/v3/")) return this.#page(request, response, url);
    const method = this.#host.methods.byJsonPath(path);
    if (method === undefined) return sendRefusal(response, noSuchCall());
    if (request.method !== "POST") return sendRefusal(response, noPost());
    if (method instanceof StatusError) return sendRefusal(response, method);
    const terms = termsOf(request.headers);
    const isStream = method.serve === undefined;
    const refusal = this.#host.methods.refusalOf(method);
    if (refusal !== undefined) {
      return sendJson(response, isStream ? streamRefusal(refusal) : refusalReply(refusal));
    }
    const { signal, release } = await heldTo(terms, this.#host, isStream);
    response.on("close", release);
    if (response.destroyed) return release();
    if (method.session !== undefined) return this.#session(method, request, response, signal);
    return this.#call(method, request, response, signal);
  }

  /** `ending` is aborted with the error that the call shall end with. */
  async #call(
    method: Method,
    request: http.IncomingMessage,
    response: http.ServerResponse,
    ending: AbortSignal,
  ): Promise<void> {
    const { messageBytesMax } = this.#host;
    const late = new Promise<never>((_, reject) => whenAborted(ending, reject));
    const body = await Promise.race([bodyOf(request, this.#bytesMax), late]);
    if (method.answers !== undefined) return streamJson(method, body, outputOf(response), ending);
    const signal = method.waits === true ? closeOf(response) : undefined;
    const reply = serveJson(method, body, messageBytesMax, signal);
    sendJson(response, await Promise.race([reply, late]));
  }

  /** HEAD is taken for GET, which etcd refuses. */
  async #page(
    { method }: http.IncomingMessage,
    response: http.ServerResponse,
    { pathname, searchParams }: URL,
  ): Promise<void> {
    const page = pageAt(pathname);
    if (page === undefined) return send(response, NO_PAGE);
    if (page.isGetOnly && method !== "GET" && method !== "HEAD") {
      response.setHeader("allow", "GET");
      return send(response, NOT_ALLOWED);
    }
    send(response, await page.serve(this.#host, searchParams));
  }

  async #session(
    method: Method,
    request: http.IncomingMessage,
    response: http.ServerResponse,
    ending: AbortSignal,
  ): Promise<void> {
    const session = this.#opened(method, outputOf(response), ending);
    for await (const chunk of request) await session.receive(chunk as Uint8Array);
    session.finish();
  }

  #opened(method: Method, output: JsonOutput, ending: AbortSignal): JsonSession {
    const session = new JsonSession(method, must(method.session), output, this.#bytesMax);
    this.#sessions.add(session);
    whenAborted(ending, (error) => session.fail(error));
    output.onClose(() => {
      this.#sessions.delete(session);
      session.close();
    });
    return session;
  }

  get #bytesMax(): number {
    return this.#host.messageBytesMax * JSON_FACTOR;
  }

  /** Node has let go of the connection. Nobody sends requests ahead of this one. */
  #upgrade(request: http.IncomingMessage, socket: UpgradedSocket, head: UpgradeHead): void {
    if (this.#lines.get(request.socket)?.isBusy === true) return void socket.destroy();
    const method = wantsWebSocket(request) ? this.#sessionAt(request.url ?? "/") : undefined;
    if (method === undefined) {
      socket.unshift(concatBytes(plainHead(request), head));
      this.#server.emit("connection", socket);
      return;
    }
    // It refuses by itself who does not ask as he should.
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      void this.#webSocket(method, request, new WebSocketOutput(webSocket, socket));
    });
  }

  #sessionAt(url: string): Method | undefined {
    if (!URL.canParse(url, BASE)) return undefined;
    const method = this.#host.methods.byJsonPath(callPath(new URL(url, BASE)));
    return method instanceof StatusError || method?.session === undefined ? undefined : method;
  }

  async #webSocket(
    method: Method,
    request: http.IncomingMessage,
    output: WebSocketOutput,
  ): Promise<void> {
    const refusal = this.#host.methods.refusalOf(method);
    if (refusal !== undefined) return output.refuse(streamRefusal(refusal));
    try {
      const { signal, release } = await heldTo(termsOf(request.headers), this.#host, true);
      if (output.isOver) return release();
      output.onClose(release);
      output.read(this.#opened(method, output, signal));
    } catch (error) {
      output.refuse(refusalReply(statusOf(error)));
    }
  }
}

/** What there is to do with a connection here. */
interface Connection {
  on(event: "close", run: () => void): unknown;
  destroy(): void;
}

function callPath({ pathname }: URL): string {
  return pathname.replace(/^\/v3(alpha|beta)\//, "/v3/");
}

/** Aborted when the response is out, or its client has gone. */
function closeOf(response: http.ServerResponse): AbortSignal {
  const closed = new AbortController();
  response.on("close", () => closed.abort());
  return closed.signal;
}

function outputOf(response: http.ServerResponse): JsonOutput {
  response.setHeader("content-type", JSON_TYPE);
  return {
    write: (bytes) => {
      if (!response.destroyed) response.write(bytes);
    },
    get hasRoom() {
      return hasRoom(response);
    },
    room: () => roomIn(response),
    end: () => response.end(),
    refuse: (reply) => sendJson(response, reply),
    get isOver() {
      return response.destroyed;
    },
    onClose: (run) => response.on("close", run),
  };
}

async function bodyOf(request: http.IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Uint8Array).length;
    if (bytes > bytesMax) {
      throw new StatusError(
        GRPC.resourceExhausted,
        `flotilla: more than ${bytesMax} bytes of JSON`,
      );
    }
    chunks.push(chunk as Uint8Array);
  }
  return concatBytes(...chunks);
}

function sendRefusal(response: http.ServerResponse, error: StatusError): void {
  sendJson(response, refusalReply(error));
}

function sendJson(response: http.ServerResponse, reply: JsonReply): void {
  send(response, { ...reply, contentType: JSON_TYPE });
}

function send(response: http.ServerResponse, reply: TextReply): void {
  response.writeHead(reply.status, { "content-type": reply.contentType });
  response.end(reply.body);
}
