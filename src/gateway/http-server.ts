/**
 * HTTP/1.1 by Node's own server: JSON below `/v3`, and the pages of `health.ts`. Connections come
 * from elsewhere, this listens on nothing.
 */
import http from "node:http";
import { concatBytes } from "../base/bytes.js";
import type { Backend } from "./backend.js";
import { servePage } from "./health.js";
import { JsonWatch, refusalReply, serveJson } from "./json-gateway.js";
import type { JsonOutput } from "./json-gateway.js";
import type { Method, Methods } from "./methods.js";
import { GRPC, StatusError, statusOf, stopped } from "./status.js";
import type { WatchHost } from "./watch-session.js";

export interface HttpHost {
  readonly backend: Backend;
  readonly methods: Methods;
  readonly watch: WatchHost;
  readonly messageBytesMax: number;
}

/** Base64 and names make JSON larger than the message it is. */
const JSON_FACTOR = 2;
const JSON_TYPE = "application/json";

export class HttpServer {
  readonly #host: HttpHost;
  readonly #server: http.Server;
  readonly #connections: Set<Connection> = new Set();
  readonly #watches: Set<JsonWatch> = new Set();

  constructor(host: HttpHost) {
    this.#host = host;
    this.#server = http.createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) sendRefusal(response, statusOf(error));
        else response.destroy();
      });
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
    for (const watch of this.#watches) watch.fail(stopped());
    for (const connection of this.#connections) connection.destroy();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://node");
    const path = url.pathname.replace(/^\/v3(alpha|beta)\//, "/v3/");
    if (request.method === "GET" || request.method === "HEAD") {
      const page = await servePage(this.#host.backend, path, url.searchParams);
      return send(
        response,
        page ?? { status: 404, contentType: "text/plain", body: "not found\n" },
      );
    }
    const method = this.#host.methods.byJsonPath(path);
    if (method === undefined) {
      return sendRefusal(response, new StatusError(GRPC.notFound, `flotilla: no path ${path}`));
    }
    if (request.method !== "POST" || method instanceof StatusError) {
      const wrong = new StatusError(GRPC.unimplemented, "flotilla: this path takes POST");
      return sendRefusal(response, method instanceof StatusError ? method : wrong);
    }
    if (method.serve === undefined) return this.#watch(method, request, response);
    const { messageBytesMax } = this.#host;
    const body = await bodyOf(request, messageBytesMax * JSON_FACTOR);
    const { status, body: answer } = await serveJson(method, body, messageBytesMax);
    send(response, { status, contentType: JSON_TYPE, body: answer });
  }

  /** Lives until the client goes; that it has said all it wants does not end it. */
  async #watch(
    method: Method,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const { watch: host, messageBytesMax } = this.#host;
    const watch = new JsonWatch(host, method, outputOf(response), messageBytesMax * JSON_FACTOR);
    this.#watches.add(watch);
    response.on("close", () => {
      this.#watches.delete(watch);
      watch.close();
    });
    response.writeHead(200, { "content-type": JSON_TYPE });
    response.flushHeaders();
    for await (const chunk of request) await watch.receive(chunk as Uint8Array);
  }
}

/** What there is to do with a connection here. */
interface Connection {
  on(event: "close", run: () => void): unknown;
  destroy(): void;
}

function outputOf(response: http.ServerResponse): JsonOutput {
  return {
    write: (bytes) => {
      if (!response.destroyed) response.write(bytes);
    },
    room: () => {
      if (!response.writableNeedDrain || response.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        const go = (): void => {
          response.off("drain", go);
          response.off("close", go);
          resolve();
        };
        response.on("drain", go);
        response.on("close", go);
      });
    },
    end: () => response.end(),
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
  send(response, { ...refusalReply(error), contentType: JSON_TYPE });
}

function send(
  response: http.ServerResponse,
  reply: { readonly status: number; readonly contentType: string; readonly body: string },
): void {
  response.writeHead(reply.status, { "content-type": reply.contentType });
  response.end(reply.body);
}
